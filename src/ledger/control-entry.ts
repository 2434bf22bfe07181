import Type, { type Static, type TProperties } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';

import { IntegrityError, RequestError } from '../errors.ts';
import { CONTROL_PREDICATE, makeStatement, type Statement } from './statements/statement.ts';
import { Count, Sha256, Time } from './stored-types.ts';
import type { Role } from './trust.ts';

const Text = Type.String({ minLength: 1, maxLength: 4_096 });
const Topic = Type.String({ maxLength: 4_096 });
/** Name of a ref: `main` or a tag. */
const RefName = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,99}$' });

const BatchRef = Type.Object({ log: Text, slot: Count, digest: Sha256 }, { additionalProperties: false });
/** One batch, by the log path that {@link formatLogId} prints, its slot, and the digest of its entry. */
export type BatchRef = Static<typeof BatchRef>;

const Outcome = Type.Union([Type.Literal('released'), Type.Literal('condemned')]);

const common = {
  pipeline: Text,
  seq: Count,
  /** SHA-256 of the previous entry's stored bytes; null at seq 0. */
  previous: Type.Union([Sha256, Type.Null()]),
  /** SHA-256 of the state object that results from this entry. */
  state: Sha256,
  /** Wall clock of the writer, for people and for `--to TIME`. */
  time: Time,
  /** Who acts: the name of the person or process, as given. */
  by: Text,
};

const entry = <Kind extends string, Properties extends TProperties>(kind: Kind, properties: Properties) =>
  Type.Object({ kind: Type.Literal(kind), ...common, ...properties }, { additionalProperties: false });

const kinds = {
  /**
   * Pins the schema of a topic. The first one wins; a later one replaces it by an approver's act (see rolesOf), and takes the
   * topic's baseline and candidate out of force.
   */
  schema: entry('schema', { topic: Topic, schema: Sha256, reason: Text }),
  /** A baseline was learned: a candidate, not in force. */
  learn: entry('learn', { topic: Topic, baseline: Sha256, reason: Text }),
  /** A person puts a learned baseline in force. */
  approve: entry('approve', { topic: Topic, baseline: Sha256, reason: Text }),
  /** The ref moves to a new snapshot. */
  publish: entry('publish', {
    ref: RefName,
    parent: Type.Union([Sha256, Type.Null()]),
    snapshot: Sha256,
    /** Logs that had to be left where they are: releases and verdicts about them stay open. */
    waiting: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 1_000 })),
  }),
  /** The publisher's own verdict on batches: a union of small ones, or a second look under a newer baseline. */
  verdict: entry('verdict', {
    batches: Type.Array(BatchRef, { minItems: 1, maxItems: 1_000 }),
    outcome: Type.Union([Type.Literal('clean'), Type.Literal('suspect')]),
    baseline: Sha256,
    evidence: Sha256,
  }),
  /** A person's decision on one held or published batch. */
  decision: entry('decision', { batch: BatchRef, outcome: Outcome, reason: Text }),
  /** No ref moves until `resume`. */
  hold: entry('hold', { ref: RefName, reason: Text }),
  resume: entry('resume', {
    ref: RefName,
    reason: Text,
    /** Logs that could not be judged again after a rollback: nothing of them is published before another resume has done so. */
    unjudged: Type.Optional(Type.Array(Text, { minItems: 1, maxItems: 1_000 })),
  }),
  /** The ref goes back to an older snapshot and is on hold. */
  rollback: entry('rollback', {
    ref: RefName,
    from: Sha256,
    to: Sha256,
    /** Baselines of the target, which are in force again. */
    baselines: Type.Record(Topic, Sha256),
    reason: Text,
  }),
};

const ControlEntrySchema = Type.Union(Object.values(kinds));
const compiled = Compile(ControlEntrySchema);

/** One signed act, and its kind. */
export type ControlEntry = { [Kind in keyof typeof kinds]: Static<(typeof kinds)[Kind]> }[keyof typeof kinds];
export type ControlKind = ControlEntry['kind'];

/** Fields that the log fills in by itself. */
type Filled = 'pipeline' | 'seq' | 'previous' | 'state' | 'time';
/** An entry as its author writes it. */
export type ControlAct = { [Kind in ControlKind]: Omit<Extract<ControlEntry, { kind: Kind }>, Filled> }[ControlKind];

/** Who may sign each kind: machines publish and pin, people decide. */
export const ROLES_OF_KIND: Readonly<Record<ControlKind, readonly Role[]>> = {
  schema: ['ingest', 'publisher', 'approver'],
  learn: ['publisher', 'approver'],
  approve: ['approver'],
  publish: ['publisher'],
  verdict: ['publisher'],
  decision: ['approver'],
  hold: ['approver'],
  resume: ['approver'],
  rollback: ['approver'],
};

/** Statement of a control entry. It speaks about the state that results, and a publish also about its snapshot. */
export function controlStatement(signed: ControlEntry): Statement<ControlEntry> {
  const state = { name: 'state', digest: { sha256: signed.state } };
  const subject =
    signed.kind === 'publish' ? [{ name: 'snapshot', digest: { sha256: signed.snapshot } }, state] : [state];
  return makeStatement(subject, CONTROL_PREDICATE, signed);
}

/** The entry in a verified statement. @throws IntegrityError STATEMENT_INVALID (matrix M12, M30) */
export function parseControlEntry({ predicateType, predicate }: Statement, object: string): ControlEntry {
  if (predicateType !== CONTROL_PREDICATE || !compiled.Check(predicate)) {
    throw new IntegrityError(
      'STATEMENT_INVALID',
      object,
      `Cannot accept "${object}": its predicate is not a control-log entry`,
    );
  }
  return predicate;
}

/** Refuses an act that no reader would accept, such as one on a ref of a forbidden name (matrix R6). @throws RequestError */
export function assertControlEntry(candidate: ControlEntry): void {
  if (compiled.Check(candidate)) return;
  const [fault] = Value.Errors(kinds[candidate.kind], candidate);
  throw new RequestError(
    'REQUEST_INVALID',
    `Cannot sign a ${candidate.kind}: its field "${fault?.instancePath.slice(1) ?? '?'}" ${fault?.message ?? 'is malformed'}`,
  );
}
