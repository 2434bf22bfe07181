import Type, { type Static, type TProperties } from 'typebox';
import { Compile } from 'typebox/compile';

import { IntegrityError } from '../errors.ts';
import type { LogId } from '../record/log-id.ts';
import { PARTITION_PREDICATE, makeStatement, type Statement, type Subject } from './statements/statement.ts';
import { Count, Sha256, Time } from './stored-types.ts';

const Name = Type.String({ minLength: 1, maxLength: 4_096 });

const StoredObject = Type.Object({ key: Name, sha256: Sha256, bytes: Count }, { additionalProperties: false });
/** An object that an entry names: where it lies and what its bytes hash to. */
export type StoredObject = Static<typeof StoredObject>;

const VerdictOutcome = Type.Union([Type.Literal('clean'), Type.Literal('suspect'), Type.Literal('undecided')]);
/** What the judge said of a batch. */
export type VerdictOutcome = Static<typeof VerdictOutcome>;

const UndecidedReason = Type.Union([Type.Literal('no-baseline'), Type.Literal('small'), Type.Literal('failed')]);
/** Why a verdict is undecided. */
export type UndecidedReason = Static<typeof UndecidedReason>;

const Mode = Type.Union([Type.Literal('observe'), Type.Literal('enforce')]);
/** `enforce` publishes only clean or released batches; `observe` publishes all and counts what would have been held. */
export type Mode = Static<typeof Mode>;

const common = {
  pipeline: Name,
  /** Random id of the deployment that writes; two deployments on one log halt. */
  deployment: Name,
  cluster: Type.String({ maxLength: 4_096 }),
  topic: Type.String({ maxLength: 4_096 }),
  partition: Type.String({ maxLength: 4_096 }),
  slot: Count,
  /** SHA-256 of the previous slot's stored bytes; null at slot 0. */
  previous: Type.Union([Sha256, Type.Null()]),
  /** Rises with every claim; a writer with a lower epoch is fenced. */
  epoch: Count,
  /** Random id of the process that wrote the claim of this epoch. */
  writer: Name,
  /** Wall clock of the writer, for people only. */
  time: Time,
};

const entry = <Kind extends string, Properties extends TProperties>(kind: Kind, properties: Properties) =>
  Type.Object({ kind: Type.Literal(kind), ...common, ...properties }, { additionalProperties: false });

const Position = Type.Object({ byte: Count, prefixSha256: Sha256 }, { additionalProperties: false });

/** A claim: from here on only this writer's epoch may commit. At slot 0 it also fixes where the log begins. */
const OpenEntry = entry('open', {
  leafVersion: Type.Integer({ minimum: 1, maximum: 255 }),
  /** First offset that this claim will read. */
  next: Count,
  /** Relative path of a file source; null otherwise. */
  label: Type.Union([Type.String({ maxLength: 4_096 }), Type.Null()]),
});

/** A batch: what was read from `start` up to `end`, and what was made of it. */
const BatchEntry = entry('batch', {
  start: Count,
  /** Past the last offset. */
  end: Count,
  records: Count,
  /** Kafka's partition leader epoch at offset end − 1; null if unseen. */
  leaderEpoch: Type.Union([Count, Type.Null()]),
  /** Id of the Kafka topic: one that is deleted and made again under the same name has another. Null where there is none. */
  topicId: Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()]),
  leafVersion: Type.Integer({ minimum: 1, maximum: 255 }),
  /** RFC 6962 root over the leaves of all records in offset order, dead letters included. */
  root: Sha256,
  /** Decoded rows; null when no record decoded. */
  data: Type.Union([StoredObject, Type.Null()]),
  /** Records that did not decode; null when there were none. */
  deadLetters: Type.Union([StoredObject, Type.Null()]),
  deadLetterRecords: Count,
  /** Profile, findings, verdict, skipped ranges. */
  evidence: StoredObject,
  /** Offsets without a record, by reason. */
  skipped: Type.Object({ aborted: Count, control: Count, compacted: Count }, { additionalProperties: false }),
  /** Newest control entry that the writer had read; −1 before the first. */
  controlSeq: Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER }),
  baseline: Type.Union([Sha256, Type.Null()]),
  schema: Sha256,
  config: Sha256,
  mode: Mode,
  verdict: VerdictOutcome,
  undecided: Type.Union([UndecidedReason, Type.Null()]),
  /** Set when a rule with action halt was broken: nothing may follow until a `resume` with a later control seq. */
  halt: Type.Union([Type.Literal('RULE'), Type.Null()]),
  /** Where a file stands after this batch; null for sources that keep offsets only. */
  position: Type.Union([Position, Type.Null()]),
});

/** Offsets that were lost before they could be read; the configuration (`onGap`) admits them, no person can yet. */
const GapEntry = entry('gap', { start: Count, end: Count, reason: Type.Literal('retention') });

/** The log ends: another deployment may claim it then. Readers know it; no command writes it yet. */
const CloseEntry = entry('close', {});

const PartitionEntrySchema = Type.Union([OpenEntry, BatchEntry, GapEntry, CloseEntry]);
const compiled = Compile(PartitionEntrySchema);

/** The entries of a partition log. */
export type OpenEntry = Static<typeof OpenEntry>;
export type BatchEntry = Static<typeof BatchEntry>;
export type GapEntry = Static<typeof GapEntry>;
export type PartitionEntry = Static<typeof PartitionEntrySchema>;

/** The log an entry belongs to. */
export function logOf({ cluster, topic, partition }: PartitionEntry): LogId {
  return { cluster, topic, partition };
}

/**
 * Statement of an entry. A batch speaks about its objects, so that stock tools can check them against it; any other
 * entry speaks about the entry before it, or, at slot 0, about the name of its log.
 * @param genesis digest that stands for "nothing before" at slot 0.
 */
export function partitionStatement(
  entryToSign: PartitionEntry,
  previousKey: string,
  genesis: string,
): Statement<PartitionEntry> {
  return makeStatement(subjectsOf(entryToSign, previousKey, genesis), PARTITION_PREDICATE, entryToSign);
}

function subjectsOf(signed: PartitionEntry, previousKey: string, genesis: string): Subject[] {
  if (signed.kind !== 'batch') return [{ name: previousKey, digest: { sha256: signed.previous ?? genesis } }];
  return [signed.data, signed.deadLetters, signed.evidence]
    .filter((object) => object !== null)
    .map(({ key, sha256 }) => ({ name: key, digest: { sha256 } }));
}

/**
 * The entry in a verified statement.
 * @throws IntegrityError STATEMENT_INVALID: another predicate, an unknown kind or field (matrix M12, M30)
 */
export function parsePartitionEntry(statement: Statement, object: string): PartitionEntry {
  const { predicateType, predicate } = statement;
  if (predicateType !== PARTITION_PREDICATE) {
    throw new IntegrityError(
      'STATEMENT_INVALID',
      object,
      `Cannot accept "${object}": its predicate type is "${predicateType}", wanted "${PARTITION_PREDICATE}"`,
    );
  }
  if (!compiled.Check(predicate)) {
    throw new IntegrityError(
      'STATEMENT_INVALID',
      object,
      `Cannot accept "${object}": its predicate is not a partition-log entry`,
    );
  }
  return predicate;
}
