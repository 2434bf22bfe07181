import { createPublicKey } from 'node:crypto';

import { controlStatement, type ControlEntry } from '../../src/ledger/control-entry.ts';
import { partitionStatement, type PartitionEntry } from '../../src/ledger/partition-entry.ts';
import { signStatement } from '../../src/ledger/statements/bundle.ts';
import type { Statement } from '../../src/ledger/statements/statement.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { Signer } from '../../src/ports/signer.ts';

/** What a writer could sign who does not keep to the rules. */
export function signPartitionEntry(entry: PartitionEntry, signer: Signer): Promise<Buffer> {
  return sign(partitionStatement(entry, 'shop/log', '0'.repeat(64)), signer);
}

/** As {@link signPartitionEntry}, for the control log. */
export function signControlEntry(entry: ControlEntry, signer: Signer): Promise<Buffer> {
  return sign(controlStatement(entry), signer);
}

/** Signs any statement. */
export function sign(statement: Statement, signer: Signer): Promise<Buffer> {
  return signStatement(statement, signer, createPublicKey(signer.publicKeyPem));
}

/** Puts other bytes under a key, as whoever can write to the store can. */
export async function overwrite(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.put(key, bytes);
}

/** Exchanges two objects. */
export async function swap(store: ObjectStore, a: string, b: string): Promise<void> {
  const [first, second] = [await bytesOf(store, a), await bytesOf(store, b)];
  await store.put(a, second);
  await store.put(b, first);
}

/** The bytes of an object that must be there. */
export async function bytesOf(store: ObjectStore, key: string): Promise<Buffer> {
  const bytes = await store.get(key, 1 << 30);
  if (bytes === null) throw new Error(`"${key}" is not in the store`);
  return bytes;
}
