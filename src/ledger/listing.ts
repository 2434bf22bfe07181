import type { ListedObject, ObjectStore } from '../ports/object-store.ts';

const LIST_PAGE = 1_000;

/** Everything below a prefix, a thousand objects at a time, in ascending key order. @throws UnavailableError */
export async function* pagesOf(
  store: Pick<ObjectStore, 'list'>,
  prefix: string,
): AsyncGenerator<readonly ListedObject[]> {
  let page = await store.list(prefix, { limit: LIST_PAGE });
  yield page.objects;
  while (page.next !== null) {
    page = await store.list(prefix, { limit: LIST_PAGE, startAfter: page.next });
    yield page.objects;
  }
}

/**
 * The first key of a log behind another one; null if there is none. What only lies in the folder, such as a file that some
 * system leaves everywhere, is no entry: verify names it.
 * @param isEntry says which keys entries have. Cost: one LIST, and one for each thousand objects that are no entries.
 */
export async function firstBehind(
  store: ObjectStore,
  folder: string,
  key: string,
  isEntry: (key: string) => boolean,
): Promise<string | null> {
  let limit = 1;
  for (let startAfter = key; ; limit = LIST_PAGE) {
    const page = await store.list(folder, { startAfter, limit });
    const found = page.objects.find((object) => isEntry(object.key));
    if (found !== undefined) return found.key;
    if (page.next === null) return null;
    startAfter = page.next;
  }
}
