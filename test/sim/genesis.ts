import { createPrivateKey, createPublicKey, sign } from 'node:crypto';

import { MemoryStore } from '../../src/adapters/memory/store.ts';
import { TrustRoot, type Role } from '../../src/ledger/trust.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Signer } from '../../src/ports/signer.ts';
import type { Profile } from '../../src/detect/profile.ts';
import { BatchBuilder } from '../../src/ingest/batch-builder.ts';
import { createJsonDecoder } from '../../src/ingest/decode/json-decoder.ts';
import { observeBatch, profileBatch } from '../../src/ingest/judge-batch.ts';
import type { TopicContext } from '../../src/ingest/topic.ts';
import { encodeSchema, schemaDigest, type Schema } from '../../src/record/schema.ts';
import { sshFingerprint } from '../../src/record/public-key.ts';
import { sha256Hex } from '../../src/record/sha256.ts';
import { approve } from '../../src/respond/approve-baseline.ts';
import { learn } from '../../src/respond/learn-baseline.ts';
import { openLedger } from '../../src/respond/ledger-context.ts';
import { makeChunk } from '../support/chunk.ts';
import { orderOf } from './orders.ts';
import { SeededRng } from './rng.ts';
import type { SharedStore } from './store.ts';
import { WORLD_BEGINS_MS } from './world.ts';

/** Topics of simulations: the first of them, or both. */
export const TOPICS = ['orders', 'returns'] as const;
export const REF = 'main';
export const PIPELINE = 'sim';
export const SKETCH_SEED = 7;
/** Reason of a rollback that asks for the last clean snapshot, so that whoever reads the entry can hold it to that. */
export const LAST_CLEAN_REASON = 'back to what was clean';

/** What records look like. */
export const SCHEMA: Schema = {
  version: 1,
  format: 'json',
  columns: [
    { name: 'id', path: ['id'], type: 'int64' },
    { name: 'amount', path: ['amount'], type: 'float64' },
    { name: 'city', path: ['city'], type: 'string' },
  ],
};

/** Schemas that a person pins in turn: as they were, and without the city. */
export const SCHEMAS: readonly Schema[] = [SCHEMA, { ...SCHEMA, columns: SCHEMA.columns.slice(0, 2) }];

const HISTORY_BATCHES = 12;
const HISTORY_BATCH_RECORDS = 40;

/** Keys of the roles, made from their names: signatures of Ed25519 follow from key and text alone. */
export const KEYS: Readonly<Record<Role, Signer>> = {
  ingest: signerOf('ingest'),
  publisher: signerOf('publisher'),
  approver: signerOf('approver'),
  janitor: signerOf('janitor'),
};

export const TRUST = TrustRoot.of(
  {
    version: 1,
    pipeline: PIPELINE,
    keys: Object.entries(KEYS).map(([role, { keyId, publicKeyPem }]) => ({
      keyId,
      name: role,
      roles: [role],
      publicKey: publicKeyPem,
    })),
  },
  'simulated trust file',
);

let made: Promise<ReadonlyMap<string, Uint8Array>> | null = null;

/** Fills a store with what a pipeline has before its first record: a pinned schema, and a baseline in force. */
export async function putGenesis(store: SharedStore): Promise<void> {
  for (const [key, bytes] of await (made ??= makeGenesis())) store.put(key, bytes);
}

async function makeGenesis(): Promise<ReadonlyMap<string, Uint8Array>> {
  const store = new MemoryStore();
  const ledger = openLedger(store, TRUST, standingClock);
  const { signal } = new AbortController();
  const schema = schemaDigest(SCHEMA);
  await store.create(ledger.layout.schema(schema), encodeSchema(SCHEMA));
  const reason = 'before the first record';
  const by = 'a person';
  for (const topic of TOPICS) {
    await ledger.control.append(KEYS.ingest, () => ({ kind: 'schema', by: 'ingest', topic, schema, reason }), signal);
    await learn(ledger, topic, historyOf(schema, 1), { signer: KEYS.publisher, by, reason }, signal);
    await approve(ledger, topic, undefined, { signer: KEYS.approver, by, reason }, signal);
  }
  const objects = new Map<string, Uint8Array>();
  for (const { key } of (await store.list('', { limit: 1_000 })).objects)
    objects.set(key, (await store.get(key, Number.MAX_SAFE_INTEGER))!);
  return objects;
}

const histories = new Map<string, readonly Profile[]>();

/** Profiles of a good time, by a schema; the same for the same two, so they are made once. @param which one of several times. */
export function historyOf(schema: string, which: number): readonly Profile[] {
  const id = `${schema} ${which}`;
  const known =
    histories.get(id) ??
    makeHistory(
      SCHEMAS.find((each) => schemaDigest(each) === schema)!,
      which,
    );
  histories.set(id, known);
  return known;
}

function makeHistory(schema: Schema, which: number): readonly Profile[] {
  const rng = new SeededRng(which, 'history');
  const topic = { roles: { label: null, source: null, time: null }, ignoredColumns: [], rules: [] };
  return Array.from({ length: HISTORY_BATCHES }, (_, batch) => {
    const observer = observeBatch(SKETCH_SEED);
    const builder = new BatchBuilder({
      log: { cluster: 'memory', topic: 'any', partition: 'history' },
      topicId: null,
      start: 0,
      limits: { recordsMax: HISTORY_BATCH_RECORDS, bytesMax: 1 << 20, recordBytesMax: 1 << 16, recordTimeMaxMs: null },
      decoder: createJsonDecoder(schema),
      observer,
      batchKey: new Uint8Array(32),
      nowMs: null,
    });
    const records = Array.from({ length: HISTORY_BATCH_RECORDS }, (__, i) => ({
      offset: i,
      value: orderOf(rng, batch * HISTORY_BATCH_RECORDS + i),
      timestamp: BigInt(WORLD_BEGINS_MS - 60_000),
    }));
    builder.add(makeChunk(records, { from: 0 }), 0);
    const sealed = { built: builder.finish(), observer, topic: topic as unknown as TopicContext };
    return profileBatch(sealed, SKETCH_SEED, null, null);
  });
}

function signerOf(name: string): Signer {
  // PKCS#8 of an Ed25519 key: a fixed head and 32 bytes. Source: RFC 8410 §7.
  const head = Buffer.from('302e020100300506032b657004220420', 'hex');
  const der = Buffer.concat([head, Buffer.from(sha256Hex(Buffer.from(name)), 'hex')]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKeyPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return { keyId: sshFingerprint(publicKeyPem), publicKeyPem, sign: async (bytes) => sign(null, bytes, key) };
}

const standingClock: Clock = {
  now: () => WORLD_BEGINS_MS - 60_000,
  monotonic: () => 0,
  sleep: async () => undefined,
};
