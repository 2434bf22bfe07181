import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';

import { IntegrityError } from '../errors.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { ControlAct, ControlEntry } from './control-entry.ts';

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Seq = Type.Integer({ minimum: 0 });

/** Where the batch is, and which entry said so. */
const place = { seq: Seq, log: Type.String(), slot: Seq };

const StateSchema = Type.Object(
  {
    version: Type.Literal(1),
    /** Snapshot that each ref names. */
    refs: Type.Record(Type.String(), Sha256),
    /** Refs that must not move, with the seq of the entry that says so. */
    holds: Type.Record(Type.String(), Seq),
    /** Newest `resume` by ref: it also lets partitions go on that a rule has halted. */
    resumed: Type.Record(Type.String(), Seq),
    /** Pinned schema by topic. */
    schemas: Type.Record(Type.String(), Sha256),
    /** Baseline in force by topic. */
    baselines: Type.Record(Type.String(), Sha256),
    /** Newest learned baseline by topic that nobody has approved yet. */
    candidates: Type.Record(Type.String(), Sha256),
    /** Newest decision by entry digest of its batch; released ones until a publish has taken them up. */
    decisions: Type.Record(
      Sha256,
      Type.Object(
        { outcome: Type.Union([Type.Literal('released'), Type.Literal('condemned')]), ...place },
        { additionalProperties: false },
      ),
    ),
    /** Newest verdict of the publisher by entry digest, until a publish has taken it up. */
    verdicts: Type.Record(
      Sha256,
      Type.Object(
        { outcome: Type.Union([Type.Literal('clean'), Type.Literal('suspect')]), ...place },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
const compiled = Compile(StateSchema);

/** Everything that is decided and in force: the result of all control entries up to one of them. */
export type ControlState = Static<typeof StateSchema>;

/** The state before the first entry. */
export const EMPTY_STATE: ControlState = {
  version: 1,
  refs: {},
  holds: {},
  resumed: {},
  schemas: {},
  baselines: {},
  candidates: {},
  decisions: {},
  verdicts: {},
};

/** The state after an act at `seq`: pure, so that a verifier can replay it. */
export function applyAct(state: ControlState, act: ControlAct | ControlEntry, seq: number): ControlState {
  switch (act.kind) {
    case 'schema':
      return { ...state, schemas: { ...state.schemas, [act.topic]: act.schema } };
    case 'learn':
      return { ...state, candidates: { ...state.candidates, [act.topic]: act.baseline } };
    case 'approve':
      return {
        ...state,
        baselines: { ...state.baselines, [act.topic]: act.baseline },
        candidates: without(state.candidates, act.topic),
      };
    case 'publish':
      // What was released is in the snapshot now; after a rollback it is not, and the release must be decided anew.
      return {
        ...state,
        refs: { ...state.refs, [act.ref]: act.snapshot },
        verdicts: {},
        decisions: condemnedOnly(state.decisions),
      };
    case 'verdict':
      return {
        ...state,
        verdicts: {
          ...state.verdicts,
          ...Object.fromEntries(
            act.batches.map(({ digest, log, slot }) => [digest, { outcome: act.outcome, seq, log, slot }]),
          ),
        },
      };
    case 'decision':
      return {
        ...state,
        decisions: {
          ...state.decisions,
          [act.batch.digest]: { outcome: act.outcome, seq, log: act.batch.log, slot: act.batch.slot },
        },
      };
    case 'hold':
      return { ...state, holds: { ...state.holds, [act.ref]: seq } };
    case 'resume':
      return { ...state, holds: without(state.holds, act.ref), resumed: { ...state.resumed, [act.ref]: seq } };
    case 'rollback':
      return {
        ...state,
        refs: { ...state.refs, [act.ref]: act.to },
        holds: { ...state.holds, [act.ref]: seq },
        baselines: act.baselines,
      };
  }
}

/** The exact bytes of a state: JSON with all keys sorted, so that equal states have equal digests. */
export function encodeState(state: ControlState): Buffer {
  return Buffer.from(
    JSON.stringify(state, (_, value: unknown) => (isPlainObject(value) ? sortKeys(value) : value)),
    'utf8',
  );
}

/** SHA-256 of {@link encodeState}, hex. */
export function stateDigest(state: ControlState): string {
  return sha256Hex(encodeState(state));
}

/** @throws IntegrityError PAYLOAD_INVALID; the caller has checked the digest. */
export function parseState(bytes: Uint8Array, object: string): ControlState {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (!compiled.Check(value))
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not a control state`);
  return value;
}

function condemnedOnly(decisions: ControlState['decisions']): ControlState['decisions'] {
  return Object.fromEntries(Object.entries(decisions).filter(([, { outcome }]) => outcome === 'condemned'));
}

function without<Value>(record: Readonly<Record<string, Value>>, key: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortKeys(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
