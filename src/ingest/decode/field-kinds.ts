import type { ColumnType } from '../../record/schema.ts';

/** What a field's value must be; the number is what the hot path switches on. */
export const FIELD_KINDS = {
  boolean: 0,
  int64: 1,
  float64: 2,
  decimal: 3,
  string: 4,
  timestamp: 5,
  json: 6,
  object: 7,
} as const satisfies Record<ColumnType | 'object', number>;
