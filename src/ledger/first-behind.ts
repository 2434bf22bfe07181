import type { ObjectStore } from '../ports/object-store.ts';

const LIST_PAGE = 1_000;

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
