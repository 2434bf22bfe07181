import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ListPage, ObjectStore } from '../../src/ports/object-store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const KIB_MAX = 1_024;

/** What every object store must do; see the contract in src/ports/object-store.ts. */
export function objectStoreContract(name: string, open: () => Promise<ObjectStore>): void {
  describe(`object store contract: ${name}`, () => {
    let store: ObjectStore;
    let folder: string;

    beforeAll(async () => {
      store = await open();
      folder = `t-${randomUUID()}`;
    });

    afterAll(async () => {
      await store[Symbol.asyncDispose]();
    });

    const key = (rest: string): string => `${folder}/${rest}`;

    it('creates an object once and keeps the first bytes', async () => {
      expect(await store.create(key('once'), bytes('first'))).toBe('created');
      expect(await store.create(key('once'), bytes('second'))).toBe('exists');
      expect(await store.get(key('once'), KIB_MAX)).toEqual(Buffer.from('first'));
    });

    it('lets exactly one of many racing creates win, and shows it at once', async () => {
      for (let round = 0; round < 10; round++) {
        const contenders = Array.from({ length: 16 }, (_, i) => bytes(`${round}:${i}`));
        const outcomes = await Promise.all(contenders.map((content) => store.create(key(`race/${round}`), content)));
        expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
        const winner = contenders[outcomes.indexOf('created')]!;
        expect((await store.get(key(`race/${round}`), KIB_MAX))!).toEqual(Buffer.from(winner));
      }
    });

    it('answers null for what is not there', async () => {
      expect(await store.get(key('nothing'), KIB_MAX)).toBeNull();
      expect(await store.stat(key('nothing'))).toBeNull();
      expect(await store.get(key('nothing/below'), KIB_MAX)).toBeNull();
    });

    it('keeps every byte value and the empty object', async () => {
      const all = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256);
      await store.create(key('all-bytes'), all);
      expect((await store.get(key('all-bytes'), 100_000))!).toEqual(Buffer.from(all));
      await store.create(key('empty'), new Uint8Array());
      expect((await store.get(key('empty'), KIB_MAX))!.length).toBe(0);
    });

    it('refuses to read an object above the cap', async () => {
      await store.create(key('large'), new Uint8Array(2_000));
      await expect(store.get(key('large'), 1_999)).rejects.toMatchObject({ code: 'SIZE_EXCEEDED' });
      expect((await store.get(key('large'), 2_000))!.length).toBe(2_000);
    });

    it('tells size and address', async () => {
      await store.create(key('sized'), bytes('12345'));
      const found = await store.stat(key('sized'));
      expect(found!.bytes).toBe(5);
      expect(found!.uri).toContain(key('sized'));
    });

    it('lists keys in byte order, by pages, only below the prefix', async () => {
      const names = ['a-b', 'a.b', 'a/x', 'a/y', 'a0', 'b/c/d', 'b/c=d', 'b/c~'];
      for (const each of names) await store.create(key(`list/${each}`), bytes(each));
      await store.create(key('list-not/x'), bytes('x'));
      const sorted = names.map((each) => key(`list/${each}`)).sort();
      const keysOf = ({ objects }: ListPage): string[] => objects.map((object) => object.key);
      expect(keysOf(await store.list(key('list/'), { limit: 100 }))).toEqual(sorted);
      const paged: string[] = [];
      for (let next: string | null = ''; next !== null;) {
        const page = await store.list(key('list/'), { limit: 2, ...(next === '' ? {} : { startAfter: next }) });
        expect(page.objects.length).toBeLessThanOrEqual(2);
        paged.push(...keysOf(page));
        next = page.next;
      }
      expect(paged).toEqual(sorted);
      expect(keysOf(await store.list(key('list/a/'), { limit: 10, startAfter: key('list/a/x') }))).toEqual([
        key('list/a/y'),
      ]);
      expect(await store.list(key('void/'), { limit: 10 })).toEqual({ objects: [], next: null });
    });

    it('overwrites with put', async () => {
      await store.put(key('hint'), bytes('1'));
      await store.put(key('hint'), bytes('22'));
      expect((await store.get(key('hint'), KIB_MAX))!.toString()).toBe('22');
    });

    it('changes the tag of a listed object with its content', async () => {
      await store.put(key('tagged/x'), bytes('1'));
      const before = (await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag;
      expect((await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag).toBe(before);
      await store.put(key('tagged/x'), bytes('2'));
      expect((await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag).not.toBe(before);
    });

    it('deletes, twice without complaint', async () => {
      await store.create(key('gone'), bytes('x'));
      await store.delete(key('gone'));
      await store.delete(key('gone'));
      expect(await store.get(key('gone'), KIB_MAX)).toBeNull();
    });

    it.each(['', '/x', 'x/', 'a//b', '../x', 'a/../b', 'a/.', 'a b', 'ä', 'a\nb', 'x'.repeat(901)])(
      'refuses the key %j',
      async (bad) => {
        await expect(store.create(bad, bytes('x'))).rejects.toThrow(RangeError);
        await expect(store.get(bad, KIB_MAX)).rejects.toThrow(RangeError);
      },
    );
  });
}
