import { quoteName } from './quote-name.ts';

/**
 * Why a record did not decode. Stored with the record; the number is what the hot path passes around.
 * Order is part of the stored format: append only. docs/reference/dead-letters.md has each with its meaning.
 */
export const DEAD_LETTER_REASONS = [
  'ok',
  'empty',
  'null-value',
  'invalid-utf8',
  'byte-order-mark',
  'syntax',
  'trailing-data',
  'not-an-object',
  'duplicate-key',
  'lone-surrogate',
  'too-deep',
  'too-many-fields',
  'string-too-long',
  'wrong-type',
  'field-count',
  'record-too-large',
  'unsafe-key',
  'unrepresentable',
] as const;

/** One of {@link DEAD_LETTER_REASONS}. */
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** Codes by name: `DEAD_LETTER.syntax` is the index of 'syntax'. 0 = decoded. */
export const DEAD_LETTER = Object.freeze(
  Object.fromEntries(DEAD_LETTER_REASONS.map((reason, code) => [reason, code])),
) as Readonly<Record<DeadLetterReason, number>>;

/** What some records died of. */
export interface DeadLetterCause {
  readonly reason: DeadLetterReason;
  /** Name of the column that could not take its value; null where a record is no row for another reason. */
  readonly column: string | null;
  readonly records: number;
  /** Offset of one of them; null where it is not known. */
  readonly offset: number | null;
}

/** Share of records that do not decode above which people are warned where nothing else holds a batch. */
export const DEAD_LETTERS_TOLD = 0.01;

/** `wrong-type in column "amount"`. */
export function describeCause({ reason, column }: Pick<DeadLetterCause, 'reason' | 'column'>): string {
  return column === null ? reason : `${reason} in column ${quoteName(column)}`;
}
