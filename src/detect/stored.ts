import { Type } from 'typebox';
import { Errors, Check } from 'typebox/value';
import { IntegrityError } from '../errors.ts';
import { NUMBERS_PATTERN } from './sketch/array-text.ts';

/** Pieces of the schemas of stored profiles and baselines. */
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Any finite number; JSON has no others. */
export const Finite = Type.Number();
export const Text = Type.String({ maxLength: 65_536 });
export const Name = Type.String({ maxLength: 1_024 });
export const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
export const Numbers = Type.String({ maxLength: 1_048_576, pattern: NUMBERS_PATTERN });
export const OrNull = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
/** An object with these fields and no others. */
export const Exactly = <T extends Type.TProperties>(fields: T) => Type.Object(fields, { additionalProperties: false });

/** Counts of the most frequent values, as stored; `error` bounds how far each count may be too high. */
export const TopValuesSchema = Exactly({
  values: Type.Array(Text, { maxItems: 256 }),
  counts: Type.Array(Type.Integer({ minimum: 1 }), { maxItems: 256 }),
  other: Count,
  error: Count,
});

/** Reads bytes that claim to be a stored `kind`.
 * Trust: `bytes` may be hostile; size, UTF-8, JSON and shape are checked before anything is used.
 * @throws {IntegrityError} SIZE_EXCEEDED beyond `bytesMax`; PAYLOAD_INVALID for anything that does not fit `schema`. */
export function readStored<T extends Type.TSchema>(
  kind: string,
  bytes: Uint8Array,
  bytesMax: number,
  schema: T,
): Type.Static<T> {
  if (bytes.length > bytesMax) {
    const message = `Cannot read ${kind}: it has ${bytes.length} bytes, at most ${bytesMax} are allowed`;
    throw new IntegrityError('SIZE_EXCEEDED', kind, message);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new IntegrityError('PAYLOAD_INVALID', kind, `Cannot read ${kind}: it is not JSON in UTF-8`, { cause });
  }
  return checkStored(kind, value, schema);
}

/** A value that claims to be a stored `kind`, already parsed.
 * @throws {IntegrityError} PAYLOAD_INVALID for anything that does not fit `schema`. */
export function checkStored<T extends Type.TSchema>(kind: string, value: unknown, schema: T): Type.Static<T> {
  if (Check(schema, value)) return value;
  const fault = Errors(schema, value)[0];
  // The place is told, never the value: it may be a record's.
  throw invalid(
    kind,
    `${fault?.instancePath === '' ? 'the whole' : (fault?.instancePath ?? '?')} ${fault?.message ?? 'is malformed'}`,
  );
}

/** The error for stored data whose parts do not fit together. */
export function invalid(kind: string, why: string): IntegrityError {
  return new IntegrityError('PAYLOAD_INVALID', kind, `Cannot read ${kind}: ${why}`);
}
