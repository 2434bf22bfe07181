import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { ObservedRules } from '../../../src/cli/observed-rules.ts';
import { runHere } from '../../support/in-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

describe('rules with action observe', () => {
  it('are told with the rows and batches that break them, the most broken first', () => {
    const observed = new ObservedRules();
    expect(observed.lines()).toEqual([]);
    observed.add('orders', [{ name: 'a', rows: 2 }]);
    observed.add('orders', [
      { name: 'a', rows: 1 },
      { name: 'b', rows: 1_000 },
    ]);
    expect(observed.lines()).toEqual([
      'rule "b" (observe) is broken in 1 batch, 1,000 times',
      'rule "a" (observe) is broken in 2 batches, 3 times',
    ]);
    observed.add('returns', [{ name: 'a', rows: 1 }]);
    expect(observed.lines()[2]).toBe('rule "a" of "returns" (observe) is broken in 1 batch, 1 time');
  });

  it('are told up to ten', () => {
    const observed = new ObservedRules();
    observed.add(
      'orders',
      Array.from({ length: 12 }, (_, i) => ({ name: `r${i}`, rows: 1 })),
    );
    expect(observed.lines()).toHaveLength(11);
    expect(observed.lines()[10]).toBe('and 2 more rules with action observe (--json names all)');
    expect(observed.totals()).toHaveLength(12);
  });

  it('are counted in the summary of a run, and keep no batch back', async () => {
    const folder = await temporaryFolder();
    const text = Array.from({ length: 30 }, (_, i) => `{"id":${i},"zip":"${i % 3 === 0 ? 'x' : '8001'}"}\n`).join('');
    await writeFile(join(folder, 'a.ndjson'), text);
    await runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop');
    const path = join(folder, 'headgate.yaml');
    const rules = `{ rule: pattern, column: zip, pattern: '[0-9]*', action: observe, name: zips }, { rule: unique, column: id, action: observe }`;
    const settings = `batch: { recordsMax: 10 }\ntopicDefaults:\n  rules: [${rules}]\n`;
    await writeFile(path, (await readFile(path, 'utf8')).replace('topicDefaults:\n', settings));
    const { code, stdout } = await runHere(folder, 'run', '--once', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      suspect: 0,
      undecided: 3,
      observed: [{ topic: 'shop', rule: 'zips', batches: 3, rows: 10 }],
    });
    expect((await runHere(folder, 'run', '--once', '--json')).stdout).toContain('"observed":[]');
  });
});
