/** The one spelling of plain data that is stored and digested: JSON with sorted keys, no spaces, numbers as ECMAScript prints
 * them (the shortest text that reads back exactly), −0 as 0. Source: RFC 8785, for data whose keys and texts are well-formed.
 * @throws {TypeError} for a number that is not finite or a value JSON does not know: a bug of the caller. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`Cannot store ${value} as JSON`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`Cannot store a ${typeof value} as JSON`);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}
