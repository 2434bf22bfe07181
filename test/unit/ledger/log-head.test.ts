import { describe, expect, it } from 'vitest';

import { advance, type LogHead, type VerifiedEntry } from '../../../src/ledger/log-head.ts';
import type { BatchEntry, GapEntry, OpenEntry, PartitionEntry } from '../../../src/ledger/partition-entry.ts';

const digest = (character: string): string => character.repeat(64);
const object = { key: 'shop/data/x.parquet', sha256: digest('d'), bytes: 10 };

const common = {
  pipeline: 'shop',
  deployment: 'here',
  cluster: 'test',
  topic: 'orders',
  partition: '0',
  writer: 'w1',
  time: '2026-01-01T00:00:00.000Z',
};
const open: OpenEntry = {
  kind: 'open',
  ...common,
  slot: 0,
  previous: null,
  epoch: 0,
  leafVersion: 1,
  next: 100,
  label: 'a.ndjson',
};
const batch: BatchEntry = {
  kind: 'batch',
  ...common,
  slot: 1,
  previous: digest('0'),
  epoch: 0,
  start: 100,
  end: 110,
  records: 7,
  leaderEpoch: 4,
  topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
  leafVersion: 1,
  root: digest('e'),
  data: object,
  deadLetters: object,
  deadLetterRecords: 2,
  evidence: object,
  skipped: { aborted: 1, control: 1, compacted: 1 },
  controlSeq: 5,
  baseline: null,
  schema: digest('5'),
  config: digest('c'),
  mode: 'enforce',
  verdict: 'clean',
  undecided: null,
  halt: null,
  position: { byte: 99, prefixSha256: digest('9') },
};
const gap: GapEntry = {
  kind: 'gap',
  ...common,
  slot: 1,
  previous: digest('0'),
  epoch: 0,
  start: 100,
  end: 120,
  reason: 'retention',
};
const close: PartitionEntry = { kind: 'close', ...common, slot: 1, previous: digest('0'), epoch: 0 };
const claim: OpenEntry = { ...open, slot: 1, previous: digest('0'), epoch: 1, writer: 'w2', label: null };

const verified = (entry: PartitionEntry, character = '1'): VerifiedEntry => ({
  entry,
  digest: digest(character),
  key: `slot ${entry.slot}`,
});
const opened = (): LogHead => advance(null, verified(open, '0'));
const broken = (why: RegExp, key = 'slot 1') =>
  expect.objectContaining({
    code: 'CHAIN_BROKEN',
    object: key,
    message: expect.stringMatching(why) as string,
  }) as Error;

