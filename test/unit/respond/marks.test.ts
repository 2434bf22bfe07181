import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { DiskState } from '../../../src/adapters/disk/local-state.ts';
import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { Marks } from '../../../src/respond/marks.ts';
import { bytesOf, overwrite, signControlEntry } from '../../support/forge.ts';
import { TestLedger, keysOf, never, partition } from '../../support/ledger.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

describe('marks', () => {
  let test: TestLedger;
  let folder: string;
  let marks: Marks;
  const check = async (store = test.store): Promise<void> => {
    const { control } = test.reopened(store);
    await marks.check(control, await control.head());
  };
  const rolledBack = (seq: number) => ({
    code: 'STORE_ROLLED_BACK',
    object: `control entry ${seq}`,
    name: 'IntegrityError',
  });
  const copy = async (): Promise<MemoryStore> => {
    const made = new MemoryStore();
    for (const key of await keysOf(test.store)) await made.put(key, await bytesOf(test.store, key));
    return made;
  };

  beforeEach(async () => {
    test = await TestLedger.open();
    folder = join(await temporaryFolder(), 'marks');
    marks = new Marks(new DiskState(folder), 'memory:', 'shop');
  });

  it('remember the newest entry and let the ledger grow', async () => {
    await check();
    await check();
    await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'r' });
    await check();
    const [file] = await readdir(folder);
    const { newest } = await test.ledger.control.head();
    expect(JSON.parse(await readFile(join(folder, file!), 'utf8'))).toEqual({ seq: 3, digest: newest!.digest });
  });

  it('see a store that was rolled back, by one entry or to nothing, and name both heads', async () => {
    const before = await copy();
    await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'r' });
    await check();
    const { newest } = await test.ledger.control.head();
    await expect(check(before)).rejects.toMatchObject({
      ...rolledBack(3),
      message: expect.stringContaining(newest!.digest) as string,
    });
    await expect(check(new MemoryStore())).rejects.toMatchObject(rolledBack(3));
    await check();
  });

  it('see that what this process wrote itself is gone, without a look at the store in between', async () => {
    await check();
    const before = await copy();
    const ledger = test.reopened();
    const act = { kind: 'hold', by: 'a person', ref: 'beta', reason: 'r' } as const;
    await ledger.control.append(test.keys.approver, () => act, never);
    await marks.remember(ledger.control.known);
    await expect(check(before)).rejects.toMatchObject(rolledBack(3));
    // A process that knows less does not move it back.
    await marks.remember(test.reopened(before).control.known);
    await expect(check(before)).rejects.toMatchObject(rolledBack(3));
  });

  it('see a store that shows another entry in the same place: a fork', async () => {
    await check();
    const { newest } = await test.ledger.control.head();
    const forked = await copy();
    await overwrite(
      forked,
      newest!.key,
      await signControlEntry({ ...newest!.entry, by: 'someone else' }, test.keys.approver),
    );
    await expect(check(forked)).rejects.toMatchObject(rolledBack(2));
  });

  it('are kept apart by store and pipeline', async () => {
    await check();
    const state = new DiskState(folder);
    for (const other of [new Marks(state, 's3://other/', 'shop'), new Marks(state, 'memory:', 'other')]) {
      const { control } = test.reopened(new MemoryStore());
      await other.check(control, await control.head());
    }
  });

  it.each(['', '{', '{"seq":-1,"digest":"x"}', 'null'])(
    'are not passed over when they cannot be read: %j',
    async (text) => {
      await check();
      const [file] = await readdir(folder);
      await writeFile(join(folder, file!), text);
      await expect(check()).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
        message: expect.stringContaining(file!) as string,
      });
      await expect(check(new MemoryStore())).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    },
  );

  it('find out at once, before there is anything to remember, that nothing can be', async () => {
    // No folder can be made there, even by root.
    const nowhere = new Marks(new DiskState('/proc/headgate/marks'), 'memory:', 'shop');
    const { control } = test.reopened(new MemoryStore());
    await expect(nowhere.check(control, await control.head())).rejects.toMatchObject({ code: 'STATE_UNUSABLE' });
  });

  it('survive many checks at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => check()));
    expect(await readdir(folder)).toHaveLength(1);
    await chmod(folder, 0o700);
    await test.commit(partition(0));
    await check();
  });
});
