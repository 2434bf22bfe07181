import { beforeEach, describe, expect, it } from 'vitest';

import { buildProgram } from '../../../../src/cli/program.ts';
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

  it('show what each example in the help of show says', async () => {
    const show = buildProgram(() => async () => undefined).commands.find((command) => command.name() === 'show')!;
    const examples = [...show.helpInformation().matchAll(/^ {2}headgate show (\S+) {2,}(.*)$/gm)];
    expect(examples.map(([, id]) => id)).toEqual(['main', '3f9a2c', '0']);
    const sha256 = (await test.ledger.control.head()).state.refs['main']!;
    for (const [, id, says] of examples) {
      const isSnapshot = says!.startsWith('the snapshot');
      const given = id === '3f9a2c' ? snapshotDigits(sha256) : id!;
      expect(await shown('show', given), id).toMatchObject(isSnapshot ? { code: 0, sha256 } : { code: 0, seq: 0 });
    }
  });

  it('say what an id may be when it is none of that', async () => {
    for (const id of ['mian', '3f9a2', 'ffffff'])
      expect(await shown('show', id)).toMatchObject({ code: 64, error: { code: 'NOT_FOUND' } });
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

/** Six of its digits, or more: as many as make them no number, which would be that of a control entry. */
function snapshotDigits(sha256: string): string {
  return sha256.slice(0, Math.max(6, sha256.search(/[a-f]/) + 1));
}
