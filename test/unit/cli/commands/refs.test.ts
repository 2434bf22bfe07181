import { beforeEach, describe, expect, it, vi } from 'vitest';

import { hold } from '../../../../src/respond/refs.ts';
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

  it('lets a partition go on that a rule has halted, published or not, once', async () => {
    await test.commit(partition(0), { verdict: 'suspect', halts: true });
    expect(await resume()).toEqual({ code: 0, text: '"main" may move again\n' });
    expect((await resume()).text).toContain('Cannot find ref "main"');
    await test.publisher().publish(never);
    await test.commit(partition(1), { verdict: 'suspect', halts: true });
    expect(await resume()).toEqual({ code: 0, text: '"main" may move again\n' });
    expect((await resume()).text).toContain('is not on hold');
  });
});
