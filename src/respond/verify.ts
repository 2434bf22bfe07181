import { HeadgateError, IntegrityError } from '../errors.ts';
import type { ControlEntry } from '../ledger/control-entry.ts';
import { EMPTY_STATE, applyAct, stateDigest, type ControlState } from '../ledger/control-state.ts';
import { readBatchFile } from '../ledger/data/batch-file.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { recomputeRoot } from '../ledger/merkle/batch-root.ts';
import { getVerified } from '../ledger/objects.ts';
import type { BatchEntry, StoredObject } from '../ledger/partition-entry.ts';
import { linesOf, rootOfLines, type Sequence } from '../ledger/sequence.ts';
import { parseBatchLine, parseHeadLine, type BatchLine, type Snapshot } from '../ledger/snapshot.ts';
import { leafHash, merkleRoot } from '../ledger/merkle/tree.ts';
import type { FileFormat } from '../ports/file-format.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { eachLimited } from './each-limited.ts';
import type { LedgerContext } from './ledger-context.ts';

/** One thing that is not as it was signed. */
export interface Problem {
  /** Key of the object in the store, or the name of what is missing. */
  readonly object: string;
  readonly reason: string;
  readonly code: string;
}

/** What was checked, and what was found. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
  readonly controlEntries: number;
  readonly logs: number;
  readonly batches: number;
  readonly records: number;
  readonly objects: number;
  readonly bytes: number;
  readonly deep: boolean;
}

export interface VerifyOptions {
  /** Decode every file and recompute every leaf. */
  readonly deep: boolean;
  readonly format: FileFormat;
  readonly signal: AbortSignal;
  readonly onProgress?: (batches: number) => void;
}

const OBJECTS_AT_ONCE = 8;

/**
 * Checks a whole pipeline from its bytes: every signature, both chains, every state, the snapshot of each ref with its
 * pages and roots, every object that an entry names; with `deep` every record against its leaf and root.
 *
 * Never stops at the first problem: each is named with its object and reason.
 * @throws UnavailableError when the store cannot be read
 */
export async function verifyPipeline(ledger: LedgerContext, options: VerifyOptions): Promise<VerifyReport> {
  const run = new Verification(ledger, options);
  return run.report();
}

/** Everything the control log ever said about single batches, by entry digest. */
interface Judgements {
  readonly released: Set<string>;
  readonly clean: Set<string>;
}

class Verification {
  readonly #ledger: LedgerContext;
  readonly #options: VerifyOptions;
  readonly #problems: Problem[] = [];
  #controlEntries = 0;
  #logs = 0;
  #batches = 0;
  #records = 0;
  #objects = 0;
  #bytes = 0;

  constructor(ledger: LedgerContext, options: VerifyOptions) {
    this.#ledger = ledger;
    this.#options = options;
  }

