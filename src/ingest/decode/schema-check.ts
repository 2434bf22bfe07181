import { RequestError } from '../../errors.ts';
import { COLUMN_NAME_BYTES_MAX, COLUMNS_MAX, type Column, DEPTH_MAX, type Schema } from '../../record/schema.ts';
import { quoteName } from '../../record/quote-name.ts';

/** Digits that a 128-bit decimal always holds. */
export const DECIMAL_PRECISION_MAX = 38;

/**
 * Checks that a decoder can work with `schema`.
 * @throws {RequestError} REQUEST_INVALID if it has another format, too many columns, a column without what its type
 * needs, an unusable name, or two columns of one name or path.
 * Trust: a pinned schema is signed, but it was learned from hostile records.
 */
export function checkSchema(schema: Schema, format: Schema['format']): void {
  if (schema.format !== format) {
    throw new RequestError('REQUEST_INVALID', `Cannot decode ${format}: the schema is for ${schema.format}`);
  }
  if (schema.columns.length > COLUMNS_MAX) {
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot use the schema: it has ${schema.columns.length} columns, at most ${COLUMNS_MAX} are allowed`,
    );
  }
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const column of schema.columns) {
    checkColumn(column, format);
    const path = JSON.stringify(column.path);
    if (names.has(column.name) || paths.has(path)) throw invalid(column, 'another column has the same name or path');
    names.add(column.name);
    paths.add(path);
  }
}

function checkColumn(column: Column, format: Schema['format']): void {
  if (Buffer.byteLength(column.name) > COLUMN_NAME_BYTES_MAX) {
    throw invalid(column, `its name has more than ${COLUMN_NAME_BYTES_MAX} bytes`);
  }
  const { path } = column;
  const segmentsMax = format === 'csv' ? 1 : DEPTH_MAX;
  if (path.length === 0 || path.length > segmentsMax) {
    throw invalid(column, `its path has ${path.length} segments, expected 1 to ${segmentsMax}`);
  }
  if (path.some((segment) => Buffer.byteLength(segment) > COLUMN_NAME_BYTES_MAX)) {
    throw invalid(column, `its path has a segment of more than ${COLUMN_NAME_BYTES_MAX} bytes`);
  }
  if (path.some((segment) => /\p{Surrogate}/u.test(segment))) {
    throw invalid(column, 'its path holds a lone surrogate, which no record can');
  }
  if (path.includes('__proto__') || path.some((key, i) => key === 'constructor' && path[i + 1] === 'prototype')) {
    throw invalid(column, 'its path could change the prototype of objects in readers of the data');
  }
  if (column.type === 'timestamp' && column.unit === undefined) throw invalid(column, 'it has no unit');
  if (column.type === 'decimal') {
    const { precision = 0, scale = -1 } = column;
    const fits =
      Number.isInteger(precision) && Number.isInteger(scale) && precision >= 1 && precision <= DECIMAL_PRECISION_MAX;
    if (!fits || scale < 0 || scale > precision) {
      throw invalid(column, `its precision ${precision} and scale ${scale} are not those of a decimal`);
    }
  }
}

/** An error about one column; its name is cut and quoted, because it comes from hostile records. */
export function invalid(column: Pick<Column, 'name'>, fault: string): RequestError {
  return new RequestError('REQUEST_INVALID', `Cannot use column ${quoteName(column.name)}: ${fault}`);
}
