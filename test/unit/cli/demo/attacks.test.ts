import { describe, expect, it } from 'vitest';

import { ATTACKS, seededRandom, type Flight } from '../../../../src/cli/demo/attacks.ts';

const flights: Flight[] = Array.from({ length: 100 }, (_, i) => ({
  distance: 100 + i,
  arr_delay: i % 9,
  air_time: 60,
  late: i % 2,
}));

describe('the attacks of the demo', () => {
  it.each(ATTACKS.filter(({ mark }) => mark !== null && mark !== 'null-pattern'))(
    'change the column they are known by: $name',
    ({ apply, mark }) => {
      const changed = apply(flights, flights, seededRandom(1));
      const columns = new Set(
        changed.flatMap((row, i) => Object.keys(row).filter((name) => row[name] !== flights[i]![name])),
      );
      expect([...columns]).toEqual([mark]);
    },
  );
});
