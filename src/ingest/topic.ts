import type { PreparedBaseline } from '../detect/baseline/prepare.ts';
import type { Roles } from '../detect/profile.ts';
import type { CompiledRule } from '../detect/rules/rule.ts';
import type { Schema } from '../record/schema.ts';
import type { Decoder } from './decode/decoder.ts';

/** What a batch of one topic is decoded and judged with. Replaced as a whole when the control log moves on. */
export interface TopicContext {
  readonly topic: string;
  readonly schema: Schema;
  /** SHA-256 of the schema, hex. */
  readonly schemaSha256: string;
  /**
   * A decoder for one batch.
   * @param csvHeader of the chunks that the batch is built from: a partition of CSV is one file, so they all carry the same.
   * @throws RequestError REQUEST_INVALID when the header is unusable
   */
  readonly newDecoder: (csvHeader: Uint8Array | undefined) => Decoder;
  readonly roles: Roles;
  readonly rules: readonly CompiledRule[];
  /** Baseline in force; null before there is one. */
  readonly baseline: { readonly sha256: string; readonly prepared: PreparedBaseline } | null;
  /** Newest control entry that this context reflects; −1 before the first. */
  readonly controlSeq: number;
  /** Records that a batch under it may have at most; Infinity for no limit of its own. */
  readonly recordsMax: number;
}
