import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { openLedgerOf } from '../../../src/compose/ledger.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { contentBytesMax } from '../../../src/ledger/layout.ts';
import type { BatchEntry } from '../../../src/ledger/partition-entry.ts';
import type { Sequence } from '../../../src/ledger/sequence.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import type { LedgerContext } from '../../../src/respond/ledger-context.ts';

/**
 * What a store says of its pipeline, without what differs between two runs over the same records: keys, salts, times, and
 * what follows from them.
 */
export interface Standing {
  /** Every batch, with its verdict. */
  readonly batches: readonly string[];
  /** What is in the dataset, and what is held back, each with why. */
  readonly published: readonly string[];
  readonly held: readonly string[];
  readonly onHold: readonly string[];
  /** Topics with a baseline in force, and with one that waits for approval. */
  readonly inForce: readonly string[];
  readonly candidates: readonly string[];
  readonly schemas: Readonly<Record<string, string>>;
  readonly decisions: readonly string[];
  readonly verdicts: readonly string[];
  /** What was pulled: files with their digests, and by name those that the pull keeps for itself. */
  readonly pulled: readonly string[];
}

/** Reads a pipeline's folder, every signature and chain checked. @throws IntegrityError */
export async function standingOf(folder: string): Promise<Standing> {
  await using ledger = await openLedgerOf(await loadConfig(join(folder, 'headgate.yaml'), {}), () => undefined);
  const { state } = await ledger.control.head();
  const ref = state.refs['main'];
  const snapshot = ref === undefined ? null : await ledger.snapshots.read(ref);
  const placed = (records: Readonly<Record<string, { outcome: string; log: string; slot: number }>>): string[] =>
    Object.values(records)
      .map(({ outcome, log, slot }) => `${log} ${slot} ${outcome}`)
      .sort();
  const batches: string[] = [];
  for await (const { log, entry } of batchesOf(ledger)) {
    const { start, end, verdict, records, deadLetterRecords } = entry;
    batches.push(`${log} [${start}, ${end}) ${verdict}, ${records} records, ${deadLetterRecords} dead letters`);
  }
  return {
    batches: batches.sort(),
    published: snapshot === null ? [] : await linesOf(ledger, snapshot.batches),
    held: snapshot === null ? [] : await linesOf(ledger, snapshot.held),
    onHold: Object.keys(state.holds),
    inForce: Object.keys(state.baselines),
    candidates: Object.keys(state.candidates),
    schemas: { ...state.schemas },
    decisions: placed(state.decisions),
    verdicts: placed(state.verdicts),
    pulled: await pulledIn(join(folder, 'out')),
  };
}

async function pulledIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of existsSync(folder) ? await readdir(folder, { recursive: true }) : []) {
    const isOwn = path.startsWith('.');
    const isFile = (await stat(join(folder, path))).isFile();
    found.push(isFile && !isOwn ? `${path} ${sha256Hex(await readFile(join(folder, path)))}` : path);
  }
  return found.sort();
}

async function linesOf({ snapshots }: LedgerContext, sequence: Sequence): Promise<string[]> {
  const lines: string[] = [];
  for await (const { log, start, end, standing } of snapshots.batches(sequence))
    lines.push(`${log} [${start}, ${end}) ${standing}`);
  return lines.sort();
}

/**
 * Reads back from Parquet what is stored of each file of a pipeline, and compares it with the file.
 * @param names the files, each a log; lines are records. Those that are not there yet are passed over.
 * @returns faults in words: what is lost, doubled, changed, or of nobody; none if every line stands exactly once.
 */
export async function missedRecords(folder: string, topic: string, names: readonly string[]): Promise<string[]> {
  await using ledger = await openLedgerOf(await loadConfig(join(folder, 'headgate.yaml'), {}), () => undefined);
  const faults: string[] = [];
  const stored = new Map<string, Buffer>();
  for await (const { log, entry } of batchesOf(ledger))
    for (const { offset, value } of await rowsOf(ledger, entry)) {
      const place = `${log}@${offset}`;
      if (stored.has(place)) faults.push(`${place} stands twice`);
      if (offset < entry.start || offset >= entry.end) faults.push(`${place} stands in [${entry.start}, ${entry.end})`);
      stored.set(place, value);
    }
  for (const name of names.filter((each) => existsSync(join(folder, each)))) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, -1);
    for (const [offset, line] of lines.entries()) {
      const place = `file/${topic}/${name}@${offset}`;
      const found = stored.get(place);
      stored.delete(place);
      if (found === undefined) faults.push(`${place} is lost`);
      else if (found.toString('utf8') !== line) faults.push(`${place} is another record`);
    }
  }
  return [...faults, ...[...stored.keys()].map((place) => `${place} was never written`)];
}

async function* batchesOf({
  logs,
}: LedgerContext): AsyncGenerator<{ readonly log: string; readonly entry: BatchEntry }> {
  for await (const log of logs.list())
    for await (const { verified } of logs.walk(log, null))
      if (verified.entry.kind === 'batch') yield { log: formatLogId(log), entry: verified.entry };
}

async function rowsOf({ store }: LedgerContext, { data, deadLetters }: BatchEntry) {
  const rows: { readonly offset: number; readonly value: Buffer }[] = [];
  for (const file of [data, deadLetters]) {
    if (file === null) continue;
    const { batch } = parquetFormat.decode((await store.get(file.key, contentBytesMax(file.key)))!, file.key);
    const [offsets, values] = ['_offset', '_raw_value'].map((name) => batch.getChild(name)!);
    for (let i = 0; i < batch.numRows; i++)
      rows.push({ offset: Number(offsets!.get(i)), value: Buffer.from(values!.get(i) as Uint8Array) });
  }
  return rows;
}