describe('advance', () => {
  it('begins a log with a claim that says where reading begins', () => {
    expect(opened()).toMatchObject({
      slot: 0,
      digest: digest('0'),
      epoch: 0,
      writer: 'w1',
      next: 100,
      closed: false,
      haltedAt: null,
    });
  });

  it('goes on with a batch, a gap, a close, and a claim of the next epoch', () => {
    expect(advance(opened(), verified(batch))).toMatchObject({
      slot: 1,
      digest: digest('1'),
      next: 110,
      leaderEpoch: 4,
      topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
      position: batch.position,
    });
    expect(advance(opened(), verified(gap))).toMatchObject({ next: 120, leaderEpoch: null });
    expect(advance(opened(), verified(close))).toMatchObject({ next: 100, closed: true });
    expect(advance(opened(), verified(claim))).toMatchObject({ next: 100, epoch: 1, writer: 'w2' });
  });

  it.each([batch, gap, close])('refuses a log that begins with a $kind', (entry) => {
    expect(() => advance(null, verified({ ...entry, slot: 0, previous: null }))).toThrow(
      broken(/begins with an open/, 'slot 0'),
    );
  });

  it('refuses a genesis claim that names an entry before it, or another epoch or slot than 0', () => {
    expect(() => advance(null, verified({ ...open, previous: digest('7') }))).toThrow(
      broken(/previous digest/, 'slot 0'),
    );
    expect(() => advance(null, verified({ ...open, epoch: 1 }))).toThrow(broken(/epoch/, 'slot 0'));
    expect(() => advance(null, verified({ ...open, slot: 1 }))).toThrow(broken(/slot/));
  });

  it.each([
    ['a slot that is skipped or repeated (M2, M5)', { slot: 2 }, /slot is 2, wanted 1/],
    ['another entry before it (M2, M3)', { previous: digest('7') }, /previous digest/],
    ['no entry before it', { previous: null }, /previous digest is null/],
    ['a lower epoch (M27)', { epoch: -1 }, /epoch/],
    ['a higher epoch without a claim', { epoch: 1 }, /epoch is 1, wanted 0/],
    ['another writer than that of the claim', { writer: 'w2' }, /writer is w2, wanted w1/],
    ['another deployment than that of the claim', { deployment: 'there' }, /deployment is there/],
    ['a start behind the end before it: an unsigned gap (M15)', { start: 101 }, /start offset is 101, wanted 100/],
    ['a start before it: an overlap (M15)', { start: 99 }, /start offset is 99, wanted 100/],
    ['an end that is not past its start (M15)', { end: 100 }, /end 100 is not past start 100/],
    ['an end before its start (M15)', { end: 90 }, /end 90 is not past start 100/],
    ['more records than offsets (M16)', { records: 8 }, /11 offsets are accounted for, wanted 10/],
    ['fewer records than offsets (M16)', { records: 6 }, /9 offsets are accounted for, wanted 10/],
    ['more dead letters than records', { records: 1, deadLetterRecords: 2, end: 104 }, /dead letters do not add up/],
    ['dead letters without an object', { deadLetters: null }, /dead letters do not add up/],
    ['an object of dead letters without one', { deadLetterRecords: 0 }, /dead letters do not add up/],
    ['decoded records without an object', { data: null }, /no data object for 5 decoded records/],
    [
      'a data object without decoded records',
      { records: 2, deadLetterRecords: 2, end: 105 },
      /a data object for 0 decoded/,
    ],
  ])('refuses a batch with %s', (_, change, why) => {
    expect(() => advance(opened(), verified({ ...batch, ...change }))).toThrow(
      broken(why, `slot ${'slot' in change ? change.slot : 1}`),
    );
  });

  it.each([
    ['the same epoch', { epoch: 0 }, /epoch is 0, wanted 1/],
    ['a lower epoch (M27)', { epoch: -1 }, /epoch/],
    ['an epoch too far', { epoch: 2 }, /epoch is 2, wanted 1/],
    ['another next offset', { next: 99 }, /next offset is 99, wanted 100/],
    ['a label of its own', { label: 'b.ndjson' }, /label/],
  ])('refuses a claim with %s', (_, change, why) => {
    expect(() => advance(opened(), verified({ ...claim, ...change }))).toThrow(broken(why));
  });

  it('refuses a gap that leaves a hole or overlaps', () => {
    for (const start of [99, 101])
      expect(() => advance(opened(), verified({ ...gap, start }))).toThrow(broken(/start offset/));
  });

  it('lets nothing follow a close but a claim', () => {
    const closed = advance(opened(), verified(close));
    for (const entry of [batch, gap, close]) {
      expect(() => advance(closed, verified({ ...entry, slot: 2, previous: digest('1') }))).toThrow(
        broken(/closed, wanted open/, 'slot 2'),
      );
    }
    expect(advance(closed, verified({ ...claim, slot: 2, previous: digest('1') }))).toMatchObject({
      closed: false,
      epoch: 1,
    });
  });

  it('lets nothing follow a halt but what was written by one who had read further in the control log', () => {
    const halted = advance(opened(), verified({ ...batch, halt: 'RULE' }));
    expect(halted.haltedAt).toBe(5);
    const next = { ...batch, slot: 2, previous: digest('1'), start: 110, end: 120 };
    expect(() => advance(halted, verified(next))).toThrow(broken(/a rule halted the log/, 'slot 2'));
    expect(advance(halted, verified({ ...next, controlSeq: 6 })).haltedAt).toBeNull();
    const claimed = advance(halted, verified({ ...claim, slot: 2, previous: digest('1'), next: 110 }));
    expect(claimed.haltedAt).toBe(5);
  });

  it('keeps where a file stands and what halted the log through gaps and claims', () => {
    const read = advance(opened(), verified({ ...batch, halt: 'RULE' }));
    const after = advance(read, verified({ ...gap, slot: 2, previous: digest('1'), start: 110 }, '2'));
    expect(after).toMatchObject({ next: 120, position: batch.position, haltedAt: 5 });
  });
});
