import { beforeAll, describe, expect, it } from 'vitest';

import type { ListPage, ObjectStore } from '../../src/ports/object-store.ts';
import type { StorePlace } from './object-store.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const KIB_MAX = 1_024;

/** What the suite has opened: two stores on one place, and a folder for itself. */
export interface OpenedPlace {
  readonly place: StorePlace;
  readonly store: ObjectStore;
  readonly other: ObjectStore;
  readonly folder: string;
}

/** Names that a place may hold although no store would take them as keys: spaces, other alphabets, controls, folder marks. */
const STRANGE_NAMES = [
  'a b',
  'ä',
  'b+c',
  'b&c<d>"\'',
  'b\nc',
  '\u0001',
  '😀',
  '?x=1',
  '#x',
  'mark/',
  `long${'x'.repeat(240)}\\`,
];

/** The part of the contract of object stores that is about listing. @param opened called when the suite has begun */
export function listingContract(opened: () => OpenedPlace): void {
  describe('list', () => {
    let place: StorePlace;
    let store: ObjectStore;
    let other: ObjectStore;
    let folder: string;

    beforeAll(() => {
      ({ place, store, other, folder } = opened());
    });

    const key = (rest: string): string => `${folder}/${rest}`;

    it('lists keys in byte order, by pages, only below the prefix', async () => {
      const names = ['a-b', 'a.b', 'a/x', 'a/y', 'a0', 'b/c/d', 'b/c=d', 'b/c~'];
      for (const each of names) await store.create(key(`list/${each}`), bytes(each));
      await store.create(key('list-not/x'), bytes('x'));
      const sorted = names.map((each) => key(`list/${each}`)).sort();
      expect(keysOf(await store.list(key('list/'), { limit: 100 }))).toEqual(sorted);
      for (const limit of [1, 2, 3, 7]) expect(await keysByPages(store, key('list/'), limit)).toEqual(sorted);
      expect(keysOf(await store.list(key('list/a/'), { limit: 10, startAfter: key('list/a/x') }))).toEqual([
        key('list/a/y'),
      ]);
      expect(await store.list(key('void/'), { limit: 10 })).toEqual({ objects: [], next: null });
    });

    it('says that nothing follows when a page is exactly full', async () => {
      for (const each of ['1', '2', '3']) await store.create(key(`full/${each}`), bytes(each));
      expect((await store.list(key('full/'), { limit: 2 })).next).toBe(key('full/2'));
      expect((await store.list(key('full/'), { limit: 3 })).next).toBeNull();
      expect(await store.list(key('full/'), { limit: 3, startAfter: key('full/3') })).toEqual({
        objects: [],
        next: null,
      });
    });

    it('starts behind any key, whether it is there, lies before all, or behind all', async () => {
      for (const each of ['b', 'd', 'f']) await store.create(key(`start/${each}`), bytes(each));
      const after = async (startAfter: string): Promise<string[]> =>
        keysOf(await store.list(key('start/'), { limit: 10, startAfter: key(startAfter) }));
      const [b, d, f] = [key('start/b'), key('start/d'), key('start/f')];
      expect(await after('start/a')).toEqual([b, d, f]);
      expect(await after('start/c')).toEqual([d, f]);
      expect(await after('start/d')).toEqual([f]);
      expect(await after('start/d~')).toEqual([f]);
      expect(await after('start/f/x')).toEqual([]);
      expect(await after('a')).toEqual([b, d, f]);
      expect(await after('z')).toEqual([]);
    });

    it('gives the keys of a thousand objects and more, once each', async () => {
      const names = Array.from({ length: 1_003 }, (_, i) => key(`many/${String(i).padStart(5, '0')}`));
      for (let i = 0; i < names.length; i += 50)
        await Promise.all(names.slice(i, i + 50).map((each) => store.create(each, bytes('x'))));
      const first = await store.list(key('many/'), { limit: 1_000 });
      expect(keysOf(first)).toEqual(names.slice(0, 1_000));
      expect(await keysByPages(store, key('many/'), 1_000)).toEqual(names);
    });

    it('tells names apart that differ in case or in their escapes, and gives them back as they are', async () => {
      const names = ['%', '%25', '%2F', '%2f', '%41', 'A', 'a', 'a%20b', 'a..b', '...', '=', '~', '_', '-'];
      for (const each of names) expect(await store.create(key(`names/${each}`), bytes(each))).toBe('created');
      expect(keysOf(await store.list(key('names/'), { limit: 100 }))).toEqual(
        names.map((each) => key(`names/${each}`)).sort(),
      );
      for (const each of names) expect((await other.get(key(`names/${each}`), KIB_MAX))!.toString()).toBe(each);
    });

    it('shows what another store has just created, and no more what it has deleted', async () => {
      for (let i = 0; i < 5; i++) {
        await other.create(key(`fresh/${i}`), bytes('x'));
        expect(keysOf(await store.list(key('fresh/'), { limit: 10 }))).toEqual([key(`fresh/${i}`)]);
        await other.delete(key(`fresh/${i}`));
        expect(keysOf(await store.list(key('fresh/'), { limit: 10 }))).toEqual([]);
      }
    });

    it('changes the tag of a listed object with its content', async () => {
      await store.put(key('tagged/x'), bytes('1'));
      const before = (await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag;
      expect((await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag).toBe(before);
      await store.put(key('tagged/x'), bytes('2'));
      expect((await store.list(key('tagged/'), { limit: 10 })).objects[0]!.tag).not.toBe(before);
    });

    it('loses none of our keys among those that someone else has put there', async () => {
      const ours = ['a', 'b', 'm', 'n/x', 'z'].map((each) => key(`strange/${each}`));
      for (const each of ours) await store.create(each, bytes('x'));
      let planted = 0;
      for (const each of place.plant === null ? [] : STRANGE_NAMES)
        await place.plant!(key(`strange/${each}`), bytes(each.endsWith('/') ? '' : 'x')).then(
          () => planted++,
          () => undefined,
        );
      if (place.plant !== null) expect(planted).toBeGreaterThan(5);
      for (const limit of [1, 2, 100]) {
        const found = await keysByPages(store, key('strange/'), limit);
        expect(found.filter((each) => ours.includes(each))).toEqual(ours);
        expect(new Set(found).size).toBe(found.length);
      }
    });
  });
}

/** Keys of a page. */
export function keysOf({ objects }: ListPage): string[] {
  return objects.map((object) => object.key);
}

/** All keys below a prefix; throws where paging would never end. */
async function keysByPages(store: ObjectStore, prefix: string, limit: number): Promise<string[]> {
  const keys: string[] = [];
  for (let next: string | null = ''; next !== null;) {
    const page: ListPage = await store.list(prefix, { limit, ...(next === '' ? {} : { startAfter: next }) });
    expect(page.objects.length).toBeLessThanOrEqual(limit);
    if (page.next !== null && page.next <= next) throw new Error(`The page after ${next} leads to ${page.next}`);
    keys.push(...keysOf(page));
    next = page.next;
  }
  return keys;
}
