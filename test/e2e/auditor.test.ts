import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { headgate, headgateJson, type CommandOptions } from '../support/cli.ts';
import { orders, TestPipeline } from '../support/pipeline.ts';
import { describeShutOut, giveAway, letThrough, plainUser, shutOut } from '../support/shut-out.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/* Someone who may read a store and has a folder of their own, with the trust file and no key. */

describe('an auditor who may only read the store', () => {
  let store: string;
  let options: CommandOptions;

  beforeEach(async () => {
    const pipeline = await TestPipeline.open(
      ['--files', 'data-*.ndjson', '--pipeline', 'shop'],
      'batch: { recordsMax: 1000 }',
    );
    await pipeline.write('data-1.ndjson', orders(9_000));
    await pipeline.json('run', '--once');
    await pipeline.json('baseline', 'learn', '--held');
    await pipeline.json('baseline', 'approve');
    await pipeline.write(
      'data-2.ndjson',
      orders(1_000, 9_000).map((order) => ({ ...order, amount: order.amount * 50 })),
    );
    await pipeline.json('run', '--once');
    store = join(pipeline.folder, 'store');
    const folder = join(await temporaryFolder(), 'audit');
    await mkdir(folder);
    await cp(join(pipeline.folder, 'trust.json'), join(folder, 'trust.json'));
    const config = await readFile(join(pipeline.folder, 'headgate.yaml'), 'utf8');
    await writeFile(join(folder, 'headgate.yaml'), config.replace(/url: .*/, `url: ${JSON.stringify(store)}`));
    await giveAway(folder);
    await shutOut(pipeline.folder);
    await letThrough(join(folder, '..'));
    options = { cwd: folder, ...(plainUser === undefined ? {} : { uid: plainUser }), env: { HOME: '/' } };
  }, 60_000);

  it('verifies it, looks at everything in it, asks the gate and pulls', async () => {
    const before = (await readdir(store, { recursive: true })).toSorted();
    expect(await headgateJson(['verify', '--deep'], options)).toMatchObject({ ok: true, records: 10_000 });
    expect(await headgateJson(['status'], options)).toMatchObject({ records: 9_000, held: 1, halts: [] });
    expect(await headgateJson(['gate', '--max-age', '1h'], options)).toMatchObject({ verdict: 'pass' });
    expect(await headgateJson(['pull', 'main', 'out'], options)).toMatchObject({ complete: true, records: 9_000 });
    expect(await headgateJson(['pull', 'main', '--list'], options)).toMatchObject({ files: { length: 9 } });
    for (const command of [
      ['log'],
      ['log', 'file/shop/data-1.ndjson'],
      ['show', 'main'],
      ['show', '0'],
      ['baseline', 'show'],
    ])
      expect(await headgate(command, options)).toMatchObject({ code: 0, stderr: '' });
    const { held } = await headgateJson<{ held: { digest: string }[] }>(['quarantine', 'list'], options);
    expect(await headgateJson(['quarantine', 'show', held[0]!.digest], options)).toMatchObject({
      judgement: { outcome: 'suspect' },
    });
    expect((await readdir(store, { recursive: true })).toSorted()).toEqual(before);
  }, 60_000);

  it('is all right for what reads, and is told that the store cannot be written by what would have to', async () => {
    expect(await headgate(['doctor'], options)).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout } = await headgate(['doctor', '--write'], options);
    expect(code).not.toBe(0);
    expect(stdout).toMatch(new RegExp(`^FAIL {2}store .*${describeShutOut()}.*set store.url`, 'm'));
  }, 60_000);
});
