import { SHA256_BYTES, sha256Hex } from '../record/sha256.ts';
import { leafHash, merkleRoot } from './merkle/tree.ts';

/** Longest page. A page also ends where an entry's leaf hash starts with ten zero bits, so most hold about a thousand. */
export const PAGE_ENTRIES_MAX = 4_096;

/** Where an entry sorts: by its log's path, then by a number (a batch's start offset; 0 where there is one a log). */
export type SequenceKey = readonly [log: string, start: number];

/** A page as a snapshot names it. */
export interface PageRef {
  /** SHA-256 of the page's bytes, hex. */
  readonly sha256: string;
  readonly count: number;
  /** RFC 6962 root over the page's lines, hex. */
  readonly root: string;
  /** Key of the page's last entry, to find the page that covers a key. */
  readonly last: SequenceKey;
}

/** A sorted sequence cut into content-addressed pages. */
export interface Sequence {
  readonly count: number;
  /** RFC 6962 root over the page roots, hex. */
  readonly root: string;
  readonly pages: readonly PageRef[];
}

/** What one change does: the line takes the place of the entry with the same key, or null removes that entry. */
export interface SequenceChange {
  readonly key: SequenceKey;
  /** JSON array whose first two elements are the key; no newline. */
  readonly line: string | null;
}

/** A changed sequence and the pages that are new in it. */
export interface SequenceUpdate {
  readonly sequence: Sequence;
  /** Bytes of new pages by digest. */
  readonly pages: ReadonlyMap<string, Buffer>;
}

/** RFC 6962 root of nothing. */
export const EMPTY_SEQUENCE: Sequence = { count: 0, root: merkleRoot(Buffer.alloc(0)).toString('hex'), pages: [] };

/**
 * Applies changes to a sequence.
 *
 * Cuts depend on content only: a page ends after an entry whose leaf hash starts with ten zero bits, and within a run
 * between two such entries after every 4,096. So the same entries give the same pages whatever the history, and a change
 * touches only the run it falls into (and the next one, when it removes the entry that ended the run).
 * @param load bytes of a page by its reference, digest checked.
 * Cost: pages of the touched runs, not the whole sequence.
 */
export async function updateSequence(
  sequence: Sequence,
  changes: readonly SequenceChange[],
  load: (page: PageRef) => Promise<Buffer>,
): Promise<SequenceUpdate> {
  const waiting = [...changes].sort((a, b) => compareKeys(a.key, b.key));
  const pages: PageRef[] = [];
  const created = new Map<string, Buffer>();
  let carried: string[] = [];
  let from = 0;
  for (const end of runEnds(sequence.pages)) {
    const run = sequence.pages.slice(from, end);
    from = end;
    const covers = ({ key }: SequenceChange): boolean =>
      end === sequence.pages.length || compareKeys(key, run.at(-1)!.last) <= 0;
    const mine: SequenceChange[] = [];
    while (waiting.length > 0 && covers(waiting[0]!)) mine.push(waiting.shift()!);
    if (mine.length === 0 && carried.length === 0) {
      pages.push(...run);
      continue;
    }
    const lines = (await Promise.all(run.map(load))).flatMap(linesOf);
    carried = cutRuns([...carried, ...merge(lines, mine)], pages, created);
  }
  const rest = [...carried, ...merge([], waiting)];
  const open = cutRuns(rest, pages, created);
  for (let i = 0; i < open.length; i += PAGE_ENTRIES_MAX)
    pages.push(makePage(open.slice(i, i + PAGE_ENTRIES_MAX), created));
  const count = pages.reduce((sum, page) => sum + page.count, 0);
  return { sequence: { count, root: rootOfPages(pages), pages }, pages: created };
}

/** Order of a sequence. Paths are ASCII, so every language sorts them alike. */
export function compareKeys([logA, startA]: SequenceKey, [logB, startB]: SequenceKey): number {
  return logA < logB ? -1 : logA > logB ? 1 : startA - startB;
}

/** Key of a line. */
export function keyOf(line: string): SequenceKey {
  const [log, start] = JSON.parse(line) as [string, number];
  return [log, start];
}

/** Lines of a page. */
export function linesOf(page: Buffer): string[] {
  return page.toString('utf8').split('\n').slice(0, -1);
}

/** RFC 6962 root over lines, as pages state it; hex. */
export function rootOfLines(lines: readonly string[]): string {
  return merkleRoot(
    Buffer.concat(
      lines.map((line) => leafHash(Buffer.from(line, 'utf8'))),
      lines.length * SHA256_BYTES,
    ),
  ).toString('hex');
}

/** RFC 6962 root over the roots of pages, as sequences state it; hex. */
export function rootOfPages(pages: readonly PageRef[]): string {
  return merkleRoot(Buffer.concat(pages.map(({ root }) => leafHash(Buffer.from(root, 'hex'))))).toString('hex');
}

/** Ends of the runs: a run goes on while its page is of the longest size, which one that was cut by content seldom is. */
function* runEnds(pages: readonly PageRef[]): Generator<number> {
  for (let i = 0; i < pages.length; i++) {
    if (pages[i]!.count < PAGE_ENTRIES_MAX || i === pages.length - 1) yield i + 1;
  }
}

function merge(lines: readonly string[], changes: readonly SequenceChange[]): string[] {
  const merged: string[] = [];
  let next = 0;
  for (const { key, line } of changes) {
    while (next < lines.length && compareKeys(keyOf(lines[next]!), key) < 0) merged.push(lines[next++]!);
    if (next < lines.length && compareKeys(keyOf(lines[next]!), key) === 0) next++;
    if (line !== null) merged.push(line);
  }
  return [...merged, ...lines.slice(next)];
}

/** Cuts whole runs off `lines` into pages; returns the lines after the last content cut. */
function cutRuns(lines: readonly string[], pages: PageRef[], created: Map<string, Buffer>): string[] {
  let started = 0;
  for (const [i, line] of lines.entries()) {
    if (!endsRun(line)) continue;
    for (; started <= i; started += PAGE_ENTRIES_MAX)
      pages.push(makePage(lines.slice(started, Math.min(started + PAGE_ENTRIES_MAX, i + 1)), created));
    started = i + 1;
  }
  return lines.slice(started);
}

/** Ten leading zero bits. */
function endsRun(line: string): boolean {
  const hash = leafHash(Buffer.from(line, 'utf8'));
  return hash[0] === 0 && hash[1]! < 64;
}

function makePage(lines: readonly string[], created: Map<string, Buffer>): PageRef {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'utf8');
  const sha256 = sha256Hex(bytes);
  created.set(sha256, bytes);
  return { sha256, count: lines.length, root: rootOfLines(lines), last: keyOf(lines.at(-1)!) };
}
