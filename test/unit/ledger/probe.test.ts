import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { systemRng } from '../../../src/adapters/system/rng.ts';
import { UncertainError } from '../../../src/errors.ts';
import { Layout } from '../../../src/ledger/layout.ts';
import { probeFully, probeStore } from '../../../src/ledger/probe.ts';
import type { ListPage, ObjectStore } from '../../../src/ports/object-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { keysOf } from '../../support/ledger.ts';

const layout = new Layout('shop');
const clock = new LeapingClock();
const probe = (store: ObjectStore) => probeStore(store, layout, clock, systemRng);
const refused = (why: RegExp) => ({
  code: 'STORE_NOT_ATOMIC',
  name: 'ConfigError',
  message: expect.stringMatching(why) as string,
});
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A server's store, which is tried harder. */
class ServerStore extends StoreDecorator {
  override get arbiter(): 'server' {
    return 'server';
  }
}

/** Counts the calls of create, and how many are under way at most. */
class CountingStore extends StoreDecorator {
  created = 0;
  atOnce = 0;
  #running = 0;

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    this.created++;
    this.atOnce = Math.max(this.atOnce, ++this.#running);
    await later();
    this.#running--;
    return super.create(key, bytes);
  }
}

/** Checks, then writes: two at once can both find the key free. */
class RacyStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const found = await this.inner.stat(key);
    await later();
    if (found !== null) return 'exists';
    await this.inner.put(key, bytes);
    return 'created';
  }
}

/** Does not know If-None-Match. */
class UnconditionalStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.inner.put(key, bytes);
    return 'created';
  }
}

/** One writer at a time, but a second one may write anew once the first has ended. */
class ForgetfulStore extends StoreDecorator {
  readonly #busy = new Set<string>();

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (this.#busy.has(key)) return 'exists';
    this.#busy.add(key);
    await this.inner.put(key, bytes);
    await later();
    this.#busy.delete(key);
    return 'created';
  }
}

/** Says no, and writes all the same. */
class DishonestStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const outcome = await this.inner.create(key, bytes);
    await this.inner.put(key, bytes);
    return outcome;
  }
}

/** As {@link DishonestStore}, but only when nobody else is writing. */
class SlowlyDishonestStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const outcome = await this.inner.create(key, bytes);
    if (bytes.length === 4) await this.inner.put(key, bytes);
    return outcome;
  }
}

/** Shows writes late. */
class StaleStore extends StoreDecorator {
  override get(): Promise<Buffer | null> {
    return Promise.resolve(null);
  }
}

/** Lists writes late. */
class StaleListStore extends StoreDecorator {
  override list(): Promise<ListPage> {
    return Promise.resolve({ objects: [], next: null });
  }
}

/** Nobody is ever told that he has won. */
class WinnerlessStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.inner.create(key, bytes);
    return 'exists';
  }
}

/** Loses the answers of winners. */
class LossyStore extends StoreDecorator {
  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const outcome = await this.inner.create(key, bytes);
    if (outcome === 'created' && key.includes('race')) throw new UncertainError('STORE_UNCERTAIN', 'Cannot tell');
    return outcome;
  }
}

describe('the store probe', () => {
  let store: MemoryStore;
  let server: ObjectStore;

  beforeEach(() => {
    store = new MemoryStore();
    server = new ServerStore(store);
  });

  it('passes a store that creates once, records how hard it was tried, and cleans up', async () => {
    await probe(server);
    expect(await keysOf(store)).toEqual([layout.probeRecord()]);
    expect(JSON.parse((await store.get(layout.probeRecord(), 1_000))!.toString())).toMatchObject({
      races: 20,
      contenders: 16,
    });
  });

  it('tries a server hard, and this machine’s own primitive as often as shows that it is one', async () => {
    const [hard, easy] = [new CountingStore(server), new CountingStore(new MemoryStore())];
    await probe(hard);
    await probe(easy);
    expect(hard).toMatchObject({ created: 20 * 17 + 1, atOnce: 16 });
    expect(easy).toMatchObject({ created: 2 * 5 + 1, atOnce: 4 });
    await expect(probe(new RacyStore(new MemoryStore()))).rejects.toMatchObject(refused(/4 of 4 racing writers/));
  });

  it.each<[string, (inner: ObjectStore) => ObjectStore, RegExp]>([
    ['lets two racing creates win', (inner) => new RacyStore(inner), /16 of 16 racing writers/],
    ['ignores the condition', (inner) => new UnconditionalStore(inner), /racing writers/],
    ['lets an existing object be created again', (inner) => new ForgetfulStore(inner), /created again/],
    ['keeps another content than the winner’s', (inner) => new DishonestStore(inner), /another content/],
    ['writes although it refuses', (inner) => new SlowlyDishonestStore(inner), /refused has changed/],
    ['hides what was just written', (inner) => new StaleStore(inner), /cannot be read/],
    ['does not list what was just written', (inner) => new StaleListStore(inner), /not listed/],
    ['lets nobody win', (inner) => new WinnerlessStore(inner), /none of 16/],
  ])('refuses a store that %s, says so, and leaves no record', async (_, decorate, why) => {
    await expect(probe(decorate(server))).rejects.toMatchObject(refused(why));
    expect(await store.stat(layout.probeRecord())).toBeNull();
  });

  it('looks again, with one key, at a store that has passed before', async () => {
    await probe(store);
    const counting = new CountingStore(store);
    await probe(counting);
    expect(counting.created).toBe(3);
    await expect(probe(new RacyStore(store))).rejects.toMatchObject(refused(/2 of 2/));
    await expect(probe(new UnconditionalStore(store))).rejects.toMatchObject(refused(/2 of 2/));
  });

  it('does not take a lost answer for a fault', async () => {
    await probeFully(new LossyStore(server), layout, systemRng);
  });
});
