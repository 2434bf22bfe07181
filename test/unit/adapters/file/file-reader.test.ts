import { appendFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { FileReader, type FileReaderOptions } from '../../../../src/adapters/file/file-reader.ts';
import type { FileLayout } from '../../../../src/adapters/file/record-buffer.ts';
import type { SourcePosition } from '../../../../src/record/chunk.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  ALL,
  CSV,
  hastyClock,
  NDJSON,
  NOTHING_OWN,
  positionOf,
  readValues,
  recordsOf,
  takenOf,
  valuesOf,
} from './reading.ts';

let path: string;
let opened: FileReader[];

beforeEach(async () => {
  path = join(await temporaryFolder(), 'a.txt');
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((reader) => reader.rest()));
});

async function open(
  options: Partial<FileReaderOptions> = {},
  offset = 0,
  position: SourcePosition | null = null,
): Promise<FileReader> {
  const reader = await FileReader.open(
    { path, layout: NDJSON, own: NOTHING_OWN, once: true, clock: hastyClock(), readBytes: 64, ...options },
    offset,
    position,
  );
  opened.push(reader);
  return reader;
}

/** One process: opens, reads some records, and says where it stands. */
async function readSome(
  options: Partial<FileReaderOptions>,
  at: { offset: number; position: SourcePosition | null },
  recordsMax: number,
): Promise<{ values: string[]; at: typeof at }> {
  const reader = await open(options, at.offset, at.position);
  const chunk = await reader.read({ offset: at.offset, ...ALL, recordsMax });
  await reader.rest();
  if (chunk === null) return { values: [], at };
  return { values: valuesOf(chunk), at: { offset: chunk.nextOffset, position: chunk.position!(chunk.count) } };
}

/** Texts made of what is hard to split: line breaks in two bytes, characters in several, quotes. */
const TEXT = fc
  .array(fc.constantFrom('a', 'bc', ',', '"', '""', '\n', '\r\n', '\r', 'é', '漢', '🦆', '\u0000', '{"x":1}'), {
    maxLength: 60,
  })
  .map((parts) => Buffer.from(parts.join('')));
const LAYOUTS: readonly FileLayout[] = [NDJSON, CSV];
const LAYOUT = fc.constantFrom(...LAYOUTS);