  async report(): Promise<VerifyReport> {
    const judgements: Judgements = { released: new Set(), clean: new Set() };
    const state = await this.#controlLog(judgements);
    const entries = new Map<string, BatchEntry>();
    await this.#guard(this.#ledger.layout.logs(), async () => {
      for await (const log of this.#ledger.logs.list()) await this.#partitionLog(log, entries);
    });
    for (const [ref, sha256] of Object.entries(state.refs))
      await this.#guard(`ref ${ref}`, () => this.#snapshot(sha256, entries, judgements));
    return {
      ok: this.#problems.length === 0,
      problems: this.#problems,
      controlEntries: this.#controlEntries,
      logs: this.#logs,
      batches: this.#batches,
      records: this.#records,
      objects: this.#objects,
      bytes: this.#bytes,
      deep: this.#options.deep,
    };
  }

  /** Replays the control log: each entry must follow from the one before and state the digest of what it results in. */
  async #controlLog(judgements: Judgements): Promise<ControlState> {
    const { control, layout } = this.#ledger;
    let state = EMPTY_STATE;
    await this.#guard(layout.control(), async () => {
      for await (const { entry, key } of control.walk()) {
        this.#controlEntries++;
        state = applyAct(state, entry, entry.seq);
        if (stateDigest(state) !== entry.state)
          this.#found(key, 'CHAIN_BROKEN', 'the state it names does not follow from the entries before it');
        await this.#object(layout.state(entry.state), entry.state, BYTES_MAX.state);
        await this.#namedBy(entry);
        noteJudgement(judgements, entry);
      }
      const hidden = (
        await this.#ledger.store.list(layout.control(), {
          limit: 1,
          startAfter: layout.controlEntry(this.#controlEntries),
        })
      ).objects[0];
      if (hidden !== undefined)
        this.#found(
          layout.controlEntry(this.#controlEntries),
          'SLOT_MISSING',
          `it is missing although "${hidden.key}" exists`,
        );
    });
    return state;
  }

  /** Objects that a control entry names beside the state. */
  async #namedBy(entry: ControlEntry): Promise<void> {
    const { layout } = this.#ledger;
    if (entry.kind === 'publish')
      await this.#object(layout.snapshot(entry.snapshot), entry.snapshot, BYTES_MAX.snapshot);
    if (entry.kind === 'schema') await this.#object(layout.schema(entry.schema), entry.schema, BYTES_MAX.schema);
    if (entry.kind === 'learn' || entry.kind === 'approve')
      await this.#object(layout.baseline(entry.baseline), entry.baseline, BYTES_MAX.baseline);
    if (entry.kind === 'verdict')
      await this.#object(layout.judgement(entry.evidence), entry.evidence, BYTES_MAX.evidence);
  }

  async #partitionLog(log: LogId, entries: Map<string, BatchEntry>): Promise<void> {
    this.#logs++;
    await this.#guard(this.#ledger.layout.log(log), async () => {
      const batches = async function* (this: Verification): AsyncGenerator<BatchEntry> {
        for await (const { verified } of this.#ledger.logs.walk(log, null)) {
          if (verified.entry.kind !== 'batch') continue;
          entries.set(verified.digest, verified.entry);
          yield verified.entry;
        }
      };
      await eachLimited(batches.call(this), OBJECTS_AT_ONCE, (entry) => this.#batch(log, entry));
    });
  }

  async #batch(log: LogId, entry: BatchEntry): Promise<void> {
    if (this.#options.signal.aborted) return;
    const { data, deadLetters, evidence } = entry;
    const files = [data, deadLetters].filter((object) => object !== null);
    const bytes = await Promise.all(files.map((object) => this.#namedObject(object)));
    await this.#object(evidence.key, evidence.sha256, BYTES_MAX.evidence);
    this.#batches++;
    this.#records += entry.records;
    if (this.#options.deep && bytes.every((each) => each !== null)) this.#recomputeRecords(log, entry, files, bytes);
    this.#options.onProgress?.(this.#batches);
  }

  /** Recomputes leaves and root of a batch from its files. */
  #recomputeRecords(log: LogId, entry: BatchEntry, files: readonly StoredObject[], bytes: readonly Buffer[]): void {
    const object = files[0]?.key ?? formatLogId(log);
    try {
      const stored = bytes.map((each, i) => readBatchFile(this.#options.format, each, files[i]!.key));
      const parts = stored.map(({ raw }) => raw);
      const { root, firstWrongOffset, records } = recomputeRoot(
        log,
        stored[0]?.header.batchKey ?? Buffer.alloc(32),
        parts,
      );
      if (firstWrongOffset !== null)
        this.#found(
          object,
          'ROOT_MISMATCH',
          `the stored leaf of offset ${firstWrongOffset} does not belong to its record`,
        );
      if (records !== entry.records)
        this.#found(object, 'ROOT_MISMATCH', `it holds ${records} records, the entry says ${entry.records}`);
      if (root.toString('hex') !== entry.root)
        this.#found(object, 'ROOT_MISMATCH', `its root is ${root.toString('hex')}, the entry says ${entry.root}`);
      const outside = parts.some(
        ({ offsets, count }) => count > 0 && (offsets[0]! < entry.start || offsets[count - 1]! >= entry.end),
      );
      if (outside) this.#found(object, 'ROOT_MISMATCH', `it holds offsets outside [${entry.start}, ${entry.end})`);
    } catch (error) {
      this.#foundError(object, error);
    }
  }

  async #snapshot(sha256: string, entries: ReadonlyMap<string, BatchEntry>, judgements: Judgements): Promise<void> {
    const { snapshots, layout } = this.#ledger;
    const key = layout.snapshot(sha256);
    const snapshot = await snapshots.read(sha256);
    const batches = (await this.#sequence(key, 'batches', snapshot.batches)).map(parseBatchLine);
    const held = (await this.#sequence(key, 'held', snapshot.held)).map(parseBatchLine);
    for (const line of [...batches, ...held]) this.#line(key, line, entries);
    for (const line of batches) this.#mayBePublished(key, line, entries.get(line.digest), judgements);
    this.#totals(key, snapshot, batches);
    for (const head of (await this.#sequence(key, 'heads', snapshot.heads)).map(parseHeadLine)) {
      const covered = [...batches, ...held].filter(({ log }) => log === head.log);
      const end = Math.max(0, ...covered.map((line) => line.end));
      if (covered.length > 0 && end > head.next)
        this.#found(key, 'CHAIN_BROKEN', `it covers offset ${end} of "${head.log}" but its head is at ${head.next}`);
    }
  }

  /** Lines of a sequence after checking the digest and root of each page and the root of all. */
  async #sequence(key: string, name: string, sequence: Sequence): Promise<string[]> {
    const lines: string[] = [];
    for (const page of sequence.pages) {
      const bytes = await this.#object(this.#ledger.layout.page(page.sha256), page.sha256, BYTES_MAX.page);
      if (bytes === null) continue;
      const own = linesOf(bytes);
      if (own.length !== page.count || rootOfLines(own) !== page.root)
        this.#found(
          this.#ledger.layout.page(page.sha256),
          'ROOT_MISMATCH',
          'its lines do not give the root that the snapshot names',
        );
      lines.push(...own);
    }
    const root = merkleRoot(
      Buffer.concat(sequence.pages.map((page) => leafHash(Buffer.from(page.root, 'hex')))),
    ).toString('hex');
    if (root !== sequence.root)
      this.#found(
        key,
        'ROOT_MISMATCH',
        `the root over the pages of "${name}" is ${root}, the snapshot says ${sequence.root}`,
      );
    return lines;
  }

  #line(
    key: string,
    { log, start, end, slot, records, digest, data }: BatchLine,
    entries: ReadonlyMap<string, BatchEntry>,
  ): void {
    const entry = entries.get(digest);
    const same =
      entry !== undefined &&
      entry.slot === slot &&
      entry.start === start &&
      entry.end === end &&
      entry.records === records &&
      (entry.data?.sha256 ?? null) === (data?.sha256 ?? null);
    if (!same)
      this.#found(key, 'CHAIN_BROKEN', `it lists a batch of "${log}" at ${start} that the partition log does not have`);
  }

  /** The promise of the product: what a ref names was judged clean, or a person released it, or the mode was observe. */
  #mayBePublished(
    key: string,
    { log, start, digest }: BatchLine,
    entry: BatchEntry | undefined,
    { released, clean }: Judgements,
  ): void {
    if (
      entry === undefined ||
      entry.mode === 'observe' ||
      entry.verdict === 'clean' ||
      released.has(digest) ||
      clean.has(digest)
    )
      return;
    this.#found(
      key,
      'CHAIN_BROKEN',
      `it publishes the batch of "${log}" at ${start}, which was neither judged clean nor released`,
    );
  }

  #totals(key: string, snapshot: Snapshot, batches: readonly BatchLine[]): void {
    const records = batches.reduce((sum, { rows }) => sum + rows, 0);
    if (records !== snapshot.records)
      this.#found(key, 'CHAIN_BROKEN', `it says ${snapshot.records} records, its batches have ${records}`);
  }

  #namedObject({ key, sha256, bytes }: StoredObject): Promise<Buffer | null> {
    return this.#object(key, sha256, Math.max(bytes, 1));
  }

  /** Reads and checks one object; a problem is noted and null returned. */
  async #object(key: string, sha256: string, bytesMax: number): Promise<Buffer | null> {
    this.#objects++;
    try {
      const bytes = await getVerified(this.#ledger.store, key, sha256, bytesMax);
      this.#bytes += bytes.length;
      return bytes;
    } catch (error) {
      this.#foundError(key, error);
      return null;
    }
  }

  async #guard(object: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#foundError(object, error);
    }
  }

  #foundError(object: string, error: unknown): void {
    if (error instanceof IntegrityError) return this.#found(error.object, error.code, error.message);
    if (error instanceof HeadgateError) throw error;
    this.#found(
      object,
      'PAYLOAD_INVALID',
      `it cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  #found(object: string, code: string, reason: string): void {
    this.#problems.push({ object, code, reason });
  }
}

function noteJudgement({ released, clean }: Judgements, entry: ControlEntry): void {
  if (entry.kind === 'decision' && entry.outcome === 'released') released.add(entry.batch.digest);
  if (entry.kind === 'verdict' && entry.outcome === 'clean') for (const { digest } of entry.batches) clean.add(digest);
}
