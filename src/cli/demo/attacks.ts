/** A record of the flights data. */
export type Flight = Record<string, string | number | null>;

/** One change made to a batch of real flights. */
export interface Attack {
  /** File name part and key of the story. */
  readonly name: string;
  /** What is done, with its magnitude, for the story. */
  readonly what: string;
  /** Whether the gate is expected to see it. */
  readonly seen: boolean;
  /** The column it changes, or the detector that speaks of what it does; null where any finding will do. */
  readonly mark: string | null;
  /** Returns the batch with the attack in it. @param earlier flights that the gate has seen before. */
  readonly apply: (batch: readonly Flight[], earlier: readonly Flight[], random: () => number) => Flight[];
}

/** What is done to the batches of the demo; no magnitude is above 10 % of the rows. */
export const ATTACKS: readonly Attack[] = [
  { name: 'nothing', what: 'nothing at all', seen: false, mark: null, apply: (batch) => [...batch] },
  {
    name: 'units',
    what: 'distance in 8 % of the rows is ten times too large (a unit error)',
    seen: true,
    mark: 'distance',
    apply: (batch, _, random) =>
      some(batch, 0.08, random, (row) => ({ ...row, distance: Number(row['distance']) * 10 })),
  },
  {
    name: 'nulls',
    what: 'arr_delay is missing in 6 % of the rows (a burst of nulls)',
    seen: true,
    mark: 'null-pattern',
    apply: (batch, _, random) => some(batch, 0.06, random, (row) => ({ ...row, arr_delay: null })),
  },
  {
    name: 'flips',
    what: 'the label is flipped in 8 % of the rows, at random',
    seen: true,
    mark: 'late',
    apply: (batch, _, random) => some(batch, 0.08, random, flipLabel),
  },
  {
    name: 'replay',
    what: '10 % of the rows are taken from an earlier batch, unchanged',
    seen: true,
    mark: null,
    apply: (batch, earlier, random) => {
      let next = 0;
      return some(batch, 0.1, random, () => earlier[next++]!);
    },
  },
  {
    name: 'whisper',
    what: 'air_time is 3 minutes too long in 10 % of the rows: below what one batch can show',
    seen: false,
    mark: 'air_time',
    apply: (batch, _, random) =>
      some(batch, 0.1, random, (row) => ({
        ...row,
        air_time: row['air_time'] === null ? null : Number(row['air_time']) + 3,
      })),
  },
];

/** A seeded generator of numbers in [0, 1), so that every demo is the same. Source: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function flipLabel(row: Flight): Flight {
  return { ...row, late: row['late'] === 1 ? 0 : 1 };
}

/** Changes exactly `share` of the rows, chosen at random. */
function some(
  batch: readonly Flight[],
  share: number,
  random: () => number,
  change: (row: Flight) => Flight,
): Flight[] {
  const chosen = new Set(
    batch
      .map((_, i) => ({ i, order: random() }))
      .sort((a, b) => a.order - b.order)
      .slice(0, Math.round(batch.length * share))
      .map(({ i }) => i),
  );
  return batch.map((row, i) => (chosen.has(i) ? change(row) : row));
}
