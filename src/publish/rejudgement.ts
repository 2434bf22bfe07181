import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { canonicalJson } from '../record/canonical.ts';
import type { Judgement } from '../detect/judgement.ts';
import { IntegrityError } from '../errors.ts';
import type { BatchRef } from '../ledger/control-entry.ts';
import { parseJson } from '../ledger/objects.ts';
import { Count, Sha256 } from '../ledger/stored-types.ts';
import type { NewBatch } from './news.ts';
import { refOf } from './reconsider.ts';

const RejudgementSchema = Type.Object({
  version: Type.Literal(1),
  /** `union`: small batches were judged as one; `each`: every batch by itself. */
  as: Type.Union([Type.Literal('union'), Type.Literal('each')]),
  batches: Type.Array(Type.Object({ log: Type.String(), slot: Count, digest: Sha256, judgement: Count })),
  judgements: Type.Array(Type.Object({ outcome: Type.String(), findings: Type.Array(Type.Unknown()) })),
});

/**
 * Judgements of stored batches that were judged again, as they lie in the store under the digest that a verdict entry
 * names. Batches that one judgement covers share it.
 */
export interface Rejudgement extends Omit<Static<typeof RejudgementSchema>, 'judgements'> {
  readonly judgements: readonly Judgement[];
}

/** The exact bytes. @param judgements of each batch; those of one union are the same object */
export function encodeRejudgement(
  as: Rejudgement['as'],
  batches: readonly NewBatch[],
  judgements: readonly Judgement[],
): Buffer {
  const distinct = [...new Set(judgements)];
  const named = batches.map((batch, i) => ({ ...refOf(batch), judgement: distinct.indexOf(judgements[i]!) }));
  return Buffer.from(canonicalJson({ version: 1, as, batches: named, judgements: distinct }), 'utf8');
}

/** What a stored judgement says of one batch. */
export interface FoundJudgement {
  readonly judgement: Judgement;
  /** Batches that were judged as one with it, itself included; 1 = judged alone. */
  readonly together: number;
  /** Those, in the order of the judgement; none when it was judged alone. */
  readonly union: readonly BatchRef[];
}

/** The judgement of one batch; null if it is not among them. The caller has checked the digest of the bytes. @throws IntegrityError PAYLOAD_INVALID */
export function findJudgement(bytes: Uint8Array, object: string, digest: string): FoundJudgement | null {
  const value = parseJson(bytes, object);
  if (!Value.Check(RejudgementSchema, value))
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not a judgement of version 1`);
  const { as, batches, judgements } = value as unknown as Rejudgement;
  const place = batches.find((batch) => batch.digest === digest)?.judgement;
  const judgement = place === undefined ? undefined : judgements[place];
  if (judgement === undefined) return null;
  const alike = batches.filter((batch) => batch.judgement === place);
  const union =
    as === 'each' || alike.length === 1 ? [] : alike.map(({ log, slot, digest: own }) => ({ log, slot, digest: own }));
  return { judgement, together: Math.max(1, union.length), union };
}
