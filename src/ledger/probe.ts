import { ConfigError, UncertainError, UnavailableError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Rng } from '../ports/rng.ts';
import type { Layout } from './layout.ts';

/** How hard a store is tried: how many races, one after the other, and how many writers in each. */
interface Effort {
  readonly races: number;
  readonly contenders: number;
}

/**
 * Servers have let two writers win once in a hundred races. The create of a disk is our own, out of link(2): that is
 * exclusive in every race or in none, as on some shared folders, and Node runs four such calls at once.
 */
const FIRST: Readonly<Record<ObjectStore['arbiter'], Effort>> = {
  server: { races: 20, contenders: 16 },
  machine: { races: 2, contenders: 4 },
};
const AGAIN: Effort = { races: 1, contenders: 2 };
const OBJECT_BYTES_MAX = 64;

/**
 * Finds out whether the store really creates only once and shows writes at once. "Supports conditional writes" has
 * meant otherwise on several servers, and a ledger on such a store can fork.
 *
 * The first probe of a store is the hard one and leaves a record; later ones look again with a single key.
 * @throws ConfigError STORE_NOT_ATOMIC saying what the store did; UnavailableError
 */
export async function probeStore(store: ObjectStore, layout: Layout, clock: Clock, rng: Rng): Promise<void> {
  const known = (await store.stat(layout.probeRecord())) !== null;
  const effort = known ? AGAIN : FIRST[store.arbiter];
  await race(store, layout, rng, effort);
  if (known) return;
  const record = { ...effort, time: new Date(clock.now()).toISOString() };
  await store.create(layout.probeRecord(), Buffer.from(JSON.stringify(record), 'utf8'));
}

/** The first probe again, on request, whatever is recorded. @throws ConfigError STORE_NOT_ATOMIC; UnavailableError */
export function probeFully(store: ObjectStore, layout: Layout, rng: Rng): Promise<void> {
  return race(store, layout, rng, FIRST[store.arbiter]);
}

async function race(store: ObjectStore, layout: Layout, rng: Rng, { races, contenders }: Effort): Promise<void> {
  const run = Buffer.from(rng.bytes(8)).toString('hex');
  for (let i = 0; i < races; i++) {
    const key = layout.probe(run, `race-${i}`);
    try {
      await probeKey(store, key, contenders);
    } finally {
      await store.delete(key).catch(() => undefined);
    }
  }
}

async function probeKey(store: ObjectStore, key: string, contenders: number): Promise<void> {
  const refuse = (what: string): ConfigError =>
    new ConfigError(
      'STORE_NOT_ATOMIC',
      `Cannot keep a ledger in ${store.location}: ${what} (use a store with atomic If-None-Match writes)`,
    );
  const contents = Array.from({ length: contenders }, (_, i) => Buffer.from(`contender ${i}`, 'utf8'));
  const outcomes = await Promise.all(contents.map((bytes) => createOrFail(store, key, bytes)));
  const winners = outcomes.filter((outcome) => outcome === 'created').length;
  const failure = outcomes.find((outcome) => outcome instanceof Error);
  if (winners > 1)
    throw refuse(`${winners} of ${contenders} racing writers of one key were told that they had created it`);
  if (winners === 0 && failure === undefined)
    throw refuse(`none of ${contenders} racing writers of a free key created it`);
  const found = await store.get(key, OBJECT_BYTES_MAX);
  if (found === null && winners === 0)
    throw new UnavailableError(
      'STORE_UNAVAILABLE',
      `Cannot probe ${store.location}: none of ${contenders} racing writers was served (${failure?.message})`,
      { cause: failure },
    );
  if (found === null) throw refuse('an object that was just created cannot be read');
  if (winners === 1 && !found.equals(contents[outcomes.indexOf('created')]!))
    throw refuse('another content than that of the writer who was told that it had won was kept');
  if ((await store.create(key, Buffer.from('late', 'utf8'))) === 'created')
    throw refuse('an existing object was created again');
  if ((await store.get(key, OBJECT_BYTES_MAX))?.equals(found) !== true)
    throw refuse('a write that was refused has changed an existing object');
  const { objects } = await store.list(key.slice(0, key.lastIndexOf('/') + 1), { limit: 1_000 });
  if (!objects.some((object) => object.key === key)) throw refuse('an object that was just created is not listed');
}

async function createOrFail(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
): Promise<'created' | 'exists' | UncertainError | UnavailableError> {
  try {
    return await store.create(key, bytes);
  } catch (error) {
    // Refused for now, by a server that is busy with the others: the race goes on without it.
    if (error instanceof UncertainError || error instanceof UnavailableError) return error;
    throw error;
  }
}
