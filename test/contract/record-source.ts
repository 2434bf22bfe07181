import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { ReadResult, RecordSource } from '../../src/ports/record-source.ts';
import type { RecordChunk, SourcePosition } from '../../src/record/chunk.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { chunkRecords } from '../support/chunk-records.ts';

/** A source over one empty partition that the suite fills. */
export interface SourceFixture {
  readonly log: LogId;
  /** Appends records with these values, in order. */
  append(values: readonly string[]): Promise<void>;
  /** Opens the source as another process would; the suite disposes it. */
  open(): Promise<RecordSource>;
  /** True for a source that hands out what was written together as a whole, whatever `recordsMax` says. */
  readonly isCoarse?: boolean;
}

const WAIT_MS = 200;
const ALL = { recordsMax: 1_000_000, bytesMax: 64 * 1_024 * 1_024 };
const VALUES = Array.from({ length: 40 }, (_, i) => `{"i":${i},"text":"${'x'.repeat((7 * i) % 50)}"}`);

/** What every record source must do; see the contract in src/ports/record-source.ts. */
export function recordSourceContract(name: string, create: () => Promise<SourceFixture>): void {
  describe(`record source contract: ${name}`, { timeout: 60_000 }, () => {
    let fixture: SourceFixture;
    let log: LogId;
    let opened: RecordSource[];

    beforeEach(async () => {
      fixture = await create();
      log = fixture.log;
      opened = [];
    });

    afterEach(async () => {
      await Promise.all(opened.map((source) => source[Symbol.asyncDispose]()));
    });

    const open = async (): Promise<RecordSource> => {
      const source = await fixture.open();
      opened.push(source);
      return source;
    };

    /** A source that has joined and goes on at `offset`. */
    const openAt = async (offset = 0, position: SourcePosition | null = null): Promise<RecordSource> => {
      const source = await open();
      await source.join();
      await expect.poll(() => source.assignment()?.logs, { timeout: 30_000 }).toContainEqual(log);
      await source.restore(log, offset, position);
      return source;
    };

    const poll = (
      source: RecordSource,
      offset: number,
      limits: Partial<typeof ALL> = {},
    ): Promise<readonly ReadResult[]> =>
      source.poll([{ log, offset, ...ALL, ...limits }], WAIT_MS, new AbortController().signal);

    /** Chunks from `offset` on, until there are no more. */
    const readAll = async (
      source: RecordSource,
      offset = 0,
      limits: Partial<typeof ALL> = {},
    ): Promise<RecordChunk[]> => {
      const chunks: RecordChunk[] = [];
      for (let next = offset; ;) {
        const results = await poll(source, next, limits);
        for (const result of results) {
          if (result.kind === 'halt') throw result.error;
          if (result.kind === 'drained') return chunks;
          chunks.push(result.chunk);
          next = result.chunk.nextOffset;
        }
      }
    };

    it('assigns partitions, each once, under a token', async () => {
      await fixture.append(['x']);
      const source = await openAt();
      const { logs, token } = source.assignment()!;
      expect(new Set(logs.map(formatLogId)).size).toBe(logs.length);
      expect(logs.every(({ cluster }) => cluster === source.cluster)).toBe(true);
      expect(Number.isInteger(token)).toBe(true);
    });

    it('returns records in the order in which they were written', async () => {
      await fixture.append(VALUES);
      const chunks = await readAll(await openAt());
      expect(valuesOf(chunks)).toEqual(VALUES);
      expect(chunks.flatMap((chunk) => [...chunk.offsets])).toEqual(VALUES.map((_, i) => i));
    });

    it('accounts in each chunk for every offset, from the requested one on', async () => {
      await fixture.append(VALUES);
      let next = 0;
      for (const chunk of await readAll(await openAt(), 0, { recordsMax: 7 })) {
        expect(chunk.from).toBe(next);
        expect(chunk.offsets).toHaveLength(chunk.count);
        let at = chunk.from;
        let skipped = 0;
        for (const span of chunk.spans) {
          expect(span.from).toBe(at);
          expect(span.to).toBeGreaterThan(span.from);
          if (span.skip !== null) skipped += span.to - span.from;
          at = span.to;
        }
        expect(at).toBe(chunk.nextOffset);
        expect(chunk.count + skipped).toBe(chunk.nextOffset - chunk.from);
        for (let i = 0; i < chunk.count; i++) {
          expect(chunk.valueStarts[i]! + chunk.valueLengths[i]!).toBeLessThanOrEqual(chunk.bytes.length);
        }
        next = chunk.nextOffset;
      }
      expect(next).toBe(VALUES.length);
    });

    it('returns at most as many records as are asked for, and all of them in the end', async () => {
      await fixture.append(VALUES);
      const chunks = await readAll(await openAt(), 0, { recordsMax: 1 });
      expect(valuesOf(chunks)).toEqual(VALUES);
      if (fixture.isCoarse !== true) expect(chunks.every(({ count }) => count === 1)).toBe(true);
    });

    it('returns a record larger than the bytes asked for whole', async () => {
      const values = ['small', 'l'.repeat(5_000), 'small again'];
      for (const value of values) await fixture.append([value]);
      expect(valuesOf(await readAll(await openAt(), 0, { bytesMax: 10 }))).toEqual(values);
    });

    it('returns the same records for the same offset, as often as it is asked', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      for (let round = 0; round < 3; round++) {
        const [result] = await poll(source, 0, { recordsMax: 5 });
        const { chunk } = result as { chunk: RecordChunk };
        expect(chunk.count).toBeGreaterThan(0);
        expect(valuesOf([chunk])).toEqual(VALUES.slice(0, chunk.count));
      }
      await readAll(source);
      expect(valuesOf(await readAll(source))).toEqual(VALUES);
    });

    it('begins at any offset that is asked for', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      for (const from of [39, 3, 20, 0, 40, 19]) {
        expect(valuesOf(await readAll(source, from), from)).toEqual(VALUES.slice(from));
      }
    });

    it('waits no longer than it is told when nothing arrives, and says that it is drained', async () => {
      await fixture.append(['x']);
      const source = await openAt();
      await readAll(source);
      const startedMs = performance.now();
      expect(await poll(source, 1)).toEqual([{ kind: 'drained', log, ended: false }]);
      expect(performance.now() - startedMs).toBeLessThan(WAIT_MS + 1_000);
    });

    it('stops waiting when it is aborted', async () => {
      await fixture.append(['x']);
      const source = await openAt();
      await readAll(source);
      const abort = new AbortController();
      const startedMs = performance.now();
      const waiting = source.poll([{ log, offset: 1, ...ALL }], 60_000, abort.signal);
      setTimeout(() => abort.abort(), 50);
      await waiting.catch(() => undefined);
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    });

    it('finds what is written after it was drained', async () => {
      await fixture.append(['first']);
      const source = await openAt();
      expect(valuesOf(await readAll(source))).toEqual(['first']);
      await fixture.append(['second', 'third']);
      await expect
        .poll(async () => valuesOf(await readAll(source, 1)), { timeout: 20_000, interval: 100 })
        .toEqual(['second', 'third']);
    });

    it('halts at an offset past the end, and never goes somewhere else', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      const [result] = await poll(source, VALUES.length + 5);
      expect(result).toMatchObject({ kind: 'halt', log });
      expect((result as { error: Error }).error.name).toBe('HaltError');
    });

    it('knows its bounds, and where to start', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      const { earliest, latest } = await source.bounds(log);
      expect(earliest).toBe(0);
      expect(latest).toBeGreaterThanOrEqual(VALUES.length);
      expect(await source.resolveStart(log, { at: 'earliest' })).toBe(0);
    });

    it('goes on in another process behind any record of a chunk', async () => {
      await fixture.append(VALUES);
      const [first] = await readAll(await openAt(), 0, { recordsMax: 10 });
      for (const taken of first!.position === null ? [first!.count] : [1, 2, first!.count]) {
        const next = first!.offsets[taken - 1]! + 1;
        const source = await openAt(next, first!.position?.(taken) ?? null);
        expect(valuesOf(await readAll(source, next), next)).toEqual(VALUES.slice(next));
        await source[Symbol.asyncDispose]();
      }
    });

    it('remembers the last commit, or nothing at all', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      expect(await source.witness(log)).toBeNull();
      const metadata = `7:${'ab'.repeat(32)}`;
      await source.commit(log, 3, metadata);
      expect([null, { offset: 3, metadata }]).toContainEqual(await source.witness(log));
    });

    it('is not moved by a commit', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      await source.commit(log, 30, '');
      expect(valuesOf(await readAll(source))).toEqual(VALUES);
    });

    it('knows the leader epoch of an offset, or that it has none', async () => {
      await fixture.append(VALUES);
      const source = await openAt();
      const [chunk] = await readAll(source);
      const { leaderEpoch } = chunk!.spans[0]!;
      expect(await source.leaderEpochAt(log, 0)).toEqual(leaderEpoch === null ? null : { covered: true, leaderEpoch });
    });

    it('returns nothing when nothing is requested', async () => {
      const source = await openAt();
      expect(await source.poll([], 10, new AbortController().signal)).toEqual([]);
    });

    it('can be disposed twice', async () => {
      await fixture.append(['x']);
      const source = await openAt();
      await readAll(source);
      await source[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    });
  });
}

/** Values of all records at or after `from`. */
function valuesOf(chunks: readonly RecordChunk[], from = 0): (string | null)[] {
  const records = chunks.flatMap((chunk) => chunkRecords(chunk));
  return records.filter(({ offset }) => offset >= from).map(({ value }) => value);
}
