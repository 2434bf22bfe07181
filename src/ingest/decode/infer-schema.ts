import { RequestError } from '../../errors.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import { type Column, columnName, COLUMNS_MAX, escapePath, type Schema, SYSTEM_COLUMNS } from '../../record/schema.ts';
import { CsvShapes } from './csv-shapes.ts';
import { type FieldDecision, tooManyFields } from './field-decision.ts';
import { JsonShapes } from './json-shapes.ts';
import { checkSchema } from './schema-check.ts';
import { quoteName } from '../../record/quote-name.ts';

/** Most records that a schema is learned from; the rest of a sample is not read. */
export const SAMPLE_RECORDS_MAX = 10_000;

/** Records to learn a schema from, laid out like the values of a RecordChunk. */
export interface SchemaSample {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Start and length of each record in `bytes`; a length of −1 (a null value) counts as refused. */
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  /** Column names of CSV (see `parseCsvHeader`); not used for JSON. */
  readonly header?: readonly string[];
  /** As in CsvDecodeOptions, as is the delimiter; not used for JSON. */
  readonly nullValues?: readonly string[];
  readonly delimiter?: CsvDelimiter;
}

/** A schema for the operator to look at and pin. */
export interface InferredSchema {
  readonly schema: Schema;
  /** Choices that are worth a look, one sentence each; names are quoted. */
  readonly notes: readonly string[];
  readonly recordsRead: number;
  /** Records that no schema could decode, and which taught nothing. */
  readonly recordsRefused: number;
}

/**
 * Learns the shape of rows from at most SAMPLE_RECORDS_MAX records: all fields in order of first appearance, nested
 * objects flattened, each with the narrowest type that holds the values seen digit by digit. Up to a hundredth of a field's
 * values have no say, so that a few odd records cannot take a column's type away; a note tells. Same sample, same schema.
 * @throws {RequestError} REQUEST_INVALID if no record can be decoded, or the fields pass COLUMNS_MAX or COLUMN_NAME_BYTES_MAX.
 * Trust: the sample is hostile.
 */
export function inferSchema(format: Schema['format'], sample: SchemaSample): InferredSchema {
  const count = Math.min(sample.count, SAMPLE_RECORDS_MAX);
  const { header = [], nullValues = [''], delimiter = ',' } = sample;
  const shapes = format === 'json' ? new JsonShapes() : new CsvShapes(header, nullValues, delimiter);
  let recordsRefused = 0;
  for (let i = 0; i < count; i++) {
    if (!shapes.add(sample.bytes, sample.starts[i]!, sample.lengths[i]!)) recordsRefused++;
  }
  if (recordsRefused === count) {
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot infer a schema: ${count === 1 ? 'the only record cannot' : `none of ${count} records can`} be decoded as ${format}`,
      { fields: { decodable: 0 } },
    );
  }
  const fields = shapes.decide();
  if (fields.length > COLUMNS_MAX) throw tooManyFields(fields.length);
  const schema: Schema = { version: 1, format, columns: nameColumns(fields) };
  checkSchema(schema, format);
  const notes = fields
    .filter(({ decision }) => decision.note !== undefined)
    .map(({ path, decision }) => `Column ${quoteName(escapePath(path))} ${decision.note}`);
  if (recordsRefused > 0) notes.push(`${recordsRefused} of ${count} records cannot be decoded and taught nothing`);
  return { schema, notes, recordsRead: count, recordsRefused };
}

/** Gives each field a name of its own: one that belongs to the system gets prefixes until no other field has it. */
function nameColumns(fields: readonly FieldDecision[]): Column[] {
  const taken = new Set(fields.filter(({ path }) => !isSystemPath(path)).map(({ path }) => columnName(path)));
  return fields.map(({ path, decision }) => {
    const { type, precision, scale, unit } = decision;
    let name = columnName(path);
    if (isSystemPath(path)) {
      while (taken.has(name)) name = `user${name}`;
      taken.add(name);
    }
    return {
      name,
      path,
      type,
      ...(precision === undefined ? {} : { precision }),
      ...(scale === undefined ? {} : { scale }),
      ...(unit === undefined ? {} : { unit }),
    };
  });
}

function isSystemPath(path: readonly string[]): boolean {
  return (SYSTEM_COLUMNS as readonly string[]).includes(escapePath(path));
}
