/** Keeps what was asked for last, up to a total size; what is no longer asked for makes room first. */
export class Recent<Value> {
  readonly #sizeMax: number;
  /** Oldest first. */
  readonly #kept = new Map<string, { readonly value: Value; readonly size: number }>();
  #size = 0;

  /** @param sizeMax in any unit that {@link set} counts in. */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get(key: string): Value | undefined {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found.value;
  }

  /** @param size what is larger than everything together may be is not kept. */
  set(key: string, value: Value, size: number): void {
    this.#size -= this.#kept.get(key)?.size ?? 0;
    this.#kept.delete(key);
    if (size > this.#sizeMax) return;
    this.#kept.set(key, { value, size });
    this.#size += size;
    for (const [oldest, { size: freed }] of this.#kept) {
      if (this.#size <= this.#sizeMax) return;
      this.#kept.delete(oldest);
      this.#size -= freed;
    }
  }
}
