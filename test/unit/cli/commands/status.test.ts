import { beforeEach, describe, expect, it } from 'vitest';

import { HaltError } from '../../../../src/errors.ts';
import { HaltNotes } from '../../../../src/respond/halt-notes.ts';
import { overwrite, signPartitionEntry } from '../../../support/forge.ts';
import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

const a = partition(0);
const b = partition(1);
const LOG_A = 'test/orders/0';

interface Row {
  readonly log: string;
  readonly next: number | null;
  readonly damaged: string | null;
}

describe('headgate status over a store in which something is damaged', () => {
  let folder: string;
  let test: TestLedger;
  const status = async () => {
    const { code, stdout } = await runHere(folder, 'status', '--json');
    return { code, ...(JSON.parse(stdout) as { logs: Row[]; damage: unknown[]; halts: unknown[] }) };
  };
  const text = async (): Promise<string> => (await runHere(folder, 'status')).stdout;

  beforeEach(async () => {
    ({ folder, test } = await openFolder());
    for (const log of [a, a, b]) await test.commit(log);
    await test.publisher().publish(never);
  });

  it('shows nothing of the kind where all is sound', async () => {
    expect(await status()).toMatchObject({ code: 0, damage: [], logs: [{ damaged: null }, { damaged: null }] });
    expect(await text()).not.toContain('DAMAGED');
  });

  it.each([
    ['that the snapshot covers is', [2]],
    ['behind the snapshot is', [3]],
    ['of the beginning are', [0, 1, 2]],
    ['of all of it are', [0, 1, 2, 3, 4]],
  ])('names a log of which slots %s missing, shows the others and what was noted', async (_, missing) => {
    const notes = await HaltNotes.open(test.ledger, (error) => {
      throw error;
    });
    void notes.halted(a, new HaltError('SLOT_MISSING', 'Cannot go on (way out: put the slots back)'), 1_000);
    await notes.settled();
    for (let i = 0; i < 2; i++) await test.commit(a);
    for (const slot of missing) await test.store.delete(test.ledger.layout.slot(a, slot));
    const found = await status();
    expect(found).toMatchObject({
      code: 0,
      damage: [
        {
          object: LOG_A,
          code: 'SLOT_MISSING',
          message: expect.stringMatching(/^Cannot read log .* is missing/) as string,
          wayOut: expect.stringContaining('headgate verify') as string,
        },
      ],
      logs: [
        {
          log: LOG_A,
          next: null,
          slots: null,
          unpublishedSlots: null,
          halted: 'SLOT_MISSING',
          damaged: 'SLOT_MISSING',
        },
        { log: 'test/orders/1', next: 2, damaged: null },
      ],
      halts: [{ log: LOG_A, code: 'SLOT_MISSING', wayOut: 'put the slots back', source: 'process' }],
    });
    const shown = await text();
    expect(shown).toMatch(/logs {6}2 logs, 1 HALTED, 1 DAMAGED\n/);
    expect(shown).toMatch(/ {2}DAMAGED {2}test\/orders\/0 \(SLOT_MISSING\): Cannot read log .*; way out: put /);
    expect(shown).toMatch(/ {2}HALTED {2}test\/orders\/0 \(SLOT_MISSING\) since .*; way out: put the slots back\n/);
    expect(shown).toMatch(/test\/orders\/1 +next offset 2 /);
  });

  it('names the object in which a log begins when nobody can tell whose it is', async () => {
    const key = test.ledger.layout.slot(a, 0);
    await overwrite(test.store, key, Buffer.from('{}'));
    expect(await status()).toMatchObject({
      code: 0,
      damage: [{ object: key }],
      logs: [{ log: LOG_A, next: 4 }, { log: 'test/orders/1' }],
    });
    expect(await text()).toMatch(/logs {6}2 logs, none known to have halted, 1 DAMAGED\n/);
  });

  it.each(['snapshot', 'held page', 'heads page'] as const)('shows the logs though a %s is damaged', async (what) => {
    await test.commit(b, { verdict: 'suspect' });
    await test.publisher().publish(never);
    const { layout, control } = test.ledger;
    const snapshot = await test.snapshot();
    const key = {
      snapshot: layout.snapshot((await control.head()).state.refs['main']!),
      'held page': layout.page(snapshot.held.pages[0]!.sha256),
      'heads page': layout.page(snapshot.heads.pages[0]!.sha256),
    }[what];
    await overwrite(test.store, key, Buffer.from('{}'));
    expect(await status()).toMatchObject({
      code: 0,
      records: what === 'snapshot' ? null : 6,
      damage: [{ object: key, code: 'DIGEST_MISMATCH' }],
      logs: [
        { log: LOG_A, next: 4, unpublishedSlots: what === 'held page' ? 0 : null },
        { log: 'test/orders/1', next: 4 },
      ],
    });
    expect(await text()).toMatch(/DAMAGED {2}\S+ \(DIGEST_MISMATCH\): /);
  });

  it.each([
    ['the data of a clean batch', 'is gone'],
    ['the data of a clean batch', 'is cut short'],
    ['the evidence of a small batch', 'is gone'],
    ['the evidence of a small batch', 'is cut short'],
    ['the evidence of a held batch', 'is gone'],
  ])('names, beside the log, %s that no snapshot lists if it %s, and the way out', async (what, how) => {
    const held = await test.commit(b, { verdict: 'small' });
    await test.publisher(() => Promise.resolve(null)).publish(never);
    const clean = await test.commit(a);
    const small = await test.commit(a, { verdict: 'small' });
    const [batch, place] = what.includes('held')
      ? [held, 'test/orders/1@2']
      : what.includes('small')
        ? [small, 'test/orders/0@6']
        : [clean, 'test/orders/0@4'];
    const { key } = what.includes('data') ? batch.entry.data! : batch.entry.evidence;
    if (how === 'is gone') await test.store.delete(key);
    else await overwrite(test.store, key, Buffer.from('{}'));
    const code = how === 'is gone' ? 'OBJECT_MISSING' : 'DIGEST_MISMATCH';
    expect(await status()).toMatchObject({
      code: 0,
      damage: [
        {
          object: key,
          code,
          wayOut: expect.stringContaining(`headgate quarantine condemn ${place} --reason TEXT`) as string,
        },
      ],
      logs: [
        { log: LOG_A, next: 8, damaged: what.includes('held') ? null : code },
        { log: 'test/orders/1', damaged: what.includes('held') ? code : null },
      ],
    });
    expect(await text()).toContain(`  DAMAGED  ${key} (${code}): `);
    await runHere(folder, 'quarantine', 'list');
    // A batch that a person leaves out needs nothing any more.
    await test.decide(batch, 'condemned');
    expect(await status()).toMatchObject({ damage: [] });
  });

  it('names a log that shows another entry than the one that its snapshot covers', async () => {
    const { digest, entry } = await test.commit(a);
    await test.publisher().publish(never);
    const slot = test.ledger.layout.slot(a, entry.slot);
    const other = await signPartitionEntry({ ...entry, time: '2000-01-01T00:00:00.000Z' }, test.keys.ingest);
    await overwrite(test.store, slot, other);
    expect(await status()).toMatchObject({
      damage: [{ object: LOG_A, code: 'CHAIN_BROKEN', message: expect.stringContaining(digest) as string }],
    });
  });

  it.each(['batches', 'held'] as const)('names every damaged page of %s', async (sequence) => {
    await test.commit(b, { verdict: 'suspect' });
    await test.publisher().publish(never);
    const [page] = (await test.snapshot())[sequence].pages;
    const key = test.ledger.layout.page(page!.sha256);
    await test.store.delete(key);
    expect(await status()).toMatchObject({ damage: [{ object: key, code: 'OBJECT_MISSING' }] });
  });
});
