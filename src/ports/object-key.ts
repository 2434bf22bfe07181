/** Longest key in bytes; S3 allows 1,024 and the prefix of a store needs some. */
export const KEY_BYTES_MAX = 900;

const KEY = /^[A-Za-z0-9%~_.=-]+(\/[A-Za-z0-9%~_.=-]+)*$/;

/** True for a key that a store takes. A listing of a store may hold others, which someone else has put there. */
export function isKey(key: string): boolean {
  const dots = key.split('/').some((segment) => segment === '.' || segment === '..');
  return key.length <= KEY_BYTES_MAX && !dots && KEY.test(key);
}

/**
 * Refuses a key that some store would read differently: other characters, empty or dot segments, too long.
 * @throws {RangeError}; keys are made by layout.ts, so this is a fault of ours.
 */
export function assertKey(key: string): void {
  if (!isKey(key)) throw new RangeError(`Cannot use object key ${JSON.stringify(key)}`);
}

/** Refuses a list prefix that is neither empty nor a key followed by `/`. @throws {RangeError} */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!prefix.endsWith('/'))
    throw new RangeError(`Cannot list prefix ${JSON.stringify(prefix)}: it does not end in "/"`);
  assertKey(prefix.slice(0, -1));
}
