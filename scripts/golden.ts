/**
 * Writes a golden store, `npm run golden -- v1`: a small store of the stored formats as they are now, for later versions to
 * read. One that is there is never written again; a new version of the formats adds a folder.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { FileSource } from '../src/adapters/file/file-source.ts';
import { MemoryBroker } from '../src/adapters/memory/broker.ts';
import type { Clock } from '../src/ports/clock.ts';
import { formatLogId, type LogId } from '../src/record/log-id.ts';
import { approve } from '../src/respond/approve-baseline.ts';
import { learn } from '../src/respond/learn-baseline.ts';
import { storedProfiles } from '../src/respond/stored-profiles.ts';
import { decide } from '../src/respond/decisions.ts';
import { filesOf } from '../src/respond/pull/snapshot-files.ts';
import { hold, resume, rollback } from '../src/respond/refs.ts';
import { BATCH_RECORDS, GoldenPipeline, HeaderedSource } from './golden/pipeline.ts';
import { BROKEN, RETURNS_CSV, orders, type GoldenRecord } from './golden/records.ts';

const NEVER = new AbortController().signal;
const CSV_NAME = 'returns 2025.csv';
/** Offsets that retention deletes before they are read. */
const LOST = 5;
/** Records of a batch that is too small to be judged. */
const SMALL = 2;

/** What the producers of a golden store have sent. */
class Sent {
  readonly broker = new MemoryBroker('golden-cluster');
  readonly #records = new Map<string, GoldenRecord>();
  readonly #lines: string[] = [];

  append(log: LogId, records: readonly GoldenRecord[]): void {
    const { latest } = this.broker.bounds(log);
    for (const [i, record] of records.entries()) {
      this.#records.set(keyOf(log, latest + i), record);
      this.note(log.topic, log.partition, latest + i, record.value);
    }
    this.broker.append(log, records);
  }

  /** Notes a record, for whoever looks for lost or changed ones in the store. */
  note(topic: string, partition: string, offset: number, value: Uint8Array | null): void {
    const hash = createHash('sha256').update(value ?? '');
    this.#lines.push(`${JSON.stringify({ topic, partition, offset, sha256: hash.digest('hex') })}\n`);
  }

  get text(): string {
    return this.#lines.join('');
  }

  headersAt = (log: LogId, offset: number): GoldenRecord['headers'] => this.#records.get(keyOf(log, offset))?.headers;
}

const keyOf = (log: LogId, offset: number): string => `${formatLogId(log)} ${offset}`;

async function fill(pipeline: GoldenPipeline, sent: Sent, files: string): Promise<void> {
  const { ledger, clock } = pipeline;
  const [first, second] = [sent.broker.create('orders', 0), sent.broker.create('orders', 1)];
  // One partition at a time, so that every run draws its keys in one order.
  const ingest = async (log: LogId): Promise<void> => {
    const source = new HeaderedSource(sent.broker, clock, sent.headersAt);
    source.assign([log]);
    await pipeline.ingest(source);
  };
  const act = (reason: string) => {
    clock.step();
    return pipeline.person(reason);
  };

  // Undecided for want of a baseline, then clean by the one that is learned from them; dead letters among them.
  sent.append(first, [...orders(0, 3), ...BROKEN]);
  sent.append(second, orders(3, BATCH_RECORDS));
  await ingest(first);
  await ingest(second);
  await pipeline.publish();
  await learn(ledger, 'orders', await storedProfiles(ledger, 'main', 'orders', ['held']), act('first days'), NEVER);
  await approve(ledger, 'orders', undefined, act('looked at'), NEVER);
  await pipeline.publish();

  // A gap, offsets without records, a suspect batch, one too small to be judged, and a file whose topic has no baseline.
  sent.broker.skip(second, LOST, 'compacted');
  sent.broker.deleteBefore(second, sent.broker.bounds(second).latest);
  sent.broker.skip(second, 1, 'aborted');
  sent.broker.skip(second, 1, 'control');
  const suspect = sent.broker.bounds(second).latest;
  sent.append(second, [...orders(20, BATCH_RECORDS, 50), ...orders(30, SMALL)]);
  await ingest(second);
  await pipeline.ingest(returnsIn(files, clock));
  await pipeline.publish();
  await decide(ledger, 'main', `${formatLogId(second)}@${suspect}`, 'released', act('a sale'), NEVER);
  await pipeline.publish();
  await hold(ledger, 'main', act('to look around'), NEVER);
  await resume(ledger, 'main', act('nothing found'), pipeline.rejudge, pipeline.publisherKey, NEVER);

  // A clean batch that is found bad once it is published.
  sent.append(first, orders(40, BATCH_RECORDS));
  await ingest(first);
  await pipeline.publish();
  await decide(ledger, 'main', `${formatLogId(first)}@${BATCH_RECORDS}`, 'condemned', act('found bad later'), NEVER);
  await rollback(ledger, 'main', 'last-clean', act('incident 1'), NEVER);
  await resume(ledger, 'main', act('contained'), pipeline.rejudge, pipeline.publisherKey, NEVER);
  await pipeline.publish();
}

