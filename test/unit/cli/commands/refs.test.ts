import { beforeEach, describe, expect, it, vi } from 'vitest';

import { findBatch } from '../../../../src/respond/decisions.ts';
import { hold, rollback } from '../../../../src/respond/refs.ts';
import { bytesOf } from '../../../support/forge.ts';
import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

vi.mock('../../../../src/compose/ledger.ts', async (original) => ({
  ...(await original<typeof import('../../../../src/compose/ledger.ts')>()),
  openKey: (_loaded: unknown, _trust: unknown, name: 'approver' | 'publisher') => Promise.resolve(test.keys[name]),
}));

let test: TestLedger;

describe('headgate resume', () => {
  let folder: string;
  const resume = async (...args: string[]) => {
    const { code, stdout, stderr } = await runHere(folder, 'resume', '--reason', 'go on', ...args);
    return { code, text: stdout + stderr };
  };
  const seq = async (): Promise<number> => (await test.ledger.control.head()).newest!.entry.seq;

  beforeEach(async () => {
    ({ folder, test } = await openFolder());
  });

  it('signs nothing where nothing waits for it', async () => {
    await test.commit(partition(0));
    const before = await seq();
    expect(await resume()).toMatchObject({ text: expect.stringContaining('Cannot find ref "main"') as string });
    await test.publisher().publish(never);
    expect(await resume()).toEqual({
      code: 0,
      text: '"main" is not on hold, and no partition waits for it: nothing was signed\n',
    });
    expect(await resume('--ref', 'typo')).toMatchObject({ text: expect.stringContaining('Cannot find ref') as string });
    expect(await seq()).toBe(before + 1);
  });

  it('lifts a hold, once', async () => {
    await test.commit(partition(0));
    await test.publisher().publish(never);
    await hold(test.ledger, 'main', test.person(), never);
    expect(await resume()).toEqual({ code: 0, text: '"main" may move again\n' });
    expect((await resume()).text).toContain('is not on hold');
  });

  it('names damaged logs after a rollback, lets the ref go on without them, and judges them again once they are mended', async () => {
    const a = partition(0);
    await test.commit(a);
    const { snapshot } = await test.publisher().publish(never);
    for (let i = 0; i < 2; i++) await test.commit(a);
    await test.publisher().publish(never);
    await rollback(test.ledger, 'main', snapshot!, test.person(), never);
    const slot = test.ledger.layout.slot(a, 2);
    const bytes = await bytesOf(test.store, slot);
    await test.store.delete(slot);
    const { code, stdout, stderr } = await runHere(folder, 'resume', '--reason', 'go on', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      held: false,
      rejudged: 0,
      damaged: [
        { log: 'test/orders/0', code: 'SLOT_MISSING', message: expect.stringContaining(slot.slice(-1)) as string },
      ],
    });
    expect(stderr).toMatch(
      /^nothing of test\/orders\/0 is published before it is mended and headgate resume has judged/,
    );
    await test.store.create(slot, bytes);
    const status = JSON.parse((await runHere(folder, 'status', '--json')).stdout) as object;
    expect(status).toMatchObject({
      onHold: false,
      damage: [{ object: 'test/orders/0', code: 'UNJUDGED', wayOut: 'headgate resume --reason TEXT' }],
      logs: [{ damaged: 'UNJUDGED' }],
    });
    // What is beyond is owed a look, although nothing is on hold.
    for (const start of [2, 4])
      await test.decide(await findBatch(test.ledger, 'main', `test/orders/0@${start}`), 'released');
    expect(await resume()).toEqual({ code: 0, text: '"main" may move again\n' });
    expect((await resume()).text).toContain('is not on hold');
  });

  it('lets a partition go on that a rule has halted, published or not, once', async () => {
    await test.commit(partition(0), { verdict: 'suspect', halts: true });
    expect(await resume()).toEqual({
      code: 0,
      text: '"main" was not on hold; partitions that a rule has halted go on\n',
    });
    expect((await resume()).text).toContain('Cannot find ref "main"');
    await test.publisher().publish(never);
    await test.commit(partition(1), { verdict: 'suspect', halts: true });
    expect(await resume()).toEqual({
      code: 0,
      text: '"main" was not on hold; partitions that a rule has halted go on\n',
    });
    expect((await resume()).text).toContain('is not on hold');
  });
});

describe('headgate rollback', () => {
  it('tells what it does besides: void releases, the baseline in force, and what comes back', async () => {
    const { folder, test: opened } = await openFolder();
    test = opened;
    const a = partition(0);
    await test.commit(a);
    const { snapshot } = await test.publisher().publish(never);
    const held = await test.commit(a, { verdict: 'suspect' });
    await test.publisher().publish(never);
    await test.decide(held, 'released');
    const older = (await test.ledger.control.head()).state.baselines['orders']!;
    const newer = await test.approveBaseline('newer');
    await test.publisher().publish(never);
    const { stdout } = await runHere(folder, 'rollback', '--to', snapshot!, '--reason', 'incident 7');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(
        /^"main" went back from [0-9a-f]{12} to [0-9a-f]{12}: 1 batch, 2 records less; it is on hold until headgate resume$/,
      ),
      '  void: the release of 1 batch, decided or carried out since then; who still wants them releases them again',
      `  baseline of "orders" in force: ${older.slice(0, 12)}, no longer ${newer.slice(0, 12)} (headgate baseline approve ${newer.slice(0, 12)} --topic orders puts that back in force)`,
      '  headgate resume judges what lies behind it again; what is clean comes back with the next publish, unless it is condemned before (headgate quarantine condemn)',
      '',
    ]);
    // What it names works.
    const approved = await runHere(folder, 'baseline', 'approve', newer.slice(0, 12), '--topic', 'orders');
    expect(approved.code).toBe(0);
    expect((await test.ledger.control.head()).state.baselines['orders']).toBe(newer);
    const again = await runHere(folder, 'rollback', '--reason', 'incident 7', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ unchanged: true, releasesVoided: 0, baselines: [] });
  });
});
