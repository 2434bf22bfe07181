import { describe, expect, it } from 'vitest';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import { buildProfile } from '../../../src/detect/profile/build.ts';
import type { PreparedBaseline } from '../../../src/detect/baseline/prepare.ts';
import { judge } from '../../../src/detect/verdict.ts';
import { columnsOf } from '../../support/columns.ts';
import { randomOf } from '../../support/flights.ts';

const BUDGET = 0.01;
const ROWS = 200;
const LEARNING = 25;
const BASELINES = 40;
const JUDGED = 50;

/** Profile of a batch whose rows are independent: a normal, a heavy-tailed column with nulls, a category, a noisy label. */
function profileOf(random: () => number, baseline: PreparedBaseline | null) {
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const rows = Array.from({ length: ROWS }, () => {
    const a = normal();
    const b = random() < 0.02 ? null : Math.exp(normal());
    return { a, b, c: 'abcdefghij'[Math.floor(10 * random() * random())]!, y: random() < 1 / (1 + Math.exp(-2 * a)) };
  });
  return buildProfile({
    columns: columnsOf(rows, {
      a: 'float64',
      b: 'float64',
      c: 'string',
      y: 'boolean',
    }),
    roles: {
      label: 'y',
      source: null,
      time: null,
    },
    counts: {
      records: ROWS,
      bytes: 0,
      deadLetters: {},
      skipped: {},
    },
    times: {
      firstMs: null,
      lastMs: null,
      sealedMs: null,
    },
    rowHashes: null,
    seed: 1,
    baseline,
    rules: [],
  });
}

/** Chance of at least `k` of `n` at rate `p`. */
function atLeast(k: number, n: number, p: number): number {
  let term = (1 - p) ** n;
  let below = 0;
  for (let i = 0; i < k; i++) {
    below += term;
    term *= ((n - i) / (i + 1)) * (p / (1 - p));
  }
  return 1 - below;
}

describe('share of clean batches that are held', () => {
  it('is what the budget says: between the half that the p-value may spend and the whole', () => {
    let held = 0;
    for (let b = 0; b < BASELINES; b++) {
      const random = randomOf(7_000 + b);
      const learned = prepareBaseline(learnBaseline(Array.from({ length: LEARNING }, () => profileOf(random, null))));
      for (let i = 0; i < JUDGED; i++) {
        const { outcome } = judge(profileOf(random, learned), learned, { budget: BUDGET, recordsMin: 100 });
        if (outcome === 'suspect') held += 1;
      }
    }
    const batches = BASELINES * JUDGED;
    // The 99 % Clopper–Pearson interval of held/batches lies wholly above the budget, or wholly below half of it, otherwise.
    expect(atLeast(held, batches, BUDGET), `${held} of ${batches} held`).toBeGreaterThan(0.005);
    expect(1 - atLeast(held + 1, batches, BUDGET / 2), `${held} of ${batches} held`).toBeGreaterThan(0.005);
  }, 120_000);
});
