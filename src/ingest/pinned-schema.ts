import { IntegrityError } from '../errors.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, parseJson } from '../ledger/objects.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { schemaDigest, type Schema } from '../record/schema.ts';
import { checkSchema } from './decode/schema-check.ts';

/**
 * Reads a schema that the control log has pinned.
 * @param sha256 its digest, hex.
 * @throws IntegrityError when it is not there, or no schema in the stored form; UnavailableError
 */
export async function readPinnedSchema(
  { store, layout }: { readonly store: ObjectStore; readonly layout: Layout },
  sha256: string,
): Promise<Schema> {
  const key = layout.schema(sha256);
  const schema = parseJson(await getVerified(store, key, sha256, BYTES_MAX.schema), key) as Schema;
  try {
    if (schemaDigest(schema) === sha256) checkSchema(schema, schema.format);
    else throw new TypeError('it is not in the stored form');
  } catch (cause) {
    throw new IntegrityError('PAYLOAD_INVALID', key, `Cannot read "${key}": it is not a schema`, { cause });
  }
  return schema;
}
