import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import type { Judgement } from '../../../src/detect/judgement.ts';
import { judge } from '../../../src/detect/verdict.ts';
import type { Row } from '../../support/columns.ts';
import { ATTACKS, FLIGHT_NUMBERS, profileRows, randomOf, readFlights } from '../../support/flights.ts';

/** Real departures in time order; learned on the first 60 %, judged on the rest, budget 0.1 %. */
const batches = readFlights(fileURLToPath(new URL('../../../examples/flights', import.meta.url)), 1_000);
const learned = 13;
const profiles = batches.map((rows) => profileRows(rows, null));
const baseline = prepareBaseline(learnBaseline(profiles.slice(0, learned)));
const later = batches.map((_, i) => i).slice(learned);

const verdictOn = (rows: readonly Row[]): Judgement => judge(profileRows(rows, baseline), baseline);

/**
 * Share of the later batches that are held after an attack, and of these the share whose reasons name `column`.
 * @param earlier batches that a replay is taken from.
 */
function recall(
  attack: string,
  share: number,
  column = 'late',
  earlier = batches.slice(0, learned),
): { held: number; named: number } {
  const verdicts = later.map((i) =>
    verdictOn(ATTACKS[attack]!(batches[i]!, share, randomOf(i * 977 + 13), earlier, column)),
  );
  const held = verdicts.filter(({ outcome }) => outcome === 'suspect');
  const named = held.filter(({ findings }) => findings.some(({ columns }) => columns.includes(column)));
  return { held: held.length / verdicts.length, named: named.length / Math.max(1, held.length) };
}

describe('flights', () => {
  it('are 22 batches of a thousand', () => {
    expect([batches.length, later.length]).toEqual([22, 9]);
  });

  it('are clean where nothing was done to them', () => {
    expect(later.map((i) => verdictOn(batches[i]!).outcome)).toEqual(later.map(() => 'clean'));
  });

  it.each(
    FLIGHT_NUMBERS.flatMap(
      (column) =>
        [
          [column, 0.05],
          [column, 0.1],
        ] as const,
    ),
  )('are held when %s is ten times too large in a share of %f', (column, share) => {
    expect(recall('unit x10', share, column)).toEqual({ held: 1, named: 1 });
  });

  it.each(FLIGHT_NUMBERS)(
    'are held when three per cent of %s are null, whether it has nulls of its own or not',
    (column) => {
      expect(recall('nulls', 0.03, column).held).toBe(1);
    },
  );

  it.each([0.01, 0.05])('are held when a share of %f of the labels is flipped, and the label is named', (share) => {
    expect(recall('flip labels', share)).toEqual({ held: 1, named: 1 });
  });

  it.each([0.01, 0.1])('are held when a share of %f of the rows is from one batch that was learned from', (share) => {
    expect(recall('replay', share).held).toBe(1);
  });

  it('are held for five copies of one row, a new airport, a sentinel, and swapped columns', () => {
    expect(recall('flood', 0.006).held).toBe(1);
    expect(recall('new category', 0.01, 'dest')).toEqual({ held: 1, named: 1 });
    expect(recall('implicit missing', 0.01, 'air_time')).toEqual({ held: 1, named: 1 });
    expect(recall('swap columns', 0.02).held).toBe(1);
  });

  it('are not held, and should be, when a tenth of the distances is a tenth too long: the miss that we publish', () => {
    expect(recall('unit x1.1', 0.1, 'distance').held).toBe(0);
    expect(recall('unit x1.1', 1, 'distance').held).toBe(1);
  });
});
