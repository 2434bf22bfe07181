/**
 * Records by hostile names: topics and refs may be called `constructor` or `__proto__`, so these have no prototype, and
 * looking a name up finds an entry or nothing (ASVS 15.3.6). They are never changed: each function returns a new one.
 */
export type NamedRecord<Value> = Readonly<Record<string, Value>>;

/** A record with the entries of `pairs`. */
export function recordOf<Value>(pairs: Iterable<readonly [string, Value]>): Record<string, Value> {
  const made = Object.create(null) as Record<string, Value>;
  for (const [name, value] of pairs) made[name] = value;
  return made;
}

/** `record` with one entry more or changed. */
export function withEntry<Value>(record: NamedRecord<Value>, name: string, value: Value): Record<string, Value> {
  return recordOf([...Object.entries(record), [name, value]]);
}

/** `record` without one entry. */
export function withoutEntry<Value>(record: NamedRecord<Value>, name: string): Record<string, Value> {
  return recordOf(Object.entries(record).filter(([each]) => each !== name));
}
