import { describe, expect, it } from 'vitest';

import { encodeHeaders } from '../../../../src/record/leaf.ts';
import { TIMESTAMP_APPEND, TIMESTAMP_CREATE } from '../../../../src/record/chunk.ts';
import { chunkRecords } from '../../../support/chunk-records.ts';
import { writeBatch } from '../../../support/record-batch.ts';
import { MIB, decodeRun } from './decode-run.ts';

describe('a batch', () => {
  it('becomes records with offsets, keys and values', () => {
    const { chunk, refused, cutOffBytes } = decodeRun(
      [
        writeBatch({
          baseOffset: 7,
          leaderEpoch: 3,
          records: [
            { key: 'a', value: 'x' },
            { key: 'b', value: 'yy' },
          ],
        }),
      ],
      { wanted: 7 },
    );
    expect({ refused, cutOffBytes }).toEqual({ refused: null, cutOffBytes: null });
    expect(chunk).toMatchObject({ from: 7, nextOffset: 9, count: 2, headers: null, position: null });
    expect(chunk!.spans).toEqual([{ from: 7, to: 9, leaderEpoch: 3, skip: null }]);
    expect(chunkRecords(chunk!).map(({ offset, key, value }) => [offset, key, value])).toEqual([
      [7, 'a', 'x'],
      [8, 'b', 'yy'],
    ]);
  });

  it('with 200,000 empty records is read whole (K2)', () => {
    const records = Array.from({ length: 200_000 }, () => ({ value: null }));
    for (const codec of [0, 1]) {
      const { chunk } = decodeRun([writeBatch({ codec, records })]);
      expect(chunk!.count).toBe(200_000);
      expect(chunk!.offsets[199_999]).toBe(199_999);
      expect(chunk!.valueLengths.every((length) => length === -1)).toBe(true);
    }
  });

  it('larger than a fetch of 1 MiB is read whole (K27)', () => {
    const { chunk } = decodeRun([writeBatch({ records: [{ value: Buffer.alloc(3 * MIB, 0x61) }] })]);
    expect(chunk!.valueLengths[0]).toBe(3 * MIB);
  });

  it('keeps null, tombstone and empty apart (K20)', () => {
    const { chunk } = decodeRun([
      writeBatch({
        records: [
          { key: null, value: 'x' },
          { key: 'k', value: null },
          { key: '', value: '' },
        ],
      }),
    ]);
    expect(chunkRecords(chunk!).map(({ key, value }) => [key, value])).toEqual([
      [null, 'x'],
      ['k', null],
      ['', ''],
    ]);
  });

  it.each([
    [
      'a duplicate name',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    ['an empty name and an empty value', [['', '']]],
    ['a null value', [['a', null]]],
    ['a name that is not UTF-8', [[Buffer.from([0xff, 0x00]), Buffer.from([0, 1, 2])]]],
    ['a name of 300 bytes', [['n'.repeat(300), 'v'.repeat(70)]]],
  ] as const)('keeps headers with %s, in order (K21)', (_, headers) => {
    const { chunk } = decodeRun([writeBatch({ records: [{ value: 'no headers' }, { value: 'headers', headers }] })]);
    const wanted = encodeHeaders(
      headers.map(([name, value]) => ({
        name: Buffer.from(name as string),
        value: value === null ? null : Buffer.from(value as string),
      })),
    );
    expect(chunkRecords(chunk!).map((record) => record.headers)).toEqual(['', wanted.toString('hex')]);
  });

  it.each([
    ['−1', -1n],
    ['before 1970', -62_135_596_800_000n],
    ['the least int64', -(2n ** 63n)],
    ['the year 292277026', 2n ** 63n - 1n],
  ])('keeps a time of %s (K22)', (_, timestamp) => {
    const plain = decodeRun([writeBatch({ baseTimestamp: timestamp, records: [{}] })]);
    const asDelta = decodeRun([writeBatch({ baseTimestamp: 0n, records: [{ timestampDelta: timestamp }] })]);
    for (const { chunk } of [plain, asDelta]) {
      expect(chunk!.timestamps[0]).toBe(timestamp);
      expect(chunk!.timestampTypes[0]).toBe(TIMESTAMP_CREATE);
    }
  });

  it('adds a delta to the base time, and wraps around at 64 bits as Java does', () => {
    const base = 1_750_000_000_000n;
    const deltas = [0n, -5n, 2n ** 40n, 2n ** 52n, 2n ** 62n];
    const records = deltas.map((timestampDelta) => ({ timestampDelta }));
    const { chunk } = decodeRun([writeBatch({ baseTimestamp: base, records })]);
    expect([...chunk!.timestamps]).toEqual(deltas.map((delta) => base + delta));
    const wrapped = decodeRun([writeBatch({ baseTimestamp: 2n ** 63n - 1n, records: [{ timestampDelta: 1n }] })]);
    expect(wrapped.chunk!.timestamps[0]).toBe(-(2n ** 63n));
  });

  it('with log append time gives every record the batch’s time and says so (K23)', () => {
    for (const maxTimestamp of [1_234n, -1n, 2n ** 62n]) {
      const { chunk } = decodeRun([
        writeBatch({ isLogAppendTime: true, baseTimestamp: 5n, maxTimestamp, records: [{ timestampDelta: 9n }, {}] }),
      ]);
      expect([...chunk!.timestamps]).toEqual([maxTimestamp, maxTimestamp]);
      expect([...chunk!.timestampTypes]).toEqual([TIMESTAMP_APPEND, TIMESTAMP_APPEND]);
    }
  });

  it('without a leader epoch has none', () => {
    const { chunk } = decodeRun([writeBatch({ leaderEpoch: -1, records: [{}] })]);
    expect(chunk!.spans).toEqual([{ from: 0, to: 1, leaderEpoch: null, skip: null }]);
  });
});

describe('offsets', () => {
  it('below the wanted one are dropped with their headers (K16)', () => {
    const headers = [['h', 'v']] as const;
    const { chunk } = decodeRun(
      [
        writeBatch({
          baseOffset: 10,
          records: [{ headers }, { headers }, { value: 'kept' }, { value: 'last', headers }],
        }),
      ],
      { wanted: 12 },
    );
    expect(chunk).toMatchObject({ from: 12, nextOffset: 14, count: 2 });
    expect(chunkRecords(chunk!).map(({ value, headers: own }) => [value, own.length > 0])).toEqual([
      ['kept', false],
      ['last', true],
    ]);
    expect(chunk!.spans).toEqual([{ from: 12, to: 14, leaderEpoch: 0, skip: null }]);
  });

  it('of a batch that ends before the wanted one give no chunk (K16)', () => {
    expect(decodeRun([writeBatch({ baseOffset: 3, records: [{}, {}] })], { wanted: 5 })).toMatchObject({
      chunk: null,
      refused: null,
    });
  });

  it('that were compacted away before, between and in batches are accounted for (K12)', () => {
    const { chunk } = decodeRun(
      [
        writeBatch({
          baseOffset: 4,
          leaderEpoch: 1,
          lastOffsetDelta: 5,
          records: [{ offsetDelta: 1 }, { offsetDelta: 3 }],
        }),
        writeBatch({ baseOffset: 12, leaderEpoch: 2, lastOffsetDelta: 2, records: [] }),
        writeBatch({ baseOffset: 15, leaderEpoch: 2, records: [{}] }),
      ],
      { wanted: 2 },
    );
    expect([...chunk!.offsets]).toEqual([5, 7, 15]);
    expect(chunk!.spans).toEqual([
      { from: 2, to: 4, leaderEpoch: null, skip: 'compacted' },
      { from: 4, to: 10, leaderEpoch: 1, skip: null },
      { from: 10, to: 12, leaderEpoch: null, skip: 'compacted' },
      { from: 12, to: 15, leaderEpoch: 2, skip: 'compacted' },
      { from: 15, to: 16, leaderEpoch: 2, skip: null },
    ]);
  });

  it('of neighbouring batches with one leader epoch share a span', () => {
    const { chunk } = decodeRun(
      [0, 1, 2, 3].map((baseOffset) => writeBatch({ baseOffset, leaderEpoch: baseOffset < 3 ? 0 : 1, records: [{}] })),
    );
    expect(chunk!.spans).toEqual([
      { from: 0, to: 3, leaderEpoch: 0, skip: null },
      { from: 3, to: 4, leaderEpoch: 1, skip: null },
    ]);
  });

  it.each([
    [
      'a batch that repeats an offset',
      [writeBatch({ baseOffset: 0, records: [{}, {}] }), writeBatch({ baseOffset: 1, records: [{}] })],
    ],
    [
      'a batch that goes back',
      [writeBatch({ baseOffset: 9, records: [{}] }), writeBatch({ baseOffset: 2, records: [{}] })],
    ],
    [
      'records that repeat an offset',
      [writeBatch({ lastOffsetDelta: 3, records: [{ offsetDelta: 1 }, { offsetDelta: 1 }] })],
    ],
    ['records that go back', [writeBatch({ lastOffsetDelta: 3, records: [{ offsetDelta: 2 }, { offsetDelta: 1 }] })]],
    ['a record past the batch’s last offset', [writeBatch({ lastOffsetDelta: 3, records: [{ offsetDelta: 4 }] })]],
  ])('that do not rise halt at once: %s (K17)', (_, batches) => {
    expect(decodeRun(batches)).toMatchObject({ chunk: null, refused: { code: 'ORDER' } });
  });
});

describe('compression', () => {
  it('by gzip is undone, also beside batches without it', () => {
    const { chunk } = decodeRun([
      writeBatch({ baseOffset: 0, records: [{ key: 'k0', value: 'plain' }] }),
      writeBatch({
        baseOffset: 1,
        codec: 1,
        records: [
          { key: 'k1', value: 'packed' },
          { key: 'k2', value: '' },
        ],
      }),
      writeBatch({ baseOffset: 3, records: [{ key: 'k3', value: 'plain again' }] }),
      writeBatch({ baseOffset: 4, codec: 1, records: [{ key: 'k4', value: 'packed again' }] }),
    ]);
    expect(chunkRecords(chunk!).map(({ key, value }) => `${key}=${value}`)).toEqual([
      'k0=plain',
      'k1=packed',
      'k2=',
      'k3=plain again',
      'k4=packed again',
    ]);
  });

  it('by gzip beyond the cap is refused (K3)', () => {
    const bomb = writeBatch({ codec: 1, records: [{ value: Buffer.alloc(5 * MIB) }] });
    expect(bomb.length).toBeLessThan(6_000);
    expect(decodeRun([bomb], { batchInflatedBytesMax: MIB })).toMatchObject({
      chunk: null,
      refused: { code: 'BOMB', from: 0, to: 1 },
    });
  });

  it('stops after the batch that spends the budget of a fetch, and never before the first', () => {
    const records = [{ value: Buffer.alloc(MIB) }];
    const batches = [0, 1, 2, 3].map((baseOffset) => writeBatch({ baseOffset, codec: 1, records }));
    const decoded = decodeRun(batches, { inflatedBytesMax: 2 * MIB });
    expect(decoded.chunk).toMatchObject({ count: 2, nextOffset: 2 });
    expect(decodeRun(batches, { inflatedBytesMax: 1 }).chunk).toMatchObject({ count: 1, nextOffset: 1 });
  });

  it.each([
    [2, 'snappy'],
    [3, 'lz4'],
    [4, 'zstd'],
    [5, 'codec 5 does not exist'],
    [6, 'codec 6 does not exist'],
    [7, 'codec 7 does not exist'],
  ])('with codec %i is refused (K4, K5)', (codec, reason) => {
    const { refused } = decodeRun([writeBatch({ baseOffset: 40, codec, records: [{}, {}] })], { wanted: 40 });
    expect(refused).toMatchObject({ code: 'CODEC', from: 40, to: 42 });
    expect(refused!.reason).toContain(reason);
  });

  it('that is not gzip although the bits say so is refused', () => {
    const deflated = Buffer.from('not gzip at all');
    expect(decodeRun([writeBatch({ codec: 1, deflated, recordCount: 1 })])).toMatchObject({
      refused: { code: 'MALFORMED' },
    });
  });
});

describe('a refused batch', () => {
  const good = writeBatch({ baseOffset: 0, records: [{}, {}] });

  it.each([
    ['CRC', writeBatch({ baseOffset: 2, records: [{}], crc: 1 })],
    ['CODEC', writeBatch({ baseOffset: 2, records: [{}], codec: 4 })],
    ['MAGIC', writeBatch({ baseOffset: 2, records: [{}], magic: 1 })],
    ['MAGIC', writeBatch({ baseOffset: 2, records: [{}], magic: 0 })],
    ['MALFORMED', writeBatch({ baseOffset: 2, records: [{}], recordCount: 0 })],
    ['SIZE_EXCEEDED', writeBatch({ baseOffset: 2, records: [{}], length: 64 * MIB })],
  ])('with %s ends the chunk before it, and is named when it comes first (K1, K7)', (code, bad) => {
    expect(decodeRun([good, bad])).toMatchObject({ chunk: { count: 2, nextOffset: 2 }, refused: null });
    expect(decodeRun([bad], { wanted: 2 })).toMatchObject({ chunk: null, refused: { code } });
  });

  it('leaves none of its records or headers behind', () => {
    const payload = writeBatch({ records: [{ headers: [['h', 'v']] }, { headers: [['h', 'v']] }] }).subarray(61);
    const bad = writeBatch({
      baseOffset: 2,
      payload: Buffer.concat([payload, Buffer.from([1])]),
      recordCount: 2,
      lastOffsetDelta: 1,
    });
    const { chunk } = decodeRun([good, bad]);
    expect(chunk).toMatchObject({ count: 2, headers: null, nextOffset: 2 });
  });
});

describe('a batch that is cut off', () => {
  it('is left for the next fetch when others precede it (K6)', () => {
    const second = writeBatch({ baseOffset: 1, records: [{}] });
    const { chunk, cutOffBytes } = decodeRun([writeBatch({ records: [{}] }), second.subarray(0, -1)]);
    expect({ next: chunk!.nextOffset, cutOffBytes }).toEqual({ next: 1, cutOffBytes: null });
  });

  it('says how large it is when it comes first', () => {
    const batch = writeBatch({ records: [{ value: Buffer.alloc(500) }] });
    expect(decodeRun([batch.subarray(0, 100)])).toMatchObject({
      chunk: null,
      refused: null,
      cutOffBytes: batch.length,
    });
    expect(decodeRun([batch.subarray(0, 16)])).toMatchObject({ chunk: null, refused: null, cutOffBytes: 0 });
  });
});
