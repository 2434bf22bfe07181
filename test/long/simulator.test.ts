import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { ROOT } from '../unit/house/source-files.ts';

/** Planted bugs that are looked for; others with each commit and each day. */
const CONTROLS = 6;
const MINUTES_20 = 1_200_000;

const run = promisify(execFile);

describe('the simulator', () => {
  it(
    `finds ${CONTROLS} bugs that are planted in the protocol`,
    async () => {
      const script = join(ROOT, 'dist/scripts/sim.js');
      const args = [script, '--controls', '--some', String(CONTROLS)];
      const { stdout } = await run(process.execPath, args).catch(
        (error: unknown) => error as { readonly stdout: string },
      );
      expect(stdout.match(/^seed \d+ \(.+\): .+$/gm)?.length, stdout).toBe(CONTROLS);
      expect(stdout).not.toContain('NOT FOUND');
    },
    MINUTES_20,
  );
});
