import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { ROOT } from '../unit/house/source-files.ts';
import { scenarioOf } from './scenario.ts';
import { Simulation } from './simulation.ts';

/** The same each time. */
const SEEDS = 400;
/** Others with each commit and each day; what fails names its seed, and the command that runs it again. */
const DRAWN = 100;
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

  it(
    `keeps every promise under ${SEEDS} seeds, and ${DRAWN} that the commit and the day decide`,
    async () => {
      const script = join(ROOT, 'dist/scripts/sim.js');
      const args = [script, '--seeds', String(SEEDS), '--drawn', String(DRAWN)];
      const { stdout } = await run(process.execPath, args).catch(
        (error: unknown) => error as { readonly stdout: string },
      );
      const tables = [...stdout.matchAll(/^seeds +(\d+)\nbroken promises +(\d+)$/gm)];
      expect(
        tables.map(([, seeds, broken]) => [Number(seeds), Number(broken)]),
        stdout,
      ).toEqual([
        [SEEDS, 0],
        [DRAWN, 0],
      ]);
    },
    MINUTES_10,
  );
});
