import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { hold, resume, rollback } from '../../../src/respond/refs.ts';
import { RollbackTarget } from '../../../src/respond/rollback-target.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { overwrite } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);

/** Others act while it is asked: once every so many calls. */
class BusyStore extends StoreDecorator {
  meanwhile: () => Promise<unknown> = async () => undefined;
  every = Infinity;
  acts = 0;
  #calls = 0;
  #isActing = false;

  override async get(key: string, bytesMax: number): Promise<Buffer | null> {
    await this.#pass();
    return super.get(key, bytesMax);
  }

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.#pass();
    return super.create(key, bytes);
  }

  async #pass(): Promise<void> {
    if (++this.#calls % this.every !== 0 || this.#isActing) return;
    this.acts++;
    this.#isActing = true;
    await this.meanwhile();
    this.#isActing = false;
  }
}

describe('where a rollback goes', () => {
  let store: CountingStore;
  let busy: BusyStore;
  let clock: LeapingClock;
  let test: TestLedger;
  /** Every snapshot that was published, oldest first. */
  let published: string[];
  const publish = async (log = a): Promise<string> => {
    await test.commit(log);
    const { snapshot } = await test.publisher().publish(never);
    published.push(snapshot!);
    return snapshot!;
  };
  const back = (to: string) => rollback(test.reopened(busy), 'main', to, test.person(), never);
  const state = async () => (await test.ledger.control.head()).state;

  beforeEach(async () => {
    store = new CountingStore(new MemoryStore());
    busy = new BusyStore(store);
    clock = new LeapingClock();
    test = await TestLedger.open({ store, clock });
    published = [];
  });

  it.each(['snapshot', 'prefix', 'time'])(
    'is found once: a publisher that never rests does not keep a responder out (by %s)',
    async (by) => {
      const first = await publish();
      const time = new Date(clock.now()).toISOString();
      clock.advance(60_000);
      for (let i = 0; i < 60; i++) await publish(i % 2 === 0 ? a : b);
      Object.assign(busy, { every: 12, meanwhile: publish });
      const before = published.length;
      const report = await back({ snapshot: first, prefix: first.slice(0, 8), time }[by]!);
      expect(report.to).toBe(first);
      // What was published while the search ran is left behind, too.
      expect(published.length).toBeGreaterThan(before);
      expect(report.from).toBe(published.at(-1));
      expect(await state()).toMatchObject({ refs: { main: report.to } });
      expect(busy.acts).toBeLessThan(24);
    },
  );

  it('is found once when the last clean one is asked for, though batches are condemned and published meanwhile', async () => {
    const first = await publish();
    const bad = await test.commit(a);
    for (let i = 0; i < 40; i++) await publish();
    await test.decide(bad, 'condemned');
    const later = await test.commit(b);
    let acts = 0;
    const meanwhile = async (): Promise<void> => {
      if (acts++ === 3) await test.decide(later, 'condemned');
      else await test.act({ kind: 'learn', by: 'p', topic: 'orders', baseline: 'f'.repeat(64), reason: 'r' });
    };
    Object.assign(busy, { every: 12, meanwhile });
    expect(await back('last-clean')).toMatchObject({ to: first, from: published.at(-1) });
    expect(acts).toBeGreaterThan(3);
  });

  it('is the newest snapshot when that is as clean as the one before it', async () => {
    await publish();
    let acts = 0;
    Object.assign(busy, { every: 1, meanwhile: () => (acts++ < 2 ? publish() : null) });
    expect(await back('last-clean')).toMatchObject({ from: published.at(-1), to: published.at(-1), unchanged: true });
    expect((await state()).holds).toHaveProperty('main');
  });

  it('is looked for again when somebody else has rolled back meanwhile', async () => {
    const first = await publish();
    const second = await publish();
    for (let i = 0; i < 10; i++) await publish();
    Object.assign(busy, {
      every: 6,
      meanwhile: () => (busy.acts === 1 ? rollback(test.ledger, 'main', first, test.person(), never) : null),
    });
    await expect(back(second)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await state()).refs['main']).toBe(first);
  });

  describe('when the last clean one is asked for', () => {
    it.each(['object', 'batches', 'held', 'heads'] as const)(
      'leaves a snapshot that is damaged (%s), though nothing is condemned',
      async (what) => {
        await publish(b);
        const second = await publish(b);
        await test.commit(a, { verdict: 'suspect' });
        const third = await publish(a);
        const { layout } = test.ledger;
        const snapshot = await test.snapshot();
        const key = what === 'object' ? layout.snapshot(third) : layout.page(snapshot[what].pages.at(-1)!.sha256);
        await overwrite(store, key, Buffer.from('damaged'));
        expect(await back('last-clean')).toMatchObject({ from: third, to: second, unchanged: false });
        expect((await state()).holds).toHaveProperty('main');
      },
    );

    it('costs one GET a list page of the newest snapshot when that is clean, sixteen at once', async () => {
      for (let i = 0; i < 5; i++) await publish();
      const { batches, held, heads } = await test.snapshot();
      store.reset();
      expect(await back('last-clean')).toMatchObject({ unchanged: true });
      const pages = [batches, held, heads].flatMap((sequence) => sequence.pages.map(({ sha256 }) => sha256));
      expect(store.reads('pages')).toBe(pages.length);
      expect(store.readsAtOnce).toBeLessThanOrEqual(16);
    });

    it('stays when the publisher has taken the condemned batch out meanwhile, whoever was first', async () => {
      await publish(b);
      const bad = await test.commit(a);
      for (let i = 0; i < 5; i++) await publish(b);
      await test.decide(bad, 'condemned');
      const target = new RollbackTarget(test.ledger, 'main', 'last-clean');
      expect(await target.at(await test.ledger.control.head())).toBe(published[0]);
      await publish(b);
      expect(await target.at(await test.ledger.control.head())).toBe(published.at(-1));
      await test.decide(await test.commit(b), 'condemned');
      expect(await target.at(await test.ledger.control.head())).toBe(published.at(-1));
    });

    it('reads each list page once and each snapshot once, sixteen at a time', async () => {
      await publish();
      const bad = [await test.commit(a), await test.commit(b)];
      for (let i = 0; i < 50; i++) await publish();
      for (const batch of bad) await test.decide(batch, 'condemned');
      store.reset();
      expect(await back('last-clean')).toMatchObject({ to: published[0] });
      expect(store.readsAtOnce).toBeLessThanOrEqual(16);
      for (const folder of ['pages', 'snapshots']) {
        const keys = store.keys.filter((key) => key.includes(`/${folder}/`));
        // The snapshots at both ends are read once more, for the entry and the report.
        expect(keys.length - new Set(keys).size, folder).toBeLessThanOrEqual(folder === 'pages' ? 0 : 2);
      }
    });

    it('is found although the entry of the condemned batch is lost or altered: that is what the incident may be', async () => {
      const first = await publish();
      const bad = await test.commit(a);
      await publish();
      await publish(b);
      await test.decide(bad, 'condemned');
      const slot = test.ledger.layout.slot(a, bad.entry.slot);
      await overwrite(store, slot, Buffer.from('{}'));
      expect(await back('last-clean')).toMatchObject({ to: first });
      await store.delete(slot);
      expect(await back('last-clean')).toMatchObject({ to: first, unchanged: true });
    });

    it('passes over a snapshot that cannot be read, and goes away from one that is lost', async () => {
      const first = await publish(b);
      const second = await publish(b);
      const bad = await test.commit(a);
      const third = await publish();
      await test.decide(bad, 'condemned');
      const { layout } = test.ledger;
      await overwrite(store, layout.snapshot(second), Buffer.from('damaged'));
      await store.delete(layout.snapshot(third));
      expect(await back('last-clean')).toMatchObject({
        from: third,
        to: first,
        batchesRemoved: null,
        recordsRemoved: null,
      });
    });
  });

  it('says which releases are void, and whose baseline is in force again', async () => {
    const { orders: older } = (await state()).baselines;
    const early = await test.commit(a, { verdict: 'suspect' });
    await publish(b);
    await test.decide(early, 'released');
    const target = await publish(b);
    const [carriedOut, open, condemned] = [
      await test.commit(a, { verdict: 'suspect' }),
      await test.commit(a, { verdict: 'suspect' }),
      await test.commit(a, { verdict: 'suspect' }),
    ];
    await publish(b);
    await test.decide(carriedOut, 'released');
    await test.decide(condemned, 'released');
    const newer = await test.approveBaseline('newer');
    await publish(b);
    await test.decide(condemned, 'condemned');
    await publish(b);
    await test.decide(open, 'released');
    expect(await back(target)).toMatchObject({
      releasesVoided: 2,
      baselines: [{ topic: 'orders', from: newer, to: older }],
    });
    await resume(
      test.ledger,
      'main',
      test.person(),
      async (_topic, batches, as, baseline) =>
        storeRejudgement(test.ledger, { as, batches, baseline, outcomeOf: () => 'suspect' }),
      test.keys.publisher,
      never,
    );
    await hold(test.ledger, 'main', test.person(), never);
    expect(await back('last-clean')).toMatchObject({ unchanged: true, releasesVoided: 0, baselines: [] });
  });
});
