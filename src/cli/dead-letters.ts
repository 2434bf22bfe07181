import type { Baseline } from '../detect/baseline/baseline.ts';
import type { UndecodedRecords } from '../detect/profile.ts';
import { DEAD_LETTERS_TOLD, describeCause, type DeadLetterCause } from '../record/dead-letter.ts';
import { counted, formatCount } from './output.ts';

/** Causes that a sentence names. */
const TOLD_MAX = 3;
const PAGE = 'docs/reference/dead-letters.md';

/** `10,058 of 30,000 records (33.5 %)`. */
export function describeShare({ records, deadLetters }: Omit<UndecodedRecords, 'causes'>): string {
  return `${formatCount(deadLetters)} of ${formatCount(records)} records (${formatShare(deadLetters / records)})`;
}

/** ` (58 more are dead letters)`, behind a number of rows; nothing for none. */
export function besides(deadLetters: number): string {
  if (deadLetters === 0) return '';
  return ` (${formatCount(deadLetters)} more ${deadLetters === 1 ? 'is a dead letter' : 'are dead letters'})`;
}

/** ` (58 dead letters)`, behind a number of records, decoded or not; nothing for none. */
export function ofThem(deadLetters: number): string {
  return deadLetters === 0 ? '' : ` (${counted(deadLetters, 'dead letter')})`;
}

/** `33.5 %`, and never 0 % of some, nor 100 % of all but some. */
function formatShare(share: number): string {
  const percent = Number((100 * share).toPrecision(3));
  if (percent === 100 && share < 1) return '> 99.9 %';
  return percent < 0.01 ? '< 0.01 %' : `${percent} %`;
}

/** `10,000 for wrong-type in column "amount", 58 for syntax`; null where no cause is known. @param causes the most frequent first */
export function describeCauses(causes: readonly DeadLetterCause[]): string | null {
  if (causes.length === 0) return null;
  const told = causes.slice(0, TOLD_MAX).map((cause) => `${formatCount(cause.records)} for ${describeCause(cause)}`);
  const more = causes.length - TOLD_MAX;
  return `${told.join(', ')}${more > 0 ? `, and ${formatCount(more)} more ${more === 1 ? 'cause' : 'causes'}` : ''}`;
}

/**
 * Sentences on what a baseline was learned from that did not decode, as a warning where they are many.
 */
export function describeUndecoded({ undecoded, undecodedMax }: Pick<Baseline, 'undecoded' | 'undecodedMax'>): string[] {
  if (undecoded === undefined) return [];
  const { records, deadLetters, causes } = undecoded;
  const why = describeCauses(causes);
  const because = why === null ? '' : `: ${why}`;
  if (deadLetters / records <= DEAD_LETTERS_TOLD) return [`${describeShare(undecoded)} do not decode${because}`];
  const most = undecodedMax === undefined ? '' : `, up to ${formatShare(undecodedMax)} of a batch`;
  return [
    `warning: ${describeShare(undecoded)} do not decode, which is usual by this baseline${most}${because}`,
    `  mend: ${wayOut(causes)}, and learn again`,
  ];
}

/** What leads out of the commonest cause. @param causes the most frequent first */
export function wayOut([first]: readonly DeadLetterCause[]): string {
  const mend =
    first === undefined || first.column === null
      ? 'mend what writes them'
      : 'write the type that headgate schema show has, or configure another and headgate schema pin it';
  return `${mend}, and send these records again (${PAGE})`;
}

/** A line a cause, with one record as an example, and what leads out. @param causes of one batch, the most frequent first */
export function listCauses(causes: readonly DeadLetterCause[]): string[] {
  if (causes.length === 0) return [];
  const each = causes.map((cause) => {
    const at = cause.offset === null ? '' : `, such as offset ${formatCount(cause.offset)}`;
    return `${formatCount(cause.records)} for ${describeCause(cause)}${at}`;
  });
  return [...each, `mend: ${wayOut(causes)}`];
}