function returnsIn(folder: string, clock: Clock): FileSource {
  return new FileSource({
    topic: 'returns',
    paths: [CSV_NAME],
    base: folder,
    format: 'csv',
    delimiter: ';',
    once: true,
    clock,
    stdinId: 'none',
    openStdin: () => process.stdin,
  });
}

/** What whoever reads the store must find. */
async function describe({ ledger, trust }: GoldenPipeline): Promise<unknown> {
  const controlKinds: Record<string, number> = {};
  for await (const { entry } of ledger.control.walk()) controlKinds[entry.kind] = (controlKinds[entry.kind] ?? 0) + 1;
  const logs: Record<string, { kinds: string[]; next: number; epoch: number; roots: string[] }> = {};
  const totals = { batches: 0, records: 0, deadLetters: 0 };
  for await (const log of ledger.logs.list()) {
    const found = { kinds: [] as string[], next: 0, epoch: 0, roots: [] as string[] };
    for await (const { verified, head } of ledger.logs.walk(log, null)) {
      const { entry } = verified;
      Object.assign(found, { next: head.next, epoch: head.epoch });
      found.kinds.push(entry.kind === 'batch' ? `batch ${entry.undecided ?? entry.verdict}` : entry.kind);
      if (entry.kind !== 'batch') continue;
      found.roots.push(entry.root);
      totals.batches++;
      totals.records += entry.records;
      totals.deadLetters += entry.deadLetterRecords;
    }
    logs[formatLogId(log)] = found;
  }
  const { refs, baselines, schemas } = (await ledger.control.head()).state;
  const id = refs['main']!;
  const snapshot = await ledger.snapshots.read(id);
  const held: Record<string, string> = {};
  for await (const { digest, standing } of ledger.snapshots.batches(snapshot.held)) held[digest] = standing;
  const files = (await filesOf(ledger, id)).map(({ path, sha256 }) => ({ path, sha256 }));
  const published = { snapshot: id, records: snapshot.records, batches: snapshot.batches.count, files };
  return { pipeline: trust.pipeline, totals, controlKinds, logs, published, held, baselines, schemas };
}

/** Writes everything into one folder. */
async function write(folder: string): Promise<void> {
  const [files, store] = [join(folder, 'files'), join(folder, 'store')];
  await mkdir(files, { recursive: true });
  await writeFile(join(files, CSV_NAME), RETURNS_CSV);
  const rows = RETURNS_CSV.split('\n').slice(1, -1);
  const sent = new Sent();
  rows.forEach((row, i) => sent.note('returns', CSV_NAME, i, Buffer.from(row, 'utf8')));
  const pipeline = await GoldenPipeline.open(store);
  await fill(pipeline, sent, files);
  await rm(join(store, '.tmp'), { recursive: true });
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  await writeFile(join(folder, 'trust.json'), json(pipeline.trust));
  await writeFile(join(folder, 'sent.jsonl'), sent.text);
  await writeFile(join(folder, 'expected.json'), json(await describe(pipeline)));
}

async function main(version: string | undefined): Promise<number> {
  if (version === undefined || !/^v[1-9][0-9]*$/.test(version)) {
    process.stderr.write('Usage: npm run golden -- vN, N being the version of the stored formats\n');
    return 64;
  }
  const folder = join('test', 'vectors', 'golden', version);
  const exists = await access(folder).then(
    () => true,
    () => false,
  );
  if (exists) {
    process.stderr.write(`Cannot write "${folder}": it exists, and a golden store is never written again\n`);
    return 64;
  }
  const draft = `${folder}.draft`;
  await rm(draft, { recursive: true, force: true });
  await write(draft);
  await rename(draft, folder);
  process.stdout.write(`wrote ${folder}\n`);
  return 0;
}

process.exitCode = await main(process.argv[2]);
