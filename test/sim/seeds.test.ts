import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { ROOT } from '../unit/house/source-files.ts';
import { scenarioOf } from './scenario.ts';
import { Simulation } from './simulation.ts';

const SEEDS = 200;
const MINUTES_10 = 600_000;

const run = promisify(execFile);

describe('a simulated pipeline', () => {
  it('does the same to the byte whenever a seed is run', { timeout: 60_000 }, async () => {
    for (const seed of [1, 2, 3]) {
      const first = await new Simulation(scenarioOf(seed)).run();
      const second = await new Simulation(scenarioOf(seed)).run();
      expect(second).toEqual(first);
      expect(first.batches).toBeGreaterThan(0);
    }
  });

  it(`keeps every promise under ${SEEDS} seeds`, { timeout: MINUTES_10 }, async () => {
    const script = join(ROOT, 'dist/scripts/sim.js');
    const { stdout } = await run(process.execPath, [script, '--seeds', String(SEEDS)]);
    expect(stdout).toMatch(new RegExp(`^seeds +${SEEDS}\nbroken promises +0$`, 'm'));
  });
});
