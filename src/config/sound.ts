import type { ConfigFault } from '../errors.ts';
import { pointer, UNKNOWN_KEY } from './check-shape.ts';

/**
 * Which parts of a configuration have the shape that is wanted: what they mean can be checked although others are wrong, so
 * that a user hears of all faults at once.
 */
export class SoundParts {
  readonly #wrong = new Set<string>();
  /** Everything that has something wrong in it, and the groups that have a key that nobody knows. */
  readonly #around = new Set<string>();
  readonly #puzzling = new Set<string>();

  /** @param faults of the shape, and of references that lead nowhere; each with its JSON pointer, `/` for the whole. */
  constructor(faults: readonly ConfigFault[]) {
    for (const { path, message } of faults) {
      this.#wrong.add(path === '/' ? '' : path);
      if (message.startsWith(UNKNOWN_KEY)) this.#puzzling.add(path.slice(0, path.lastIndexOf('/')));
      for (const above of upFrom(path)) this.#around.add(above);
    }
  }

  /** True when the value itself has the type that is wanted, whatever is wrong inside of it. */
  has(path: string): boolean {
    return !upFrom(path).some((above) => this.#wrong.has(above));
  }

  /** True when nothing at all is wrong in it. */
  hasAll(path: string): boolean {
    return this.has(path) && !this.#around.has(path);
  }

  /** True when a key that is not in this group was not meant to be: none in it is unknown, as a misspelt one would be. */
  hasKeysOf(path: string): boolean {
    return this.has(path) && !this.#puzzling.has(path);
  }

  /** Those items of a list that have the type that is wanted, each with its place. */
  itemsOf<Item>(
    path: string,
    items: readonly Item[] | null | undefined,
  ): { readonly at: string; readonly item: Item }[] {
    if (!this.has(path)) return [];
    return (items ?? []).map((item, i) => ({ at: pointer(path, i), item })).filter(({ at }) => this.has(at));
  }
}

/** A JSON pointer and all above it, up to the whole, which is empty. */
function upFrom(path: string): string[] {
  const parts = path === '/' ? [''] : path.split('/');
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}
