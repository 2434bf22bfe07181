import { beforeAll, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { decodeBaseline, encodeBaseline } from '../../../src/detect/baseline/format.ts';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { contentBytesMax, BYTES_MAX, Layout } from '../../../src/ledger/layout.ts';
import { getVerified, putContent } from '../../../src/ledger/objects.ts';
import { COLUMN_NAME_BYTES_MAX, COLUMNS_MAX } from '../../../src/record/schema.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { BASELINE_BYTES_MAX } from '../../../src/record/stored-limits.ts';
import type { Row } from '../../support/columns.ts';
import { profileRows } from '../../support/flights.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { never } from '../../support/ledger.ts';

const layout = new Layout('shop');

/** A baseline of `columns` text columns with as many long values as are listed, and names as long as they may be. */
function makeBaseline(columns: number): Buffer {
  const names = Array.from({ length: columns }, (_, c) => `c${c}`.padEnd(COLUMN_NAME_BYTES_MAX, 'n'));
  const types = Object.fromEntries(names.map((name) => [name, 'string' as const]));
  const rows = Array.from({ length: 600 }, (_, i): Row =>
    Object.fromEntries(names.map((name, c) => [name, `${c}-${i % 256}-`.padEnd(96, 'x')])),
  );
  const profile = profileRows(rows, null, types, { label: null, source: null, time: null });
  return Buffer.from(encodeBaseline(learnBaseline(Array.from({ length: 80 }, () => profile))));
}

describe('the size of a baseline', () => {
  let small: Buffer;
  /** The same baseline, blown up to `bytes` by white space, which JSON does not mind. */
  const blownUp = (bytes: number): Buffer => Buffer.concat([small, Buffer.alloc(bytes - small.length, ' ')]);

  beforeAll(() => {
    small = makeBaseline(2);
  }, 60_000);

  it('has room for as many columns as a schema may have, full of long values', () => {
    const perColumn = (makeBaseline(4).length - small.length) / 2;
    expect(perColumn * COLUMNS_MAX).toBeGreaterThan(BASELINE_BYTES_MAX / 2);
    expect(perColumn * COLUMNS_MAX).toBeLessThan(BASELINE_BYTES_MAX);
  }, 60_000);

  it('has one limit for whoever writes it, whoever reads it and whoever decodes it', () => {
    expect(BYTES_MAX.baseline).toBe(BASELINE_BYTES_MAX);
    expect(contentBytesMax(layout.baseline('a'.repeat(64)))).toBe(BASELINE_BYTES_MAX);
  });

  it('is accepted at the limit and refused one byte above it, before anything is stored', async () => {
    const store = new MemoryStore();
    const put = (bytes: Buffer): Promise<void> =>
      putContent(store, layout.baseline(sha256Hex(bytes)), bytes, new LeapingClock(), never);
    const largest = blownUp(BASELINE_BYTES_MAX);
    await put(largest);
    const sha256 = sha256Hex(largest);
    const read = await getVerified(store, layout.baseline(sha256), sha256, BYTES_MAX.baseline);
    expect(decodeBaseline(read).columns).toHaveLength(2);
    const larger = blownUp(BASELINE_BYTES_MAX + 1);
    await expect(put(larger)).rejects.toMatchObject({ code: 'SIZE_EXCEEDED', name: 'RequestError' });
    expect(await store.stat(layout.baseline(sha256Hex(larger)))).toBeNull();
    expect(() => decodeBaseline(larger)).toThrow(expect.objectContaining({ code: 'SIZE_EXCEEDED' }));
  }, 60_000);
});
