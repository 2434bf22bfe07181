/** Places in which work goes on side by side, each in one piece of work at a time. */
export class Lanes<Place> {
  readonly #free: Place[];
  readonly #waiting: ((place: Place) => void)[] = [];

  constructor(places: readonly Place[]) {
    this.#free = [...places];
  }

  /** Does some work in the next free place. */
  async use<Result>(work: (place: Place) => Promise<Result>): Promise<Result> {
    const place = this.#free.pop() ?? (await new Promise<Place>((resolve) => this.#waiting.push(resolve)));
    try {
      return await work(place);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(place);
      else next(place);
    }
  }
}
