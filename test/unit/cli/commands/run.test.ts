import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

vi.mock('../../../../src/compose/ledger.ts', async (original) => ({
  ...(await original<typeof import('../../../../src/compose/ledger.ts')>()),
  openKey: (_loaded: unknown, _trust: unknown, name: 'ingest' | 'publisher') => Promise.resolve(test.keys[name]),
}));

const a = partition(0);
const b = partition(1);

interface Result {
  readonly snapshot: string;
  readonly damaged: readonly { readonly log: string; readonly code: string; readonly message: string }[];
}

let test: TestLedger;

describe('where a slot of one log is lost', () => {
  let folder: string;
  const slot = (number: number): string => test.ledger.layout.slot(a, number);
  const lastOf = (stdout: string): Result => JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;

  beforeEach(async () => {
    ({ folder, test } = await openFolder({ prepared: false }));
    await test.pinSchema();
    await test.commit(a);
    await test.publisher().publish(never);
    for (let i = 0; i < 3; i++) await test.commit(a);
  });

  it('tells it once, publishes all else, and ends with 2', async () => {
    const other = await test.commit(b);
    await test.store.delete(slot(3));
    const { code, stdout, stderr } = await runHere(folder, 'publish', '--once', '--json');
    expect(code).toBe(2);
    expect(lastOf(stdout)).toMatchObject({
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      damaged: [
        { log: 'test/orders/0', code: 'SLOT_MISSING', message: expect.stringContaining('slot 3 is missing') as string },
      ],
    });
    expect(stderr.match(/test\/orders\/0 is published before it is mended \(SLOT_MISSING\)/g)).toHaveLength(1);
    expect(Object.keys(await test.standings('batches'))).toContain(other.digest);
  });

  it('reads and publishes what comes meanwhile, with alerts', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await test.publisher().publish(never);
    for (const lost of [held.entry.slot, 1]) await test.store.delete(slot(lost));
    const orders = Array.from({ length: 3 }, (_, i) => JSON.stringify({ id: i, amount: 1, city: 'Bern' }));
    await writeFile(join(folder, 'data.ndjson'), `${orders.join('\n')}\n`);
    const { code, stdout } = await runHere(folder, 'run', '--once', '--json');
    expect([code, lastOf(stdout)]).toEqual([
      2,
      expect.objectContaining({
        records: 3,
        batches: 1,
        halted: [],
        damaged: [expect.objectContaining({ log: 'test/orders/0' })],
      }),
    ]);
  });

  it('names none where nothing is lost', async () => {
    const { code, stdout } = await runHere(folder, 'publish', '--once', '--json');
    expect([code, lastOf(stdout).damaged]).toEqual([0, []]);
  });
});
