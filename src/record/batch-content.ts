import type { DecodedColumns } from './columns.ts';
import type { LogId } from './log-id.ts';
import type { RawRecords } from './raw-records.ts';

/** All that one batch holds, before encoding or after decoding back. */
export interface BatchContent {
  readonly log: LogId;
  /** First offset accounted for. */
  readonly start: number;
  /** Past the last offset accounted for. */
  readonly end: number;
  readonly leafVersion: number;
  /** 32 secret bytes that the salts of all leaves derive from; they lie only in the data files. */
  readonly batchKey: Uint8Array;
  /** Records that decoded, and their columns row by row. */
  readonly decoded: { readonly raw: RawRecords; readonly columns: DecodedColumns };
  /** Records that did not, and why (codes of DEAD_LETTER_REASONS). */
  readonly dead: { readonly raw: RawRecords; readonly reasons: Uint8Array };
}
