import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';

import { IntegrityError } from '../errors.ts';
import { canonicalJson } from '../record/canonical.ts';
import { parseLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { ControlAct, ControlEntry } from './control-entry.ts';
import { recordOf, withEntry, withoutEntry } from './named-records.ts';
import { parseJson } from './objects.ts';
import { Sha256 } from './stored-types.ts';

const Seq = Type.Integer({ minimum: 0 });

/** Where the batch is, and which entry said so. */
const place = { seq: Seq, log: Type.String(), slot: Seq };

const StateSchema = Type.Object(
  {
    version: Type.Literal(1),
    /** Snapshot that each ref names. */
    refs: Type.Record(Type.String(), Sha256),
    /**
     * Snapshots that rollbacks left behind, with the seq of the one that did, until a ref names them again. What was ever
     * published is one of these, one that a ref names, or an ancestor of either.
     */
    left: Type.Record(Sha256, Seq),
    /** Refs that must not move, with the seq of the entry that says so. */
    holds: Type.Record(Type.String(), Seq),
    /** Newest `resume` by ref: it also lets partitions go on that a rule has halted. */
    resumed: Type.Record(Type.String(), Seq),
    /** Logs that the newest `resume` after a rollback could not judge again, by ref; absent when there are none. */
    unjudged: Type.Optional(Type.Record(Type.String(), Type.Array(Type.String()))),
    /** Pinned schema by topic. */
    schemas: Type.Record(Type.String(), Sha256),
    /** Newest entry by topic that replaced a pinned schema; absent when none ever did. No older baseline fits the schema. */
    repinned: Type.Optional(Type.Record(Type.String(), Seq)),
    /** Baseline in force by topic. */
    baselines: Type.Record(Type.String(), Sha256),
    /** Newest learned baseline by topic that nobody has approved yet. */
    candidates: Type.Record(Type.String(), Sha256),
    /** Newest decision by entry digest of its batch; released ones until a publish has taken them up or a rollback voids them. */
    decisions: Type.Record(
      Sha256,
      Type.Object(
        { outcome: Type.Union([Type.Literal('released'), Type.Literal('condemned')]), ...place },
        { additionalProperties: false },
      ),
    ),
    /** Newest verdict of the publisher by entry digest, until a publish has taken it up or a rollback voids it. */
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

/** Everything that is decided and in force: the result of all control entries up to one of them. Its records have no prototype. */
export type ControlState = Static<typeof StateSchema>;

/** The state before the first entry. */
export const EMPTY_STATE: ControlState = {
  version: 1,
  refs: recordOf([]),
  left: recordOf([]),
  holds: recordOf([]),
  resumed: recordOf([]),
  schemas: recordOf([]),
  baselines: recordOf([]),
  candidates: recordOf([]),
  decisions: recordOf([]),
  verdicts: recordOf([]),
};

/** The state after an act at `seq`: pure, so that a verifier can replay it. */
export function applyAct(state: ControlState, act: ControlAct | ControlEntry, seq: number): ControlState {
  switch (act.kind) {
    case 'schema':
      return { ...withSchema(state, act.topic, seq), schemas: withEntry(state.schemas, act.topic, act.schema) };
    case 'learn':
      return { ...state, candidates: withEntry(state.candidates, act.topic, act.baseline) };
    case 'approve':
      return {
        ...state,
        baselines: withEntry(state.baselines, act.topic, act.baseline),
        candidates: withoutEntry(state.candidates, act.topic),
        verdicts: withoutClean(state.verdicts, act.topic),
      };
    case 'publish':
      // What was released is in the snapshot now; after a rollback it is not, and the release must be decided anew.
      return { ...state, ...openCases(state, act.waiting), refs: withEntry(state.refs, act.ref, act.snapshot) };
    case 'verdict': {
      const judged = act.batches.map(
        ({ digest, log, slot }) => [digest, { outcome: act.outcome, seq, log, slot }] as const,
      );
      return { ...state, verdicts: recordOf([...Object.entries(state.verdicts), ...judged]) };
    }
    case 'decision': {
      const { digest, log, slot } = act.batch;
      return { ...state, decisions: withEntry(state.decisions, digest, { outcome: act.outcome, seq, log, slot }) };
    }
    case 'hold':
      return { ...state, holds: withEntry(state.holds, act.ref, seq) };
    case 'resume':
      return {
        ...withUnjudged(state, act.ref, act.unjudged),
        holds: withoutEntry(state.holds, act.ref),
        resumed: withEntry(state.resumed, act.ref, seq),
      };
    case 'rollback':
      // Releases and verdicts that no publish has taken up were made in view of what is now left behind: they are void.
      return {
        ...withUnjudged(state, act.ref),
        ...openCases(state),
        refs: withEntry(state.refs, act.ref, act.to),
        left: withEntry(withoutEntry(state.left, act.to), act.from, seq),
        holds: withEntry(state.holds, act.ref, seq),
        baselines: recordOf(Object.entries(act.baselines)),
      };
  }
}

/** The exact bytes of a state: canonical JSON, so that equal states have equal digests. */
export function encodeState(state: ControlState): Buffer {
  return Buffer.from(canonicalJson(state), 'utf8');
}

/** SHA-256 of {@link encodeState}, hex. */
export function stateDigest(state: ControlState): string {
  return sha256Hex(encodeState(state));
}

/** @throws IntegrityError PAYLOAD_INVALID; the caller has checked the digest. */
export function parseState(bytes: Uint8Array, object: string): ControlState {
  const value = parseJson(bytes, object);
  if (!compiled.Check(value))
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not a control state`);
  const record = <Value>(entries: Record<string, Value>): Record<string, Value> => recordOf(Object.entries(entries));
  return {
    version: value.version,
    refs: record(value.refs),
    left: record(value.left),
    holds: record(value.holds),
    resumed: record(value.resumed),
    ...(value.unjudged === undefined ? {} : { unjudged: record(value.unjudged) }),
    schemas: record(value.schemas),
    ...(value.repinned === undefined ? {} : { repinned: record(value.repinned) }),
    baselines: record(value.baselines),
    candidates: record(value.candidates),
    decisions: record(value.decisions),
    verdicts: record(value.verdicts),
  };
}

/** Profiles of two schemas do not compare: with the schema, the baseline and the candidate learned under it go. */
function withSchema(state: ControlState, topic: string, seq: number): ControlState {
  if (state.schemas[topic] === undefined) return state;
  return {
    ...state,
    repinned: withEntry(state.repinned ?? recordOf([]), topic, seq),
    baselines: withoutEntry(state.baselines, topic),
    candidates: withoutEntry(state.candidates, topic),
    verdicts: withoutClean(state.verdicts, topic),
  };
}

function withUnjudged(
  { unjudged = recordOf([]), ...state }: ControlState,
  ref: string,
  logs: readonly string[] = [],
): ControlState {
  const others = withoutEntry(unjudged, ref);
  const next = logs.length === 0 ? others : withEntry(others, ref, [...logs]);
  return Object.keys(next).length === 0 ? state : { ...state, unjudged: next };
}

/**
 * What stays of the decisions and verdicts once the ref has moved: that a batch is condemned.
 * @param waiting logs of which all else stays, too.
 */
function openCases(
  { decisions, verdicts }: ControlState,
  waiting: readonly string[] = [],
): Pick<ControlState, 'decisions' | 'verdicts'> {
  const logs = new Set(waiting);
  return {
    decisions: recordOf(
      Object.entries(decisions).filter(([, { outcome, log }]) => outcome === 'condemned' || logs.has(log)),
    ),
    verdicts: recordOf(Object.entries(verdicts).filter(([, { log }]) => logs.has(log))),
  };
}

/** Verdicts without those that called a batch of the topic clean: by a baseline that is no longer in force. */
function withoutClean(verdicts: ControlState['verdicts'], topic: string): ControlState['verdicts'] {
  const isKept = ({ outcome, log }: ControlState['verdicts'][string]): boolean =>
    outcome === 'suspect' || parseLogId(log)?.topic !== topic;
  return recordOf(Object.entries(verdicts).filter(([, verdict]) => isKept(verdict)));
}
