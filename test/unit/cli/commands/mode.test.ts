import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { openFolder, runHere } from '../../../support/in-process.ts';

describe('observe mode with a rule that halts', () => {
  let folder: string;
  const configure = async (settings: string): Promise<void> => {
    const path = join(folder, 'headgate.yaml');
    await writeFile(path, `${await readFile(path, 'utf8')}${settings}\n`);
  };
  const NOTE =
    'in observe mode, too, a batch that breaks "cheap" stops its partition until headgate resume (mend, if it must not: action: observe)';
  const config = async (): Promise<unknown> => {
    const { stdout } = await runHere(folder, 'doctor', '--json');
    return (JSON.parse(stdout) as { checks: unknown[] }).checks[0];
  };

  beforeEach(async () => {
    ({ folder } = await openFolder());
    await configure('topicDefaults: { rules: [{ rule: range, column: amount, max: 5, action: halt, name: cheap }] }');
  });

  it('is told of when the mode is changed, and by doctor', async () => {
    expect(await config()).toMatchObject({ status: 'ok' });
    expect((await runHere(folder, 'mode', 'observe')).stdout).toContain(NOTE);
    expect(await config()).toMatchObject({
      name: 'config',
      ok: true,
      status: 'warn',
      detail: expect.stringContaining(NOTE) as string,
    });
    expect((await runHere(folder, 'mode', 'enforce')).stdout).not.toContain('stops its partition');
  });

  it('is not told of for a topic that turns the rule to observe', async () => {
    await configure(
      'topics: { orders: { rules: [{ rule: range, column: amount, max: 5, action: observe, name: cheap }] } }',
    );
    expect((await runHere(folder, 'mode', 'observe')).stdout).not.toContain('stops its partition');
  });
});
