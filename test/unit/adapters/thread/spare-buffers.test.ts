import { describe, expect, it } from 'vitest';

import { SpareBuffers } from '../../../../src/adapters/thread/spare-buffers.ts';

const MEBIBYTE = 1_048_576;
const buffer = (mebibytes: number): ArrayBuffer => new ArrayBuffer(mebibytes * MEBIBYTE);

describe('spare buffers', () => {
  it('are handed out once each, to those for whom they are large enough', () => {
    const spares = new SpareBuffers(64 * MEBIBYTE);
    const kept = [buffer(2), buffer(2)];
    for (const each of kept) spares.keep(each);
    expect(spares.take(2 * MEBIBYTE + 1)).toBeNull();
    const taken = [spares.take(2 * MEBIBYTE), spares.take(MEBIBYTE)];
    expect(new Set(taken)).toEqual(new Set(kept));
    expect(spares.take(1)).toBeNull();
  });

  it('are not handed out to those who need far less: the rest would lie idle', () => {
    const spares = new SpareBuffers(64 * MEBIBYTE);
    spares.keep(buffer(16));
    expect(spares.take(2 * MEBIBYTE - 1)).toBeNull();
    expect(spares.take(2 * MEBIBYTE)).not.toBeNull();
  });

  it('are let go, oldest first, where they are more than the limit together', () => {
    const spares = new SpareBuffers(6 * MEBIBYTE);
    for (const mebibytes of [1, 2, 3, 4]) spares.keep(buffer(mebibytes));
    const sizes = [];
    for (let found = spares.take(MEBIBYTE); found !== null; found = spares.take(MEBIBYTE)) sizes.push(found.byteLength);
    expect(sizes).toEqual([4 * MEBIBYTE]);
    spares.keep(buffer(6));
    expect(spares.take(6 * MEBIBYTE)).not.toBeNull();
  });

  it('are not kept when they are cheap to make, or larger than the limit', () => {
    const spares = new SpareBuffers(6 * MEBIBYTE);
    spares.keep(new ArrayBuffer(MEBIBYTE - 1));
    spares.keep(buffer(7));
    expect([spares.take(MEBIBYTE - 1), spares.take(7 * MEBIBYTE)]).toEqual([null, null]);
  });
});
