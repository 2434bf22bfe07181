import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

const a = partition(0);

describe('headgate quarantine list --published', () => {
  let folder: string;
  let test: TestLedger;
  const list = (...args: string[]) => runHere(folder, 'quarantine', 'list', '--published', ...args);

  beforeEach(async () => {
    ({ folder, test } = await openFolder());
  });

  it('is empty before the first publish, and where every batch was judged clean', async () => {
    for (let i = 0; i < 2; i++) {
      expect(await list()).toMatchObject({ code: 0, stdout: 'every published batch was judged clean\n' });
      await test.commit(a);
      await test.commit(a, { verdict: 'suspect' });
      await test.publisher().publish(never);
    }
  });

  it('names what observe mode let in and what a person released, each with its reason', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await test.commit(a);
    await test.publisher().publish(never);
    await test.decide(held, 'released');
    const observed = [];
    for (const verdict of ['suspect', 'no-baseline', 'small', 'failed'] as const)
      observed.push(await test.commit(a, { mode: 'observe', verdict }));
    await test.publisher().publish(never);
    const { code, stdout } = await list('--json');
    const { published } = JSON.parse(stdout) as { published: { digest: string; standing: string; why: string }[] };
    expect(code).toBe(0);
    expect(published.map(({ digest, standing }) => [digest, standing])).toEqual([
      [held.digest, 'released'],
      ...observed.map(({ digest }, i) => [digest, ['suspect', 'no-baseline', 'small', 'failed'][i]]),
    ]);
    expect(published.map(({ why }) => why)).toEqual([
      'released by a person',
      expect.stringMatching(/^read in observe mode: /),
      'read in observe mode before there was a baseline',
      expect.stringMatching(/^read in observe mode: 2 of the 500 records/),
      'read in observe mode: judging it failed',
    ]);
    const text = (await list('--limit', '2')).stdout;
    expect(text).toContain('… 3 more (--limit 5 shows all)');
    expect(text).toMatch(
      /^5 batches of the dataset not judged clean: headgate quarantine condemn BATCH --reason TEXT/m,
    );
  });

  it('names what is damaged, and ends with 2', async () => {
    const batch = await test.commit(a, { mode: 'observe', verdict: 'suspect' });
    await test.publisher().publish(never);
    await test.store.delete(batch.entry.evidence.key);
    const { code, stdout } = await list();
    expect(code).toBe(2);
    expect(stdout).toContain(`DAMAGED  ${batch.entry.evidence.key} (OBJECT_MISSING)`);
  });

  it('is named where nothing is held back in observe mode', async () => {
    const config = `pipeline: shop\ndeployment: here\nmode: observe\nstore: { url: ./store }\nsource: { files: { topic: orders, paths: [./data.ndjson] } }\n`;
    await writeFile(join(folder, 'headgate.yaml'), config);
    expect((await runHere(folder, 'quarantine', 'list')).stdout).toBe(
      'nothing is held back\nwhat observe mode let in: headgate quarantine list --published\n',
    );
  });
});
