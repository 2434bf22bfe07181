import { existsSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../../src/adapters/parquet/format.ts';
import { ThreadEncoder } from '../../../../src/adapters/thread/encoder.ts';
import { IntegrityError, UnavailableError } from '../../../../src/errors.ts';
import { BatchBuilder, type BuiltBatch } from '../../../../src/ingest/batch-builder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { InlineEncoder } from '../../../../src/ledger/data/encode.ts';
import type { EncodedBatch } from '../../../../src/ports/batch-encoder.ts';
import { makeChunk, type TestRecord } from '../../../support/chunk.ts';
import { ORDER_SCHEMA, partition } from '../../../support/ledger.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** The built thread; see the script `build`. */
const SCRIPT = new URL('../../../../dist/workers/encode.js', import.meta.url);
const KEY = Buffer.alloc(32, 7);

/** A batch as ingestion builds it: the same bytes every time. */
function build(records: readonly TestRecord[], log = partition(0), start = 0): BuiltBatch {
  const builder = new BatchBuilder({
    log,
    topicId: null,
    start,
    limits: { recordsMax: 100_000, bytesMax: 1 << 28, recordBytesMax: 1 << 22, recordTimeMaxMs: null },
    decoder: createJsonDecoder(ORDER_SCHEMA),
    observer: { add: () => undefined },
    batchKey: KEY,
    nowMs: null,
  });
  builder.add(makeChunk(records, { from: start }), 0);
  return builder.finish();
}

const orders = (count: number, seed = 0): TestRecord[] =>
  Array.from({ length: count }, (_, offset) => ({
    offset,
    key: offset % 3 === 0 ? null : `key ${offset}`,
    value: JSON.stringify({ id: offset + seed, amount: offset / 4, city: ['Basel', 'Bern', null][offset % 3] }),
    timestamp: BigInt(1_600_000_000_000 + offset),
    headers: offset % 5 === 0 ? [{ name: Buffer.from('source'), value: Buffer.from('a') }] : [],
  }));

const encodeWith = (encoder: ThreadEncoder, { content, leaves }: BuiltBatch): Promise<EncodedBatch> =>
  encoder.encode(content, leaves);

/** What came of it, so that nothing is rejected before someone looks. */
const outcomeOf = (encoding: Promise<EncodedBatch>): Promise<EncodedBatch | Error> =>
  encoding.catch((error: unknown) => error as Error);

describe('the encoder in a thread', () => {
  const encoders: ThreadEncoder[] = [];

  beforeAll(() => {
    if (!existsSync(SCRIPT)) throw new Error(`Cannot find ${SCRIPT.pathname}: run \`npm run build\``);
  });

  afterEach(async () => {
    for (const encoder of encoders.splice(0)) await encoder[Symbol.asyncDispose]();
  });

  const open = (script = SCRIPT, timeoutMs?: number): ThreadEncoder => {
    const encoder = new ThreadEncoder(script, { spareBytesMax: 4_194_304, ...(timeoutMs && { timeoutMs }) });
    encoders.push(encoder);
    return encoder;
  };
  /** An encoder whose thread runs `code`, which finds its `port`, and in `folder` a place to leave marks. */
  const openWith = async (code: string): Promise<{ encoder: ThreadEncoder; folder: string }> => {
    const folder = await temporaryFolder();
    const script = join(folder, 'thread.mjs');
    const head = `
      import { parentPort as port } from 'node:worker_threads';
      import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
      const folder = ${JSON.stringify(folder)};
      const real = ${JSON.stringify(SCRIPT.href)};
      const answer = ({ id }) =>
        port.postMessage({ id, ok: true, data: null, deadLetters: null, spare: new ArrayBuffer(0) });`;
    await writeFile(script, head + code);
    return { encoder: open(pathToFileURL(script)), folder };
  };
  /** A thread that dies by `death` at its first batch; the one after it is the real one. */
  const openMortal = (death: string): ReturnType<typeof openWith> =>
    openWith(`
      if (existsSync(folder + '/died')) await import(real);
      else port.on('message', () => { writeFileSync(folder + '/died', ''); ${death} });`);

  describe('gives the same files as the one on the calling thread', () => {
    const batches: Readonly<Record<string, readonly TestRecord[]>> = {
      'one record': orders(1),
      'thousands of records': orders(3_000),
      'records that do not decode among others': orders(40).map((record, i) =>
        i % 4 === 0 ? { ...record, value: '{' } : record,
      ),
      'nothing that decodes': orders(5).map((record) => ({ ...record, value: 'no JSON' })),
      'null and empty values': orders(6).map((record, i) => ({ ...record, value: i % 2 === 0 ? null : '' })),
      'a record of a megabyte': [{ offset: 0, value: JSON.stringify({ id: 1, city: 'x'.repeat(1_000_000) }) }],
    };

    it.each(Object.keys(batches))('of %s', async (name) => {
      const [here, there] = [build(batches[name]!), build(batches[name]!)];
      const wanted = await new InlineEncoder(parquetFormat).encode(here.content, here.leaves);
      const found = await encodeWith(open(), there);
      for (const part of ['data', 'deadLetters'] as const) {
        expect(found[part]?.sha256).toBe(wanted[part]?.sha256);
        expect(found[part]?.bytes.equals(wanted[part]!.bytes) ?? null).toBe(wanted[part] === null ? null : true);
      }
    });

    it('for many batches at once, each to its own caller', async () => {
      const encoder = open();
      const logs = Array.from({ length: 12 }, (_, i) => partition(i));
      const found = await Promise.all(logs.map((log, i) => encodeWith(encoder, build(orders(50 + i, i), log))));
      const inline = new InlineEncoder(parquetFormat);
      for (const [i, log] of logs.entries()) {
        const { content, leaves } = build(orders(50 + i, i), log);
        expect(found[i]!.data!.sha256).toBe((await inline.encode(content, leaves)).data!.sha256);
      }
    });
  });

  it('hands out the memory of large batches again', async () => {
    const encoder = open();
    const megabyte = build([{ offset: 0, value: JSON.stringify({ id: 1, city: 'x'.repeat(1_100_000) }) }]);
    const { byteLength } = megabyte.content.decoded.raw.values.bytes.buffer;
    await encodeWith(encoder, build(orders(10)));
    expect(encoder.takeSpare(1)).toBeNull();
    await encodeWith(encoder, megabyte);
    expect(encoder.takeSpare(byteLength)?.byteLength).toBe(byteLength);
    expect(encoder.takeSpare(byteLength)).toBeNull();
  });

  it('moves large buffers to the thread instead of copying them, and no buffer of which it has only a part', async () => {
    const { content, leaves } = build(orders(2_000));
    const { raw } = content.decoded;
    const whole = new Uint8Array(raw.values.bytes.length + 200);
    const part = whole.subarray(100, 100 + raw.values.bytes.length);
    part.set(raw.values.bytes);
    const decoded = { ...content.decoded, raw: { ...raw, values: { ...raw.values, bytes: part } } };
    await open().encode({ ...content, decoded }, leaves);
    expect(raw.offsets.buffer.byteLength).toBe(0);
    expect(whole.length).toBeGreaterThan(200);
  });

  it('leaves the leaves to its caller, who computes the root from them meanwhile', async () => {
    const batch = build([...orders(50), { offset: 50, value: 'no JSON' }]);
    const before = Buffer.from(batch.leaves);
    const encoding = encodeWith(open(), batch);
    expect(Buffer.from(batch.leaves).equals(before)).toBe(true);
    await encoding;
    expect(Buffer.from(batch.leaves).equals(before)).toBe(true);
  });

  describe('whose batch does not survive encoding', () => {
    it('says so as the other one does, and encodes the next', async () => {
      const encoder = open();
      const [bad, good] = [build(orders(10)), build(orders(10))];
      const refusal = encoder.encode(bad.content, Buffer.alloc(bad.leaves.length));
      await expect(refusal).rejects.toBeInstanceOf(IntegrityError);
      await expect(refusal).rejects.toMatchObject({
        code: 'ENCODING_UNFAITHFUL',
        message: expect.stringContaining('the leaves differ after encoding and decoding back') as string,
      });
      expect((await encodeWith(encoder, good)).data!.bytes.length).toBeGreaterThan(0);
    });

    it('refuses a batch whose buffers are gone already, and encodes the next', async () => {
      const encoder = open();
      const batch = build(orders(2_000));
      await encodeWith(encoder, batch);
      await expect(encodeWith(encoder, batch)).rejects.toBeInstanceOf(UnavailableError);
      expect((await encodeWith(encoder, build(orders(1)))).data).not.toBeNull();
    });
  });

  describe('whose thread dies', () => {
    it.each([
      ['by an error', `throw new Error('broken')`, /broken/],
      ['by a rejection that nobody handles', `void Promise.reject(new Error('broken'))`, /broken/],
      ['by leaving', 'process.exit(3)', /the thread ended/],
      ['by leaving as if all were well', 'process.exit(0)', /the thread ended/],
    ])('%s rejects what it had and starts another', async (_, death, reason) => {
      const { encoder } = await openMortal(death);
      const lost = await outcomeOf(encodeWith(encoder, build(orders(10))));
      expect(lost).toBeInstanceOf(UnavailableError);
      expect((lost as Error).message).toMatch(/^Cannot encode batch of "test\/orders\/0": /);
      expect(lost).toMatchObject({ code: 'ENCODER_FAILED' });
      expect((lost as Error).message).toMatch(reason);
      expect((await encodeWith(encoder, build(orders(10)))).data).not.toBeNull();
    });

    it('takes two batches with it at most; those behind them go to the next thread', async () => {
      const { encoder } = await openMortal('process.exit(1)');
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, (_, i) => outcomeOf(encodeWith(encoder, build(orders(5), partition(i))))),
      );
      const lost = outcomes.map((outcome) => outcome instanceof UnavailableError);
      expect(lost).toEqual([true, true, false, false, false, false]);
      for (const outcome of outcomes.slice(2)) expect((outcome as EncodedBatch).data).not.toBeNull();
    });

    it('at its very start rejects every batch, and does not start threads for ever', async () => {
      const { encoder, folder } = await openWith(
        `appendFileSync(folder + '/starts', 'x'); throw new Error('no start')`,
      );
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, () => outcomeOf(encodeWith(encoder, build(orders(1))))),
      );
      for (const outcome of outcomes) expect((outcome as Error).message).toContain('no start');
      await sleep(100);
      expect((await readFile(join(folder, 'starts'), 'utf8')).length).toBeLessThanOrEqual(6);
    });

    describe('again and again', () => {
      /** Dies of every batch whose offsets begin at 100. */
      const openPoisoned = (): ReturnType<typeof openWith> =>
        openWith(`
          port.on('message', (request) => {
            // Not before what was answered has arrived.
            if (request.content.start === 100) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
            if (request.content.start === 100) throw new Error('poison');
            answer(request);
          });`);
      const from = (start: number, log = partition(0)): BuiltBatch =>
        build(
          orders(3).map((record) => ({ ...record, offset: start + record.offset })),
          log,
          start,
        );
      const nameOf = async (encoding: Promise<EncodedBatch>): Promise<string> => {
        const outcome = await outcomeOf(encoding);
        return outcome instanceof Error ? outcome.name : 'encoded';
      };

      it('over one batch refuses it at the third time with an error that halts, and tries again after that', async () => {
        const { encoder } = await openPoisoned();
        const names: string[] = [];
        for (let i = 0; i < 4; i++) names.push(await nameOf(encodeWith(encoder, from(100))));
        expect(names).toEqual(['UnavailableError', 'UnavailableError', 'HaltError', 'UnavailableError']);
      });

      it('names the batch, the code and the cause', async () => {
        const { encoder } = await openPoisoned();
        await outcomeOf(encodeWith(encoder, from(100)));
        await expect(encodeWith(encoder, from(100))).rejects.toMatchObject({ code: 'ENCODER_FAILED' });
        await expect(encodeWith(encoder, from(100))).rejects.toMatchObject({
          code: 'ENCODER_FAILED',
          message:
            'Cannot encode batch of "test/orders/0" from offset 100 on: 3 threads in a row ended over it, the last one because poison',
        });
      });

      it('is not blamed on a batch that was lost with it, nor forgiven for one before it that is encoded each time', async () => {
        const { encoder } = await openPoisoned();
        const rounds: string[][] = [];
        for (let i = 0; i < 3; i++)
          rounds.push(
            await Promise.all(
              [from(0), from(100), from(200), from(7, partition(1))].map((batch) => nameOf(encodeWith(encoder, batch))),
            ),
          );
        expect(rounds.map(([before]) => before)).toEqual(['encoded', 'encoded', 'encoded']);
        expect(rounds.map(([, poison]) => poison)).toEqual(['UnavailableError', 'UnavailableError', 'HaltError']);
        for (const [, , ...others] of rounds) expect(others).not.toContain('HaltError');
      });

      it('over different batches refuses none for good', async () => {
        const { encoder } = await openWith(`port.on('message', () => { throw new Error('ill'); });`);
        for (const start of [0, 50, 100, 150])
          expect(await nameOf(encodeWith(encoder, from(start)))).toBe('UnavailableError');
      });
    });

    it('or hangs, rejects what it had in time and starts another', async () => {
      const { folder } = await openMortal('for (;;) Math.random()');
      const encoder = open(pathToFileURL(join(folder, 'thread.mjs')), 3_000);
      const startMs = performance.now();
      const lost = await outcomeOf(encodeWith(encoder, build(orders(10))));
      expect(lost).toBeInstanceOf(UnavailableError);
      expect((lost as Error).message).toContain('no answer within 3000 ms');
      expect(performance.now() - startMs).toBeLessThan(8_000);
      expect((await encodeWith(encoder, build(orders(10)))).data).not.toBeNull();
    });

    it('is not taken for hanging while it answers one batch after the other', async () => {
      const { folder } = await openWith(`port.on('message', (request) => setTimeout(() => answer(request), 200));`);
      const encoder = open(pathToFileURL(join(folder, 'thread.mjs')), 1_000);
      const batches = Array.from({ length: 12 }, () => encodeWith(encoder, build(orders(1))));
      expect((await Promise.allSettled(batches)).map(({ status }) => status)).not.toContain('rejected');
    });

    it('because its script is missing says which', async () => {
      const encoder = open(new URL('missing.js', SCRIPT));
      const outcome = await outcomeOf(encodeWith(encoder, build(orders(1))));
      expect(outcome).toBeInstanceOf(UnavailableError);
      expect((outcome as Error).message).toContain('missing.js');
    });
  });

  describe('holds batches back', () => {
    it('so that the thread has two at most, and answers them in order', async () => {
      const { encoder } = await openWith(`
        let held = 0;
        port.on('message', (request) => {
          held++;
          if (held > 2) throw new Error(held + ' at once');
          setTimeout(() => { held--; answer(request); }, 20);
        });`);
      const ended: number[] = [];
      const encodings = Array.from({ length: 8 }, (_, i) =>
        encodeWith(encoder, build(orders(3), partition(i))).then(() => ended.push(i)),
      );
      await Promise.all(encodings);
      expect(ended).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    });

    it('whose buffers stay where they are until it is their turn', async () => {
      const { encoder } = await openWith(`
        const waiting = [];
        port.on('message', (request) => waiting.push(request));
        setInterval(() => { if (existsSync(folder + '/go')) for (const each of waiting.splice(0)) answer(each); }, 5);`);
      const batches = Array.from({ length: 4 }, () => build(orders(2_000)));
      const attached = (): boolean[] => batches.map(({ content }) => content.decoded.raw.offsets.buffer.byteLength > 0);
      const encodings = Promise.allSettled(batches.map((batch) => encodeWith(encoder, batch)));
      expect(attached()).toEqual([false, false, true, true]);
      await encoder[Symbol.asyncDispose]();
      expect((await encodings).map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'rejected'));
      expect(attached()).toEqual([false, false, true, true]);
    });
  });

  describe('that is closed', () => {
    it('rejects what it has, what waits and what comes', async () => {
      const { encoder } = await openWith(`port.on('message', () => undefined)`);
      const outcomes = Promise.all(Array.from({ length: 5 }, () => outcomeOf(encodeWith(encoder, build(orders(1))))));
      await encoder[Symbol.asyncDispose]();
      for (const outcome of await outcomes) expect(outcome).toBeInstanceOf(UnavailableError);
      const late = await outcomeOf(encodeWith(encoder, build(orders(1))));
      expect((late as Error).message).toContain('the encoder is closed');
    });

    it('ends its thread, even one that never listens', async () => {
      const { encoder, folder } = await openWith(`
        port.on('message', () => { for (;;) appendFileSync(folder + '/alive', 'x'); });`);
      const lost = outcomeOf(encodeWith(encoder, build(orders(1))));
      const alive = join(folder, 'alive');
      while (!existsSync(alive)) await sleep(5);
      await encoder[Symbol.asyncDispose]();
      expect(await lost).toBeInstanceOf(UnavailableError);
      const { size } = statSync(alive);
      await sleep(50);
      expect(statSync(alive).size).toBe(size);
    });

    it('may be closed again, and without ever having been used', async () => {
      const encoder = open();
      await encoder[Symbol.asyncDispose]();
      await encoder[Symbol.asyncDispose]();
      const used = open();
      await encodeWith(used, build(orders(1)));
      await used[Symbol.asyncDispose]();
      await used[Symbol.asyncDispose]();
    });
  });
});
