import { RequestError } from '../../errors.ts';
import { COLUMN_NAME_BYTES_MAX, COLUMNS_MAX } from '../../record/schema.ts';
import type { ShapeDecision } from './value-shape.ts';

/** One field of the sample: its path and the type that holds all its values. */
export interface FieldDecision {
  readonly path: readonly string[];
  readonly decision: ShapeDecision;
}

/** The error of a sample with more fields than a schema may have. @param count How many were seen when it was given up. */
export function tooManyFields(count: number): RequestError {
  return new RequestError(
    'REQUEST_INVALID',
    `Cannot infer a schema: the sample has ${count} fields or more, at most ${COLUMNS_MAX} are allowed; ` +
      'objects whose keys are data belong into an array or a string',
  );
}

/** The error of a field that can be no column. */
export function nameTooLong(bytes: number): RequestError {
  return new RequestError(
    'REQUEST_INVALID',
    `Cannot infer a schema: the sample has a field whose name has ${bytes} bytes, at most ${COLUMN_NAME_BYTES_MAX} are allowed`,
  );
}
