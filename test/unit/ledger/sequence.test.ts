import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  EMPTY_SEQUENCE,
  linesOf,
  PAGE_ENTRIES_MAX,
  rootOfLines,
  updateSequence,
  type Sequence,
  type SequenceChange,
} from '../../../src/ledger/sequence.ts';

const line = (log: string, start: number, version = 0): string => JSON.stringify([log, start, version]);
const put = (log: string, start: number, version = 0): SequenceChange => ({
  key: [log, start],
  line: line(log, start, version),
});
const remove = (log: string, start: number): SequenceChange => ({ key: [log, start], line: null });

/** Keeps pages by digest, as a store would, and counts what is loaded. */
class Pages {
  readonly bytes = new Map<string, Buffer>();
  loads = 0;

  async update(sequence: Sequence, changes: readonly SequenceChange[]): Promise<Sequence> {
    const updated = await updateSequence(sequence, changes, async ({ sha256 }) => {
      this.loads++;
      return this.bytes.get(sha256)!;
    });
    for (const [sha256, content] of updated.pages) this.bytes.set(sha256, content);
    return updated.sequence;
  }

  lines(sequence: Sequence): string[] {
    return sequence.pages.flatMap(({ sha256 }) => linesOf(this.bytes.get(sha256)!));
  }
}

const fresh = (changes: readonly SequenceChange[]): Promise<Sequence> => new Pages().update(EMPTY_SEQUENCE, changes);

describe('updateSequence', () => {
  it('does not depend on the history: any order of changes gives the pages of a fresh build', async () => {
    const change = fc.record({
      log: fc.constantFrom('a', 'b', 'c'),
      start: fc.nat(6_000),
      version: fc.nat(3),
      drop: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 800 }), { maxLength: 6 }), async (rounds) => {
        const pages = new Pages();
        const wanted = new Map<string, SequenceChange>();
        let sequence = EMPTY_SEQUENCE;
        for (const round of rounds) {
          const changes = new Map<string, SequenceChange>();
          for (const { log, start, version, drop } of round)
            changes.set(`${log} ${start}`, drop ? remove(log, start) : put(log, start, version));
          for (const [key, each] of changes) {
            if (each.line === null) wanted.delete(key);
            else wanted.set(key, each);
          }
          sequence = await pages.update(sequence, [...changes.values()]);
        }
        expect(sequence).toEqual(await fresh([...wanted.values()]));
        expect(pages.lines(sequence)).toHaveLength(wanted.size);
      }),
      { numRuns: 40 },
    );
  });

  it('keeps long runs without a content cut in pages of the longest size, whatever the history', async () => {
    // Entries that end no run: found by trying versions, so that only the longest size cuts.
    const quiet: SequenceChange[] = [];
    for (let start = 0; quiet.length < 3 * PAGE_ENTRIES_MAX + 10; start++) {
      const candidate = await fresh([put('q', start)]);
      const closing = await updateSequence(candidate, [put('q', start + 1_000_000)], async () =>
        Buffer.from(`${line('q', start)}\n`),
      );
      if (closing.sequence.pages.length === 1) quiet.push(put('q', start));
    }
    const whole = await fresh(quiet);
    expect(whole.pages.map(({ count }) => count)).toEqual([PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX, 10]);
    const pages = new Pages();
    let sequence = await pages.update(EMPTY_SEQUENCE, quiet.slice(1));
    sequence = await pages.update(sequence, [quiet[0]!]);
    expect(sequence).toEqual(whole);
  });

  it('loads only the run that a change falls into', async () => {
    const pages = new Pages();
    const sequence = await pages.update(
      EMPTY_SEQUENCE,
      Array.from({ length: 20_000 }, (_, start) => put('a', start)),
    );
    expect(sequence.pages.length).toBeGreaterThan(8);
    pages.loads = 0;
    await pages.update(sequence, [put('a', 20_000)]);
    expect(pages.loads).toBeLessThanOrEqual(3);
  });

  it('sorts by log, then by start as a number', async () => {
    const pages = new Pages();
    const sequence = await pages.update(EMPTY_SEQUENCE, [put('b', 5), put('a', 10), put('a', 9)]);
    expect(pages.lines(sequence)).toEqual([line('a', 9), line('a', 10), line('b', 5)]);
  });

  it('states the RFC 6962 root of each page', async () => {
    const sequence = await fresh([put('a', 1), put('a', 2)]);
    expect(sequence.pages[0]!.root).toBe(rootOfLines([line('a', 1), line('a', 2)]));
  });

  it('gives the empty sequence when everything is removed', async () => {
    const pages = new Pages();
    const sequence = await pages.update(EMPTY_SEQUENCE, [put('a', 1)]);
    expect(await pages.update(sequence, [remove('a', 1)])).toEqual(EMPTY_SEQUENCE);
  });
});
