import { beforeEach, describe, expect, it } from 'vitest';

import { signControlEntry } from '../../../support/forge.ts';
import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

const a = partition(0);

describe('headgate show and log', () => {
  let folder: string;
  let test: TestLedger;
  const shown = async (...args: string[]) => {
    const { code, stdout } = await runHere(folder, ...args, '--json');
    return { code, ...(JSON.parse(stdout) as { entries?: { slot: number }[] }) };
  };

  beforeEach(async () => {
    ({ folder, test } = await openFolder());
    await test.commit(a);
    await test.publisher().publish(never);
  });

  it('show a control entry however long the log is', async () => {
    expect(await shown('show', '0')).toMatchObject({ code: 0, kind: 'schema', seq: 0 });
    expect(await shown('show', '4')).toMatchObject({ code: 64 });
    const { layout, control } = test.ledger;
    const newest = (await control.head()).newest!;
    for (const seq of [99_999, 100_000, 1_234_567])
      await test.store.create(
        layout.controlEntry(seq),
        await signControlEntry({ ...newest.entry, seq }, test.keys.publisher),
      );
    await test.store.put(layout.controlHint(), Buffer.from('1234567'));
    for (const seq of [99_999, 100_000, 1_234_567])
      expect(await shown('show', String(seq)), String(seq)).toMatchObject({ code: 0, kind: 'publish', seq });
  });

  it('say that there are no control entries yet, not that the newest is one below zero', async () => {
    const empty = await openFolder({ prepared: false });
    const { code, stderr } = await runHere(empty.folder, 'show', '0');
    expect([code, stderr]).toEqual([64, 'headgate: Cannot show control entry 0: there are none yet\n']);
  });

  it('show the newest entries of a partition log, newest first', async () => {
    for (let i = 0; i < 4; i++) await test.commit(a);
    const slots = async (...args: string[]) =>
      (await shown('log', 'test/orders/0', ...args)).entries!.map(({ slot }) => slot);
    expect(await slots()).toEqual([5, 4, 3, 2, 1, 0]);
    expect(await slots('-n', '2')).toEqual([5, 4]);
    for (const name of ['test/orders/7', 'orders', 'test/../x'])
      expect(await shown('log', name)).toMatchObject({ code: 64, error: { code: 'REQUEST_INVALID' } });
  });
});
