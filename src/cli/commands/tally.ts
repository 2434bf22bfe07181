import type { UnreadEnd } from '../../ports/record-source.ts';
import { counted, formatCount } from '../output.ts';

/** Totals of one run. */
export interface Tally {
  records: number;
  batches: number;
  clean: number;
  suspect: number;
  undecided: number;
  deadLetters: number;
}

/** The end of a file that is left for the next run. */
export interface Unread extends UnreadEnd {
  readonly path: string;
}

/** One line. */
export function describeTally({ records, batches, clean, suspect, undecided, deadLetters }: Tally): string {
  return `${counted(records, 'record')} in ${counted(batches, 'batch')}: ${formatCount(clean)} clean, ${formatCount(suspect)} suspect, ${formatCount(undecided)} undecided; ${counted(deadLetters, 'dead letter')}`;
}

/** One line. */
export function describeUnread({ path, byte, bytes }: Unread): string {
  return `"${path}" is not read from byte ${byte} on: the last ${counted(bytes, 'byte')} have no line break and may not be a whole record; the next run looks again`;
}
