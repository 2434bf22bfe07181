import { beforeEach, describe, expect, it } from 'vitest';

import { EMPTY_SEQUENCE } from '../../../src/ledger/sequence.ts';
import {
  encodeSnapshot,
  formatBatchLine,
  formatHeadLine,
  parseBatchLine,
  parseHeadLine,
  parseSnapshot,
  type BatchLine,
  emptySnapshot,
} from '../../../src/ledger/snapshot.ts';
import { bytesOf, overwrite } from '../../support/forge.ts';
import { TestLedger, all, never } from '../../support/ledger.ts';

const sha = (character: string): string => character.repeat(64);
const line = (log: string, start: number, standing: BatchLine['standing'] = 'clean'): BatchLine => ({
  log,
  start,
  end: start + 10,
  slot: start / 10,
  epoch: 0,
  digest: sha('d'),
  records: 10,
  rows: 9,
  data: { sha256: sha('a'), bytes: 100 },
  standing,
});
const put = (batch: BatchLine) => ({ key: [batch.log, batch.start] as const, line: formatBatchLine(batch) });

describe('a batch line', () => {
  it('has one stored form, which may never change', () => {
    const stored = `["test/orders/0",20,30,2,0,"${sha('d')}",10,9,"${sha('a')}",100,"released"]`;
    expect(formatBatchLine(line('test/orders/0', 20, 'released'))).toBe(stored);
    expect(parseBatchLine(stored)).toEqual(line('test/orders/0', 20, 'released'));
  });

  it('says when no record of the batch decoded', () => {
    const dead = { ...line('test/orders/0', 20), rows: 0, data: null };
    expect(parseBatchLine(formatBatchLine(dead))).toEqual(dead);
  });
});

describe('a head line', () => {
  it('has one stored form, which may never change', () => {
    const head = { log: 'test/orders/0', slot: 7, digest: sha('d'), next: 80 };
    expect(formatHeadLine(head)).toBe(`["test/orders/0",0,7,"${sha('d')}",80]`);
    expect(parseHeadLine(formatHeadLine(head))).toEqual(head);
  });
});

describe('Snapshots', () => {
  let test: TestLedger;

  beforeEach(async () => {
    test = await TestLedger.open({ prepared: false });
  });

  it('gives back what was written under its digest', async () => {
    const { snapshots } = test.ledger;
    const batches = await snapshots.update(
      EMPTY_SEQUENCE,
      [put(line('a', 10)), put(line('a', 0)), put(line('b', 0))],
      never,
    );
    const snapshot = {
      ...emptySnapshot('shop'),
      batches: batches as never,
      baselines: { constructor: sha('b') } as never,
    };
    const sha256 = await snapshots.write(snapshot, never);
    const read = await snapshots.read(sha256);
    expect(encodeSnapshot(read)).toEqual(encodeSnapshot(snapshot));
    expect(read.baselines['toString']).toBeUndefined();
    expect((await all(snapshots.batches(read.batches))).map(({ log, start }) => `${log} ${start}`)).toEqual([
      'a 0',
      'a 10',
      'b 0',
    ]);
    expect(await snapshots.find(read.batches, ['a', 10])).toEqual(line('a', 10));
    expect(await snapshots.find(read.batches, ['a', 5])).toBeNull();
    expect(await snapshots.find(read.batches, ['z', 0])).toBeNull();
  });

  it('refuses a snapshot or a page that is missing or changed, and names it', async () => {
    const { snapshots, layout } = test.ledger;
    const batches = await snapshots.update(EMPTY_SEQUENCE, [put(line('a', 0))], never);
    const sha256 = await snapshots.write({ ...emptySnapshot('shop'), batches: batches as never }, never);
    const page = layout.page(batches.pages[0]!.sha256);
    await overwrite(test.store, page, Buffer.concat([await bytesOf(test.store, page), Buffer.from('\n')]));
    await expect(all(snapshots.batches(batches))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: page });
    await test.store.delete(layout.snapshot(sha256));
    await expect(snapshots.read(sha256)).rejects.toMatchObject({
      code: 'OBJECT_MISSING',
      object: layout.snapshot(sha256),
    });
  });

  it('refuses to write a page that no reader would take', async () => {
    const long = [put(line('x'.repeat(9_000_000), 0))];
    await expect(test.ledger.snapshots.update(EMPTY_SEQUENCE, long, never)).rejects.toMatchObject({
      code: 'SIZE_EXCEEDED',
    });
  });

  it.each([
    '',
    'null',
    '{"version":2}',
    JSON.stringify({ ...emptySnapshot('shop'), extra: 1 }),
    JSON.stringify({ ...emptySnapshot('shop'), records: -1 }),
  ])('refuses %j as a snapshot (M30)', (text) => {
    expect(() => parseSnapshot(Buffer.from(text), 'snapshots/x')).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_INVALID', object: 'snapshots/x' }) as Error,
    );
  });
});
