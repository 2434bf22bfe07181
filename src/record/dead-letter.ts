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
