/** Type of an in-toto statement. Source: in-toto attestation framework, spec/v1/statement.md. */
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** Predicate of an entry of a partition log: what was read. */
export const PARTITION_PREDICATE = 'https://headgate.dev/partition-log/v1';
/** Predicate of an entry of the control log: what was decided. */
export const CONTROL_PREDICATE = 'https://headgate.dev/control-log/v1';

/** What a statement speaks about: a name and the SHA-256 of its bytes, hex. */
export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

/** An in-toto statement with a typed predicate. */
export interface Statement<Predicate = unknown> {
  readonly _type: typeof STATEMENT_TYPE;
  readonly subject: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: Predicate;
}

/** Builds a statement. @param subject at least one. */
export function makeStatement<Predicate>(
  subject: readonly Subject[],
  predicateType: string,
  predicate: Predicate,
): Statement<Predicate> {
  if (subject.length === 0) throw new RangeError('Cannot make a statement: it has no subject, wanted at least one');
  return { _type: STATEMENT_TYPE, subject, predicateType, predicate };
}