describe('a file reader', () => {
  it('finds the records of a file, whatever lies at the borders of its reads', async () => {
    await fc.assert(
      fc.asyncProperty(TEXT, LAYOUT, fc.nat(40), fc.nat(10), fc.nat(50), async (bytes, layout, size, records, room) => {
        await writeFile(path, bytes);
        const reader = await open({ layout, readBytes: size + 1 });
        const found = await readValues(reader, 0, { recordsMax: records + 1, bytesMax: room });
        const text = bytes.toString('latin1');
        expect(found).toEqual(takenOf(text, layout));
        expect(reader.ended).toBe(true);
        const isLeft = found.length < recordsOf(text, layout).length;
        if (isLeft) expect(bytes.subarray(reader.unread!.byte)).toHaveLength(reader.unread!.bytes);
        else expect(reader.unread).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it('goes on at any record in another process', async () => {
    await fc.assert(
      fc.asyncProperty(
        TEXT,
        LAYOUT,
        fc.nat(40),
        fc.array(fc.nat(5), { maxLength: 8 }),
        async (bytes, layout, size, takes) => {
          await writeFile(path, bytes);
          const options = { layout, readBytes: size + 1 };
          const values: string[] = [];
          let at: { offset: number; position: SourcePosition | null } = { offset: 0, position: null };
          for (const take of [...takes, 1_000_000]) {
            const next = await readSome(options, at, take + 1);
            if (next.at.position !== null) expect(next.at.position).toEqual(positionOf(bytes, next.at.position.byte));
            values.push(...next.values);
            at = next.at;
          }
          values.push(...(await readValues(await open(options, at.offset, at.position), at.offset)));
          expect(values).toEqual(takenOf(bytes.toString('latin1'), layout));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('finds in a growing file what it would find in the whole one, or says that it has changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        TEXT,
        LAYOUT,
        fc.array(fc.nat(), { maxLength: 4 }),
        fc.nat(40),
        async (bytes, layout, cuts, size) => {
          const options = { layout, readBytes: size + 1 };
          const values: string[] = [];
          let at: { offset: number; position: SourcePosition | null } = { offset: 0, position: null };
          try {
            for (const cut of [...cuts.map((each) => each % (bytes.length + 1)), bytes.length].toSorted(
              (a, b) => a - b,
            )) {
              await writeFile(path, bytes.subarray(0, cut));
              for (let more = true; more;) {
                const next = await readSome(options, at, 3);
                values.push(...next.values);
                more = next.values.length > 0;
                at = next.at;
              }
            }
          } catch (error) {
            expect(error).toMatchObject({ name: 'HaltError', code: 'SOURCE_CHANGED' });
            return;
          }
          const text = bytes.toString('latin1');
          // A line that was taken whole may have got half a line break since.
          expect([takenOf(text, layout), takenOf(text.replace(/\r$/, ''), layout)]).toContainEqual(values);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('finds in a file that grows while it is followed what it would find in the whole one', async () => {
    await fc.assert(
      fc.asyncProperty(
        TEXT,
        LAYOUT,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.nat(40),
        async (bytes, layout, cuts, size) => {
          await rm(path, { force: true });
          const reader = await open({ layout, readBytes: size + 1, once: false });
          const values: string[] = [];
          let written = 0;
          for (const cut of [...cuts.map((each) => each % (bytes.length + 1)), bytes.length].toSorted(
            (a, b) => a - b,
          )) {
            await appendFile(path, bytes.subarray(written, cut));
            written = cut;
            values.push(...(await readValues(reader, values.length)));
          }
          await reader.rest();
          const whole = recordsOf(bytes.toString('latin1'), layout);
          // The last line waits for its line break.
          expect([whole, whole.slice(0, -1)]).toContainEqual(values);
          expect(reader.ended).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps blank lines as records of length 0, and every byte value', async () => {
    const all = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)).subarray(11);
    const end = Buffer.from('\n');
    await writeFile(path, Buffer.concat([Buffer.from('\n\r\n\nx\n'), Buffer.from([0xff, 0x00, 0xfe, 0x0a]), all, end]));
    const found = await readValues(await open());
    expect(found).toEqual(['', '', '', 'x', '\u00ff\u0000\u00fe', all.toString('latin1')]);
  });

  it.each([
    ['an empty file', '', NDJSON],
    ['an empty CSV file', '', CSV],
    ['a CSV file of a header', 'a,b\n', CSV],
    ['a CSV file of a header without a line break', 'a,b', CSV],
  ])('finds no record in %s', async (_, text, layout) => {
    await writeFile(path, text);
    const reader = await open({ layout });
    expect(await reader.read({ offset: 0, ...ALL })).toBeNull();
    expect(reader.ended).toBe(true);
  });

  it('finds the records of a CSV file with a byte order mark, also when it goes on from one of them', async () => {
    const text = '\ufeff"a,\nb",c\n1,2\n\ufeff"3,4\n5,6\n7,8\n';
    await writeFile(path, text);
    const values = ['1,2', Buffer.from('\ufeff"3,4').toString('latin1'), '5,6', '7,8'];
    expect(await readValues(await open({ layout: CSV, readBytes: 2 }))).toEqual(values);
    for (const read of [1, 2, 3]) {
      const start = Buffer.from(text).length - Buffer.from(values.slice(read).join('\n'), 'latin1').length - 1;
      const reader = await open({ layout: CSV }, read, positionOf(Buffer.from(text), start));
      expect(await readValues(reader, read)).toEqual(values.slice(read));
    }
  });

  it('gives each chunk of a CSV file its header', async () => {
    await writeFile(path, `a,"b\nc"\r\n${'1,2\n'.repeat(100)}`);
    const reader = await open({ layout: CSV });
    const first = (await reader.read({ offset: 0, ...ALL, recordsMax: 3 }))!;
    expect(Buffer.from(first.csvHeader!).toString()).toBe('a,"b\nc"');
    const other = await open({ layout: CSV }, 3, first.position!(3));
    const second = (await other.read({ offset: 3, ...ALL, recordsMax: 3 }))!;
    expect(Buffer.from(second.csvHeader!).toString()).toBe('a,"b\nc"');
    expect(second.from).toBe(3);
  });

  it('ends a chunk at the records and the bytes that are asked for', async () => {
    await writeFile(path, 'aa\nbbbb\ncccccc\n\nd\n');
    const reader = await open({ readBytes: 1_000 });
    const found: string[][] = [];
    for (const bytesMax of [2, 10, 1]) {
      found.push(valuesOf((await reader.read({ offset: reader.offset, ...ALL, bytesMax }))!));
    }
    expect(found).toEqual([['aa'], ['bbbb', 'cccccc', ''], ['d']]);
  });

  it('goes back to any record that was not committed', async () => {
    const values = Array.from({ length: 200 }, (_, i) => `line ${i}`);
    await writeFile(path, `${values.join('\n')}\n`);
    const whole = Buffer.from(`${values.join('\n')}\n`);
    const reader = await open({}, 50, positionOf(whole, values.slice(0, 50).join('\n').length + 1));
    for (const from of [50, 199, 60, 50, 200, 51]) expect(await readValues(reader, from)).toEqual(values.slice(from));
    await expect(reader.read({ offset: 49, ...ALL })).rejects.toThrow(RangeError);
  });

  it('goes on from a record whose position is not known', async () => {
    await writeFile(path, 'a\nb\nc\n');
    expect(await readValues(await open({}, 2, null), 2)).toEqual(['c']);
  });

  it('reads in one pass what was there at the first look, and the end of its last record', async () => {
    await writeFile(path, 'a\nb\nc-begin');
    const reader = await open({ readBytes: 4 });
    expect(valuesOf((await reader.read({ offset: 0, ...ALL }))!)).toEqual(['a', 'b']);
    await appendFile(path, '-end\nlater\n'.repeat(100));
    const rest = await readValues(reader, 2);
    expect(rest[0]).toBe('c-begin-end');
    expect(rest.length).toBeLessThan(10);
    expect(reader.ended).toBe(true);
  });

  describe('at a last line without a line break', () => {
    /** What one pass finds, and what it leaves. */
    async function pass(options: Partial<FileReaderOptions> = {}): Promise<unknown> {
      const reader = await open(options);
      return { found: await readValues(reader), unread: reader.unread, ended: reader.ended };
    }

    it.each(['{"a":1}', '[1]', '"x"', 'null', ' {"a":1} ', '{"a":"\u00ff"}'])(
      'takes the whole JSON value %j',
      async (last) => {
        await writeFile(path, Buffer.from(`{}\n${last}`, 'latin1'));
        expect(await pass()).toEqual({ found: ['{}', last], unread: null, ended: true });
      },
    );

    it.each(['{"a":1', '{"a":1}{', '{"a"', '12', '-1.5e3', '"x', 'tru', '{"a":1}\r', ' ', '\ufeff{}'])(
      'leaves %j, which may go on',
      async (last) => {
        await writeFile(path, `{}\n${last}`);
        const unread = { byte: 3, bytes: Buffer.byteLength(last) };
        expect(await pass()).toEqual({ found: ['{}'], unread, ended: true });
        await appendFile(path, '\n');
        expect(await pass()).toMatchObject({ unread: null, ended: true, found: { length: 2 } });
      },
    );

    it('leaves a file of nothing else', async () => {
      await writeFile(path, '{"a":');
      expect(await pass()).toEqual({ found: [], unread: { byte: 0, bytes: 5 }, ended: true });
    });

    it.each(['1', '1,2,3', '1,"2', '1,"2""', '"1,2', '1,2\r'])(
      'leaves the CSV line %j, which is not whole',
      async (last) => {
        await writeFile(path, `a,b\n1,2\n${last}`);
        expect(await pass({ layout: CSV })).toEqual({
          found: ['1,2'],
          unread: { byte: 8, bytes: last.length },
          ended: true,
        });
      },
    );

    it.each(['1,2', ',', '"1,""x""\n",2', 'a"",b', '"",""'])(
      'takes the CSV line %j once the file is quiet',
      async (last) => {
        await writeFile(path, `a,b\n1,2\n${last}`);
        expect(await pass({ layout: CSV })).toEqual({ found: ['1,2', last], unread: null, ended: true });
      },
    );

    it('takes the CSV line of a file that is older than a day at once', async () => {
      await writeFile(path, 'a,b\n1,2');
      const clock = new ManualClock();
      await utimes(path, 1, (clock.now() - 86_400_000) / 1_000);
      expect(await readValues(await open({ layout: CSV, clock }))).toEqual(['1,2']);
    });

    it('waits for a newer CSV file to be quiet by watching it: its time may be that of another clock', async () => {
      await writeFile(path, 'a,b\n1,2');
      const clock = new ManualClock();
      await utimes(path, 1, (clock.now() - 86_000_000) / 1_000);
      const reader = await open({ layout: CSV, clock });
      for (let waitedMs = 0; waitedMs < 5_000; waitedMs += 1_000) {
        expect(await readValues(reader)).toEqual([]);
        expect(reader.ended).toBe(false);
        await clock.advance(1_000);
      }
      expect(await readValues(reader)).toEqual(['1,2']);
      expect(reader.ended).toBe(true);
    });

    it('leaves the line of a CSV file that is being written', async () => {
      await writeFile(path, 'a,b\n1,2');
      const reader = await open({ layout: CSV, clock: new ManualClock(0) });
      expect(await readValues(reader)).toEqual([]);
      await appendFile(path, '3');
      expect(await readValues(reader)).toEqual([]);
      expect([reader.ended, reader.unread]).toEqual([true, { byte: 4, bytes: 4 }]);
    });

    it('takes the line of a CSV file that gets its line break meanwhile', async () => {
      await writeFile(path, 'a,b\n1,2');
      const reader = await open({ layout: CSV, clock: new ManualClock(0) });
      expect(await readValues(reader)).toEqual([]);
      await appendFile(path, '3\nlater,4\n');
      expect((await readValues(reader))[0]).toBe('1,23');
      expect([reader.ended, reader.unread]).toEqual([true, null]);
    });
  });

  it('holds a file open only while there is more to read', async () => {
    await writeFile(path, 'a\nb\n');
    const reader = await open({ once: false });
    await readValues(reader);
    await rename(path, `${path}.old`);
    await writeFile(path, 'a\nb\nc\n');
    expect(await reader.hasChanged()).toBe(true);
    expect(await readValues(reader, 2)).toEqual(['c']);
  });

  it('reads the rest of a file that disappears while it is read', async () => {
    await writeFile(path, 'a\nb\nc\n');
    const reader = await open({ readBytes: 2, once: false });
    expect(valuesOf((await reader.read({ offset: 0, ...ALL }))!)).toEqual(['a']);
    await rm(path);
    expect(await readValues(reader, 1)).toEqual(['b', 'c']);
    expect(await reader.hasChanged()).toBe(false);
    expect(await reader.read({ offset: 3, ...ALL })).toBeNull();
  });

  it('halts at a record above the cap, after those before it', async () => {
    await writeFile(path, `a\nb\n${'x'.repeat(101)}\nc\n`);
    const reader = await open({ layout: { ...NDJSON, recordBytesMax: 100 } });
    expect(valuesOf((await reader.read({ offset: 0, ...ALL }))!)).toEqual(['a', 'b']);
    await expect(reader.read({ offset: 2, ...ALL })).rejects.toMatchObject({
      name: 'HaltError',
      code: 'SIZE_EXCEEDED',
      message: expect.stringContaining('record 2, at byte 4, is longer than 100 bytes'),
    });
  });

  it('halts at a CSV header above the cap', async () => {
    await writeFile(path, `${'x'.repeat(101)}\nc\n`);
    const reader = await open({ layout: { ...CSV, recordBytesMax: 100 } });
    await expect(reader.read({ offset: 0, ...ALL })).rejects.toMatchObject({ code: 'SIZE_EXCEEDED' });
  });
});
