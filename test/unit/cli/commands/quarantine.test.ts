import { beforeEach, describe, expect, it } from 'vitest';

import type { LoggedBatch } from '../../../../src/ledger/partition-log.ts';
import { formatLogId } from '../../../../src/record/log-id.ts';
import { overwrite } from '../../../support/forge.ts';
import { openFolder, runHere } from '../../../support/in-process.ts';
import { TOPIC, never, partition, type TestLedger } from '../../../support/ledger.ts';
import { storeRejudgement } from '../../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);

describe('headgate quarantine list over a store in which something is damaged', () => {
  let folder: string;
  let test: TestLedger;
  let suspect: LoggedBatch;
  let small: LoggedBatch;
  const list = async () => {
    const { code, stdout } = await runHere(folder, 'quarantine', 'list', '--json');
    return { code, ...(JSON.parse(stdout) as { held: Record<string, unknown>[]; damaged: unknown[] }) };
  };
  const publish = () => test.publisher(() => Promise.resolve(null)).publish(never);

  beforeEach(async () => {
    ({ folder, test } = await openFolder());
    suspect = await test.commit(a, { verdict: 'suspect' });
    small = await test.commit(b, { verdict: 'small' });
    await test.commit(b);
    await publish();
  });

  it('shows nothing of the kind where all is sound', async () => {
    expect(await list()).toMatchObject({ code: 0, damaged: [], held: [{ damaged: null }, { damaged: null }] });
    expect((await runHere(folder, 'quarantine', 'list')).stdout).not.toContain('DAMAGED');
  });

  it.each(['evidence', 'data'] as const)(
    'names the lost %s of a held batch in its row, with the way out',
    async (what) => {
      for (const batch of [suspect, small]) await test.store.delete(batch.entry[what]!.key);
      const lost = ({ log, entry }: LoggedBatch) => ({
        object: entry[what]!.key,
        code: 'OBJECT_MISSING',
        wayOut: expect.stringContaining(
          `headgate quarantine condemn ${formatLogId(log)}@${entry.start} --reason TEXT`,
        ) as string,
      });
      expect(await list()).toMatchObject({
        code: 2,
        held: [
          { digest: suspect.digest, damaged: 'OBJECT_MISSING' },
          { digest: small.digest, damaged: 'OBJECT_MISSING' },
        ],
        damaged: [lost(suspect), lost(small)],
      });
      const { code, stdout } = await runHere(folder, 'quarantine', 'list');
      expect(code).toBe(2);
      expect(stdout).toMatch(new RegExp(`^${small.digest.slice(0, 12)} .* DAMAGED \\(OBJECT_MISSING\\)$`, 'm'));
      expect(stdout).toContain(`  DAMAGED  ${small.entry[what]!.key} (OBJECT_MISSING): `);
      expect(stdout).not.toContain('judged together with the next');
      // What a person has left out needs nothing any more.
      for (const batch of [suspect, small]) await test.decide(batch, 'condemned');
      expect(await list()).toMatchObject({ code: 0, damaged: [] });
    },
  );

  it('names changed evidence, and the lost entry of a held batch', async () => {
    const { key, bytes } = suspect.entry.evidence;
    await overwrite(test.store, key, Buffer.alloc(bytes, ' '));
    const slot = test.ledger.layout.slot(b, small.entry.slot);
    await test.store.delete(slot);
    expect(await list()).toMatchObject({
      code: 2,
      held: [{ damaged: 'DIGEST_MISMATCH' }, { damaged: 'SLOT_MISSING' }],
      damaged: [{ object: key }, { object: slot, wayOut: expect.not.stringContaining('condemn') as string }],
    });
  });

  it('does not say of a batch that the next publish judges it where its log is damaged further on', async () => {
    for (let i = 0; i < 2; i++) await test.commit(b);
    const { slot } = (await test.commit(b)).entry;
    await test.store.delete(test.ledger.layout.slot(b, slot - 1));
    expect(await list()).toMatchObject({
      code: 2,
      held: [{ damaged: null }, { digest: small.digest, damaged: 'SLOT_MISSING' }],
      damaged: [{ object: 'test/orders/1', code: 'SLOT_MISSING' }],
    });
    expect((await runHere(folder, 'quarantine', 'list')).stdout).not.toContain('judged together with the next');
  });

  it('names a damaged list page instead of what is in it', async () => {
    const key = test.ledger.layout.page((await test.snapshot()).held.pages[0]!.sha256);
    await overwrite(test.store, key, Buffer.from('{}'));
    expect(await list()).toMatchObject({ code: 2, held: [], damaged: [{ object: key, code: 'DIGEST_MISMATCH' }] });
    const { stdout } = await runHere(folder, 'quarantine', 'list');
    expect(stdout).toContain(`DAMAGED  ${key}`);
    expect(stdout).not.toContain('nothing is held back');
  });

  it('lists a batch that was found suspect and that its damaged log keeps out of every snapshot', async () => {
    const batch = await test.commit(a);
    const baseline = (await test.snapshot()).baselines[TOPIC]!;
    const judged = await storeRejudgement(test.ledger, {
      as: 'each',
      batches: [batch],
      baseline,
      outcomeOf: () => 'suspect',
    });
    const batches = [{ log: 'test/orders/0', slot: batch.entry.slot, digest: batch.digest }];
    await test.act({
      kind: 'verdict',
      by: 'publisher',
      batches,
      outcome: 'suspect',
      baseline,
      evidence: judged!.evidence,
    });
    await test.commit(a);
    await test.commit(a);
    await test.store.delete(test.ledger.layout.slot(a, batch.entry.slot + 1));
    await test.commit(b);
    expect(await publish()).toMatchObject({ published: 1, damaged: [{ log: 'test/orders/0' }] });
    expect(await list()).toMatchObject({
      code: 0,
      held: [{ digest: suspect.digest }, { digest: small.digest }, { digest: batch.digest, standing: 'suspect' }],
      damaged: [],
    });
    const slot = test.ledger.layout.slot(a, batch.entry.slot);
    await test.store.delete(slot);
    expect(await list()).toMatchObject({ code: 2, damaged: [{ object: slot, code: 'SLOT_MISSING' }] });
  });
});

describe('headgate quarantine list of a ref on hold', () => {
  it('says that what waits behind the hold is not listed', async () => {
    const { folder, test } = await openFolder();
    await test.commit(a);
    await test.publisher(() => Promise.resolve(null)).publish(never);
    expect((await runHere(folder, 'quarantine', 'list')).stdout).not.toContain('on hold');
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
    await test.commit(a, { verdict: 'suspect' });
    expect((await runHere(folder, 'quarantine', 'list')).stdout).toMatch(
      /^nothing is held back\n"main" is on hold: what was read since/,
    );
    const { stdout } = await runHere(folder, 'quarantine', 'list', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ onHold: true, held: [] });
  });
});
