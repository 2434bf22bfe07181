import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { HISTORY_MAX } from '../../../src/detect/baseline/calibrate.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { approve } from '../../../src/respond/approve-baseline.ts';
import { storedProfiles } from '../../../src/respond/stored-profiles.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TOPIC, TestLedger, never, partition } from '../../support/ledger.ts';

describe('learning and approving on a long history', () => {
  let store: CountingStore;
  let clock: LeapingClock;
  let test: TestLedger;

  beforeEach(async () => {
    store = new CountingStore(new MemoryStore());
    clock = new LeapingClock();
    test = await TestLedger.open({ store, clock, prepared: false });
    await test.pinSchema();
  });

  it.each([
    ['one log', (): number => 0],
    ['logs that take turns', (i: number): number => i % 4],
    ['logs one after the other', (i: number): number => Math.floor(i / 40)],
    ['logs of which most are old', (i: number): number => (i < 60 ? i % 20 : 30)],
  ])('reads the newest batches alone, several at once: %s', async (_, logOf) => {
    const commits: LoggedBatch[] = [];
    for (let i = 0; i < HISTORY_MAX + 40; i++) {
      const values = [JSON.stringify({ id: i })];
      commits.push(await test.commit(partition(logOf(i)), { verdict: 'no-baseline', values }));
      clock.advance(1_000);
    }
    await test.publisher(async () => null).publish(never);
    const ledger = test.reopened();
    await ledger.control.head();
    store.reset();
    const profiles = await storedProfiles(ledger, 'main', TOPIC, ['held']);
    const logs = new Set(commits.map(({ log }) => log.partition)).size;
    expect(store.reads('log')).toBeLessThanOrEqual(HISTORY_MAX + 16 * Math.min(logs, 4) + logs);
    expect(store.reads('evidence')).toBe(HISTORY_MAX);
    expect(store.readsAtOnce).toBeGreaterThan(8);
    expect(store.readsAtOnce).toBeLessThanOrEqual(16);
    const wanted = [];
    for (const batch of commits.slice(-HISTORY_MAX)) wanted.push((await readEvidence(test.ledger, batch)).profile);
    expect(profiles).toEqual(wanted);
  });

  it('finds the baseline to approve without reading the whole control log', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 100; i++) {
      const bytes = Buffer.from(`baseline ${i}`);
      const baseline = sha256Hex(bytes);
      await store.create(test.ledger.layout.baseline(baseline), bytes);
      await test.act({ kind: 'learn', by: 'publisher', topic: TOPIC, baseline, reason: 'learned' });
      ids.push(baseline);
    }
    const approved = async (id: string | undefined): Promise<{ baseline: string; reads: number }> => {
      await test.ledger.control.head();
      store.reset();
      const baseline = await approve(test.ledger, TOPIC, id, test.person(), never);
      return { baseline, reads: store.reads('control') };
    };
    for (const [id, wanted, readsMax] of [
      [undefined, ids[99]!, 4],
      [ids[99]!, ids[99]!, 8],
      [ids[97]!.slice(0, 12), ids[97]!, 16],
    ] as const) {
      const { baseline, reads } = await approved(id);
      expect(baseline).toBe(wanted);
      expect(reads).toBeLessThanOrEqual(readsMax);
    }
  });
});
