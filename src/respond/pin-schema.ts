import { RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { putContent } from '../ledger/objects.ts';
import { encodeSchema, schemaDigest, type Schema } from '../record/schema.ts';
import type { LedgerContext } from './ledger-context.ts';
import type { Actor } from './refs.ts';

/** What a person's pin did. */
export interface PinnedSchema {
  /** Digest of the schema that is pinned now. */
  readonly schema: string;
  /** Digest of the one before it; null if there was none. */
  readonly replaced: string | null;
  /** Digest of the baseline that is out of force by it; null if none was in force. */
  readonly baseline: string | null;
}

/**
 * Pins the schema that the batches of a topic are read by from now on; those that are begun are finished under the old one.
 * A pinned schema that is replaced takes the topic's baseline and candidate out of force in the same act: profiles of two
 * schemas do not compare.
 * @param seen digest of the pinned schema that the person has compared it with; null if none was pinned.
 * @throws RequestError when the schema is too large, or another was pinned meanwhile; ConfigError when the key may not sign
 */
export async function pinSchema(
  { store, layout, clock, control }: LedgerContext,
  topic: string,
  schema: Schema,
  seen: string | null,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<PinnedSchema> {
  const bytes = encodeSchema(schema);
  const sha256 = schemaDigest(schema);
  if (bytes.length > BYTES_MAX.schema)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot pin the schema of "${topic}": it has ${bytes.length} bytes, at most ${BYTES_MAX.schema} are allowed`,
    );
  await putContent(store, layout.schema(sha256), bytes, clock, signal);
  let baseline: string | null = null;
  await control.append(
    signer,
    ({ state }) => {
      if ((state.schemas[topic] ?? null) !== seen)
        throw new RequestError(
          'REQUEST_INVALID',
          `Cannot pin the schema of "${topic}": another one was pinned meanwhile (headgate schema show)`,
        );
      baseline = state.baselines[topic] ?? null;
      return { kind: 'schema', by, topic, schema: sha256, reason };
    },
    signal,
  );
  return { schema: sha256, replaced: seen, baseline };
}

/**
 * Makes an act on a baseline, unless another schema than the one it was learned under is pinned meanwhile: then it throws a
 * RequestError. @param pinned digest of the schema that was pinned; undefined if none was.
 */
export function underSchema(
  act: Extract<ControlAct, { kind: 'learn' | 'approve' }>,
  pinned: string | undefined,
): (head: ControlHead) => ControlAct {
  return ({ state }: ControlHead): ControlAct => {
    if (state.schemas[act.topic] === pinned) return act;
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot ${act.kind} a baseline of "${act.topic}": another schema was pinned meanwhile (mend: learn again)`,
    );
  };
}
