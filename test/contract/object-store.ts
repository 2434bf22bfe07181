import { randomBytes, randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { UnavailableError, UncertainError } from '../../src/errors.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { keysOf, listingContract } from './object-store-listing.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const KIB_MAX = 1_024;
const MIB = 1_048_576;

/** A place for objects, and what this suite must know of it. */
export interface StorePlace {
  /** A store on it; called more than once, as by several processes. */
  open(): Promise<ObjectStore>;
  /** True where an overwritten object is kept as an older version. */
  readonly keepsVersions: boolean;
  /**
   * Puts an object there as someone else would, under a key below a folder of ours that the port refuses. Rejects if the
   * place cannot hold it; null where nobody else can get at the place.
   */
  readonly plant: ((key: string, bytes: Uint8Array) => Promise<void>) | null;
}

/** What every object store must do; see the contract in src/ports/object-store.ts. */
export function objectStoreContract(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(`object store contract: ${name}`, () => {
    let place: StorePlace;
    let store: ObjectStore;
    let other: ObjectStore;
    let folder: string;

    beforeAll(async () => {
      place = await makePlace();
      store = await place.open();
      other = await place.open();
      folder = `t-${randomUUID()}`;
    });

    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    });

    const key = (rest: string): string => `${folder}/${rest}`;

    describe('create', () => {
      it('creates an object once and keeps the first bytes', async () => {
        expect(await store.create(key('once'), bytes('first'))).toBe('created');
        expect(await store.create(key('once'), bytes('second'))).toBe('exists');
        expect(await store.get(key('once'), KIB_MAX)).toEqual(Buffer.from('first'));
      });

      it('does not take equal bytes for its own: they exist', async () => {
        expect(await store.create(key('equal'), bytes('same'))).toBe('created');
        expect(await store.create(key('equal'), bytes('same'))).toBe('exists');
        expect(await other.create(key('equal'), bytes('same'))).toBe('exists');
        expect(await store.create(key('equal-empty'), bytes(''))).toBe('created');
        expect(await store.create(key('equal-empty'), bytes(''))).toBe('exists');
      });

      it('lets exactly one of many racing creates win, from two stores, and shows it at once to both', async () => {
        for (let round = 0; round < 10; round++) {
          const contenders = Array.from({ length: 16 }, (_, i) => bytes(`${round}:${i}`));
          const outcomes = await Promise.all(
            contenders.map((content, i) => (i % 2 === 0 ? store : other).create(key(`race/${round}`), content)),
          );
          expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
          expect(outcomes.filter((outcome) => outcome === 'exists')).toHaveLength(15);
          const winner = Buffer.from(contenders[outcomes.indexOf('created')]!);
          for (const each of [store, other]) expect(await each.get(key(`race/${round}`), KIB_MAX)).toEqual(winner);
        }
      });

      it('lets exactly one of racing creates of several MiB win, and keeps all of it', async () => {
        const contenders = Array.from({ length: 4 }, (_, i) => Buffer.alloc(3 * MIB + i, i + 1));
        const outcomes = await Promise.all(
          contenders.map((content, i) => (i % 2 === 0 ? store : other).create(key('large-race'), content)),
        );
        expect(outcomes.toSorted()).toEqual(['created', 'exists', 'exists', 'exists']);
        const kept = (await other.get(key('large-race'), 4 * MIB))!;
        expect(kept.equals(contenders[outcomes.indexOf('created')]!)).toBe(true);
      });

      it('creates again what was deleted', async () => {
        expect(await store.create(key('again'), bytes('first'))).toBe('created');
        await store.delete(key('again'));
        const outcome = await store.create(key('again'), bytes('second'));
        // Some servers that keep versions (versitygw 1.8.0, but not AWS) take the mark of a deletion for an object.
        if (place.keepsVersions && outcome === 'exists') {
          expect(await store.get(key('again'), KIB_MAX)).toBeNull();
          return;
        }
        expect(outcome).toBe('created');
        expect(await store.create(key('again'), bytes('third'))).toBe('exists');
        expect((await store.get(key('again'), KIB_MAX))!.toString()).toBe('second');
      });

      it('does not write over what put has written', async () => {
        await store.put(key('put-first'), bytes('put'));
        expect(await store.create(key('put-first'), bytes('created'))).toBe('exists');
        expect((await store.get(key('put-first'), KIB_MAX))!.toString()).toBe('put');
      });
    });

    describe('get', () => {
      it('answers null for what is not there', async () => {
        expect(await store.get(key('nothing'), KIB_MAX)).toBeNull();
        expect(await store.stat(key('nothing'))).toBeNull();
        expect(await store.get(key('nothing/below'), KIB_MAX)).toBeNull();
        expect(await store.stat(key('nothing/below'))).toBeNull();
      });

      it('answers null for the folder of an object', async () => {
        await store.create(key('folder/x'), bytes('x'));
        expect(await store.get(key('folder'), KIB_MAX)).toBeNull();
        expect(await store.stat(key('folder'))).toBeNull();
      });

      it('gives back every byte value and the empty object', async () => {
        const all = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256);
        await store.create(key('all-bytes'), all);
        expect((await store.get(key('all-bytes'), 100_000))!).toEqual(Buffer.from(all));
        await store.create(key('empty'), new Uint8Array());
        expect((await store.get(key('empty'), KIB_MAX))!.length).toBe(0);
        expect((await store.get(key('empty'), 0))!.length).toBe(0);
      });

      it('gives back an object of several MiB, and a part of a larger buffer as that part only', async () => {
        const large = randomBytes(8 * MIB + 13);
        await store.create(key('mebibytes'), large);
        expect((await other.get(key('mebibytes'), large.length))!.equals(large)).toBe(true);
        const part = large.subarray(1_000, 1_000 + 3 * MIB);
        await store.create(key('part'), part);
        expect((await other.get(key('part'), part.length))!.equals(part)).toBe(true);
      });

      it('refuses to read an object above the cap', async () => {
        await store.create(key('large'), new Uint8Array(2_000));
        await expect(store.get(key('large'), 1_999)).rejects.toMatchObject({
          code: 'SIZE_EXCEEDED',
          object: key('large'),
        });
        await expect(store.get(key('large'), 0)).rejects.toMatchObject({ code: 'SIZE_EXCEEDED' });
        expect((await store.get(key('large'), 2_000))!.length).toBe(2_000);
      });

      it('reads other objects after many that were above the cap', async () => {
        await store.create(key('above'), new Uint8Array(MIB));
        await store.create(key('below'), bytes('x'));
        for (let i = 0; i < 5; i++) {
          const reads = Array.from({ length: 20 }, () => store.get(key('above'), KIB_MAX));
          for (const each of await Promise.allSettled(reads)) expect(each.status).toBe('rejected');
        }
        expect((await store.get(key('below'), KIB_MAX))!.toString()).toBe('x');
      });

      it('never gives back a part, or a mixture, of an object that shrinks and grows meanwhile', async () => {
        const contents = [300_000, 10, 0, 1_000_000].map((length, i) => Buffer.alloc(length, i + 1));
        await store.put(key('changing'), contents[0]!);
        const writer = { isDone: false };
        const writing = (async () => {
          for (let i = 0; i < 40; i++) await other.put(key('changing'), contents[i % contents.length]!);
          writer.isDone = true;
        })();
        let whole = 0;
        while (!writer.isDone) {
          const found = await store.get(key('changing'), MIB).catch((error: unknown) => {
            expect(error).toBeInstanceOf(UnavailableError);
            return undefined;
          });
          if (found === undefined) continue;
          expect(contents.some((content) => found !== null && content.equals(found))).toBe(true);
          whole++;
        }
        await writing;
        expect(whole).toBeGreaterThan(0);
      });
    });

    describe('stat', () => {
      it('tells size and address', async () => {
        await store.create(key('sized'), bytes('12345'));
        const found = await store.stat(key('sized'));
        expect(found!.bytes).toBe(5);
        expect(found!.uri).toContain(key('sized'));
        expect(URL.canParse(found!.uri)).toBe(true);
        await store.create(key('sized-empty'), bytes(''));
        expect((await store.stat(key('sized-empty')))!.bytes).toBe(0);
      });

      it('tells the version where the place keeps versions, and none elsewhere', async () => {
        await store.put(key('versioned'), bytes('1'));
        const first = (await store.stat(key('versioned')))!.versionId;
        await store.put(key('versioned'), bytes('2'));
        const second = (await other.stat(key('versioned')))!.versionId;
        if (place.keepsVersions) {
          expect(first).toMatch(/./);
          expect(second).toMatch(/./);
          expect(second).not.toBe(first);
          expect((await store.stat(key('versioned')))!.versionId).toBe(second);
        } else {
          expect([first, second]).toEqual([null, null]);
        }
      });
    });

    listingContract(() => ({ place, store, other, folder }));

    describe('put and delete', () => {
      it('overwrites with put', async () => {
        await store.put(key('hint'), bytes('1'));
        await store.put(key('hint'), bytes('22'));
        expect((await other.get(key('hint'), KIB_MAX))!.toString()).toBe('22');
        await store.put(key('hint'), bytes(''));
        expect((await other.get(key('hint'), KIB_MAX))!.toString()).toBe('');
      });

      it('deletes, twice without complaint', async () => {
        await store.create(key('gone'), bytes('x'));
        await store.delete(key('gone'));
        await store.delete(key('gone'));
        expect(await store.get(key('gone'), KIB_MAX)).toBeNull();
        expect(await store.stat(key('gone'))).toBeNull();
        await store.delete(key('gone/never/was'));
      });
    });

    describe('a call that was stopped before it began', () => {
      const signal = AbortSignal.abort();
      /** Its result, or undefined if it was given up, which is the one other thing that may come of it. */
      const outcomeOf = <Result>(call: Promise<Result>): Promise<Result | undefined> =>
        call.catch((error: unknown) => {
          expect(error).toBeInstanceOf(UnavailableError);
          return undefined;
        });

      it('writes nothing if it says so', async () => {
        const outcome = await outcomeOf(store.create(key('stopped'), bytes('x'), { signal }));
        expect(await store.get(key('stopped'), KIB_MAX)).toEqual(outcome === 'created' ? Buffer.from('x') : null);
      });

      it('reads rightly or not at all', async () => {
        await store.create(key('stopped-read/x'), bytes('x'));
        const got = await outcomeOf(store.get(key('stopped-read/x'), KIB_MAX, { signal }));
        expect([undefined, 'x']).toContain(got?.toString());
        const found = await outcomeOf(store.stat(key('stopped-read/x'), { signal }));
        expect([undefined, 1]).toContain(found?.bytes);
        const page = await outcomeOf(store.list(key('stopped-read/'), { limit: 10 }, { signal }));
        expect([undefined, 1]).toContain(page?.objects.length);
      });
    });

    it('goes on after a call was stopped on its way', async () => {
      for (let i = 0; i < 10; i++) {
        const stop = new AbortController();
        const creating = store
          .create(key(`stop/${i}`), Buffer.alloc(200_000, i), { signal: stop.signal })
          .catch((error: unknown) => {
            if (!(error instanceof UncertainError)) expect(error).toBeInstanceOf(UnavailableError);
            return error;
          });
        setTimeout(() => stop.abort(), i);
        const outcome = await creating;
        const found = await store.get(key(`stop/${i}`), MIB);
        if (outcome === 'created') expect(found).not.toBeNull();
        if (outcome instanceof UnavailableError) expect(found).toBeNull();
        if (found !== null) expect(found.equals(Buffer.alloc(200_000, i))).toBe(true);
      }
    });

    it.each(['', '/x', 'x/', 'a//b', '../x', 'a/../b', 'a/.', '.', 'a b', 'ä', 'a\nb', 'a\\b', 'x'.repeat(901)])(
      'refuses the key %j',
      async (bad) => {
        await expect(store.create(bad, bytes('x'))).rejects.toThrow(RangeError);
        await expect(store.put(bad, bytes('x'))).rejects.toThrow(RangeError);
        await expect(store.get(bad, KIB_MAX)).rejects.toThrow(RangeError);
        await expect(store.stat(bad)).rejects.toThrow(RangeError);
        await expect(store.delete(bad)).rejects.toThrow(RangeError);
      },
    );

    it('takes the longest key that it may', async () => {
      const long = `${folder}/${`${'k'.repeat(200)}/`.repeat(5)}`.slice(0, 899).replace(/\/?$/, 'k');
      expect(await store.create(long, bytes('x'))).toBe('created');
      expect((await store.get(long, KIB_MAX))!.toString()).toBe('x');
      expect(keysOf(await store.list(`${folder}/${'k'.repeat(200)}/`, { limit: 10 }))).toEqual([long]);
    });

    it.each(['a', '/', 'a//', '../', 'a b/'])('refuses to list below %j', async (bad) => {
      await expect(store.list(bad, { limit: 10 })).rejects.toThrow(RangeError);
    });
  });
}
