import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { WireReader, WireWriter } from '../../../../src/adapters/kafkajs/wire.ts';

describe('what a writer writes', () => {
  it('a reader reads', () => {
    const bytes = new WireWriter()
      .int8(-1)
      .int16(-2)
      .int32(-3)
      .int64(2 ** 53 - 1)
      .text('grüße')
      .nullableText(null)
      .bytes(Buffer.from([1, 2]))
      .array([7, 8], () => undefined)
      .unsignedVarint(300)
      .compactText('x')
      .uuid('ab'.repeat(16))
      .noTags()
      .finish();
    const reader = new WireReader(bytes);
    expect([reader.int8(), reader.int16(), reader.int32(), reader.int64()]).toEqual([-1, -2, -3, 2 ** 53 - 1]);
    expect([reader.text(), reader.nullableText(), [...reader.bytes()]]).toEqual(['grüße', null, [1, 2]]);
    expect([reader.int32(), reader.unsignedVarint(), reader.compactNullableText(), reader.uuid()]).toEqual([
      2,
      300,
      'x',
      'ab'.repeat(16),
    ]);
    reader.skipTags();
    expect(reader.remaining).toBe(0);
  });

  it('holds for every 32-bit unsigned varint', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), (value) => {
        expect(new WireReader(new WireWriter().unsignedVarint(value).finish()).unsignedVarint()).toBe(value);
      }),
    );
  });
});

describe('a reader refuses', () => {
  const read: Record<string, (reader: WireReader) => unknown> = {
    'an int32 past the end': (reader) => [reader.int32(), reader.int32()],
    'a text past the end': (reader) => reader.text(),
    'bytes past the end': (reader) => reader.bytes(),
    'an array past the end': (reader) => reader.array(1, () => reader.int8()),
    'tags past the end': (reader) => reader.skipTags(),
    'a uuid past the end': (reader) => reader.uuid(),
    'a varint that never ends': (reader) => reader.unsignedVarint(),
  };

  it.each(Object.entries(read))('%s', (_, work) => {
    const bytes = Buffer.from([0x7f, 0xff, 0xff, 0xff, 0xff]);
    const endless = Buffer.alloc(9, 0xff);
    expect(() =>
      work(
        new WireReader(
          work === read['a varint that never ends'] || work === read['tags past the end'] ? endless : bytes,
        ),
      ),
    ).toThrow(expect.objectContaining({ name: 'WireFault' }));
  });

  it('negative lengths other than null, null where there must be something, and offsets beyond 2^53', () => {
    refuses((reader) => reader.text(), 0xff, 0xfe);
    refuses((reader) => reader.text(), 0xff, 0xff);
    refuses((reader) => reader.bytes(), 0xff, 0xff, 0xff, 0xff);
    refuses((reader) => reader.array(1, () => 0), 0xff, 0xff, 0xff, 0xfe);
    refuses((reader) => reader.int64(), 0x00, 0x20, 0, 0, 0, 0, 0, 0);
    refuses((reader) => reader.unsignedVarint(), 0xff, 0xff, 0xff, 0xff, 0x1f);
  });

  it('whatever bytes it is given, with nothing but a WireFault', () => {
    const steps = Object.values(read);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(fc.nat(steps.length - 1), { maxLength: 6 }),
        (bytes, order) => {
          const reader = new WireReader(Buffer.from(bytes));
          try {
            for (const step of order) steps[step]!(reader);
          } catch (error) {
            expect((error as Error).name).toBe('WireFault');
          }
          expect(reader.remaining).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

function refuses(work: (reader: WireReader) => unknown, ...bytes: number[]): void {
  expect(() => work(new WireReader(Buffer.from(bytes)))).toThrow(expect.objectContaining({ name: 'WireFault' }));
}
