import { spawn } from 'node:child_process';
import { PassThrough, Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FileSource } from '../../../../src/adapters/file/file-source.ts';
import { PipeReader } from '../../../../src/adapters/file/pipe-reader.ts';
import { systemClock } from '../../../../src/adapters/system/clock.ts';
import { ALL, CSV, NDJSON, recordsOf, valuesOf } from './reading.ts';

/** Reads until the stream ends. */
async function readToEnd(reader: PipeReader, offset = 0): Promise<string[]> {
  const values: string[] = [];
  while (!reader.ended) {
    const chunk = reader.read({ offset: offset + values.length, ...ALL, recordsMax: 3 });
    if (chunk !== null) values.push(...valuesOf(chunk));
    else if (!reader.ended) await reader.news();
  }
  return values;
}

describe('a reader of standard input', () => {
  it('finds the records of a stream, however it is cut', async () => {
    const parts = fc.array(fc.constantFrom('a', 'bc,', '"', '\n', '\r', '\r\n', 'é', '🦆', '\u0000'), {
      maxLength: 40,
    });
    const cuts = fc.array(fc.nat(), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(parts, cuts, fc.constantFrom(NDJSON, CSV), async (texts, at, layout) => {
        const bytes = Buffer.from(texts.join(''));
        const edges = [0, ...at.map((each) => each % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
        const pieces = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
        const reader = new PipeReader(
          Readable.from(
            pieces.filter(({ length }) => length > 0),
            { objectMode: false },
          ),
          layout,
        );
        expect(await readToEnd(reader)).toEqual(recordsOf(bytes.toString('latin1'), layout));
      }),
      { numRuns: 200 },
    );
  });

  it('reads what another process writes', async () => {
    const child = spawn(
      process.execPath,
      ['-e', 'for (let i = 0; i < 50000; i++) console.log(JSON.stringify({ i }))'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const values = await readToEnd(new PipeReader(child.stdout, NDJSON));
    expect(values).toHaveLength(50_000);
    expect(values.at(-1)).toBe('{"i":49999}');
  });

  it('says that it has nothing for now, and when it has', async () => {
    const stream = new PassThrough();
    const reader = new PipeReader(stream, NDJSON);
    await reader.news();
    expect(reader.read({ offset: 0, ...ALL })).toBeNull();
    let isAwake = false;
    const news = reader.news().then(() => (isAwake = true));
    await systemClock.sleep(20);
    expect(isAwake).toBe(false);
    stream.write('a\nb');
    await news;
    expect(valuesOf(reader.read({ offset: 0, ...ALL })!)).toEqual(['a']);
    stream.end();
    expect(await readToEnd(reader, 1)).toEqual(['b']);
  });

  it('gives once more what was not committed, and no more than that', async () => {
    const reader = new PipeReader(Readable.from(['a\nb\nc\nd\n'], { objectMode: false }), NDJSON);
    await readToEnd(reader);
    reader.release(1);
    expect(valuesOf(reader.read({ offset: 1, ...ALL })!)).toEqual(['a', 'b', 'c']);
    reader.release(3);
    expect(valuesOf(reader.read({ offset: 3, ...ALL })!)).toEqual(['d']);
    expect(() => reader.read({ offset: 2, ...ALL })).toThrow(
      expect.objectContaining({
        name: 'HaltError',
        code: 'SOURCE_CHANGED',
        message: expect.stringContaining('only once'),
      }),
    );
  });

  it('halts when the stream breaks, after what had arrived', async () => {
    const stream = new PassThrough();
    const reader = new PipeReader(stream, NDJSON);
    stream.write('a\nb');
    await systemClock.sleep(10);
    expect(valuesOf(reader.read({ offset: 0, ...ALL })!)).toEqual(['a']);
    stream.destroy(new Error('broken'));
    await reader.news();
    expect(() => reader.read({ offset: 1, ...ALL })).toThrow(
      expect.objectContaining({
        name: 'HaltError',
        code: 'SOURCE_UNAVAILABLE',
        message: expect.stringContaining('broken'),
      }),
    );
  });

  it('ends the wait of a source when something arrives', async () => {
    const stream = new PassThrough();
    const source = new FileSource({
      topic: 't',
      paths: ['-'],
      base: '.',
      format: 'ndjson',
      once: false,
      clock: systemClock,
      stdinId: 'stdin-1',
      openStdin: () => stream,
    });
    await source.join();
    const request = { log: { cluster: 'file', topic: 't', partition: 'stdin-1' }, offset: 0, ...ALL };
    const { signal } = new AbortController();
    await source.poll([request], 10, signal);
    const startedMs = performance.now();
    const waiting = source.poll([request], 60_000, signal);
    setTimeout(() => stream.write('late\n'), 50);
    await waiting;
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(await source.poll([request], 10, signal)).toMatchObject([
      { kind: 'records', chunk: { count: 1, position: null } },
    ]);
    await source.commit(request.log, 1);
    await source[Symbol.asyncDispose]();
    expect(stream.destroyed).toBe(true);
  });
});
