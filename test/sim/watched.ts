import type { ControlEntry } from '../../src/ledger/control-entry.ts';
import type { BatchEntry } from '../../src/ledger/partition-entry.ts';
import type { LogId } from '../../src/record/log-id.ts';

/** What is known of one partition log. */
export interface WatchedLog {
  readonly log: LogId;
  slots: number;
  digest: string | null;
  /** First offset that is not accounted for; null before the genesis entry. */
  next: number | null;
  epoch: number;
  writer: string;
}

/** A committed batch, and what was decided on it in the order of the control log. */
export interface WatchedBatch {
  readonly log: LogId;
  readonly digest: string;
  readonly entry: BatchEntry;
  decision: 'released' | 'condemned' | null;
  /** Whether a person has ever decided on it: then nobody needs to be told. */
  isKnown: boolean;
  verdict: 'clean' | 'suspect' | null;
}

/** A control entry as it was created. */
export interface WatchedAct {
  readonly entry: ControlEntry;
  readonly digest: string;
  /** Whether people are told of it. */
  readonly isTold: boolean;
}
