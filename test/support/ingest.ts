import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import { MemorySource, type MemoryCommits } from '../../src/adapters/memory/source.ts';
import { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import type { ErrorFields } from '../../src/errors.ts';
import { JUDGE_DEFAULTS } from '../../src/detect/verdict.ts';
import type { Rule } from '../../src/detect/rules/rule.ts';
import type { CommittedBatch } from '../../src/ingest/events.ts';
import { Ingestor, type IngestLimits } from '../../src/ingest/ingestor.ts';
import { BatchJudge } from '../../src/ingest/judge-batch.ts';
import type { GapPolicy } from '../../src/ingest/partition.ts';
import { Topics } from '../../src/ingest/topics.ts';
import { CoveredHeads } from '../../src/ledger/covered-heads.ts';
import { InlineEncoder } from '../../src/ledger/data/encode.ts';
import type { PartitionEntry } from '../../src/ledger/partition-entry.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { RecordSource, StartPosition } from '../../src/ports/record-source.ts';
import type { Rng } from '../../src/ports/rng.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import type { Schema } from '../../src/record/schema.ts';
import { sha256Hex } from '../../src/record/sha256.ts';
import { ORDER_SCHEMA, TestLedger, TOPIC } from './ledger.ts';

/** Limits small enough that a few records make several batches. */
const LIMITS: IngestLimits = {
  recordsMax: 10,
  bytesMax: 1 << 20,
  recordBytesMax: 1 << 16,
  recordTimeMaxMs: null,
  ageMaxMs: 60_000,
  memoryBytesMax: 1 << 24,
};

export interface TestConsumerOptions {
  readonly source?: RecordSource;
  /** Shared by the members of one group. */
  readonly commits?: MemoryCommits;
  readonly limits?: Partial<IngestLimits>;
  readonly start?: StartPosition;
  readonly onGap?: GapPolicy;
  readonly once?: boolean;
  readonly store?: ObjectStore;
  readonly rules?: readonly Rule[];
  /** Null = infer them. Default: those of {@link ORDER_SCHEMA}. */
  readonly columns?: Schema['columns'] | null;
  readonly deployment?: string;
  readonly seed?: number;
}

/** A consumer process: the real consume loop on a broker in memory and the store of a {@link TestLedger}. */
export class TestConsumer {
  readonly source: MemorySource;
  readonly committed: CommittedBatch[] = [];
  readonly halts: {
    readonly log: string;
    readonly code: string;
    readonly next: number;
    readonly message: string;
    readonly fields: ErrorFields;
  }[] = [];
  readonly resumed: string[] = [];
  readonly reading = new Set<string>();
  readonly unread: { readonly log: string; readonly byte: number; readonly bytes: number }[] = [];
  readonly retries: string[] = [];
  readonly notes: string[] = [];
  readonly ingestor: Ingestor;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();

  constructor(test: TestLedger, broker: MemoryBroker, options: TestConsumerOptions = {}) {
    const { clock, keys } = test;
    this.source = new MemorySource(broker, clock, options.commits);
    const ledger = test.reopened(options.store);
    const { store, layout, logs, control, snapshots } = ledger;
    const seed = options.seed ?? 0;
    this.ingestor = new Ingestor({
      source: options.source ?? this.source,
      topics: new Topics({
        store,
        layout,
        control,
        clock,
        signer: keys.ingest,
        by: 'ingest',
        ref: 'main',
        settings: () => ({
          format: 'json',
          columns: options.columns === undefined ? ORDER_SCHEMA.columns : options.columns,
          roles: { label: null, source: null, time: null },
          ignoredColumns: [],
          rules: options.rules ?? [],
          csv: { nullValues: [''], delimiter: ',' },
        }),
        noted: (topic, note) => this.notes.push(`${topic}: ${note}`),
      }),
      judge: new BatchJudge(JUDGE_DEFAULTS, 7, clock),
      writers: {
        store,
        layout,
        logs,
        signer: keys.ingest,
        clock,
        pipeline: test.trust.document.pipeline,
        deployment: options.deployment ?? 'here',
        writer: sha256Hex(Buffer.from(`consumer ${seed}`)).slice(0, 24),
      },
      covered: new CoveredHeads(control, snapshots),
      commit: {
        store,
        layout,
        encoder: new InlineEncoder(parquetFormat),
        clock,
        mode: test.mode,
        configSha256: sha256Hex(Buffer.from('config')),
      },
      clock,
      rng: countingRng(seed),
      limits: { ...LIMITS, ...options.limits },
      start: options.start ?? { at: 'earliest' },
      onGap: options.onGap ?? 'halt',
      once: options.once ?? true,
      events: {
        committed: (batch) => this.committed.push(batch),
        halted: (log, { code, message, fields }, next) =>
          this.halts.push({ log: formatLogId(log), code, next, message, fields }),
        resumed: (log) => this.resumed.push(formatLogId(log)),
        reading: (log) => this.reading.add(formatLogId(log)),
        unread: (log, end) => this.unread.push({ log: formatLogId(log), ...end }),
        retrying: (where, { message }) => this.retries.push(`${where}: ${message}`),
      },
    });
  }

  /** Reads until it is done or told to stop. */
  run(): Promise<void> {
    return this.ingestor.run(this.#stop.signal, this.#kill.signal);
  }

  /** What SIGTERM does. */
  stop(): void {
    this.#stop.abort();
  }

  /** What SIGTERM does when the time to drain is over. */
  kill(): void {
    this.#stop.abort();
    this.#kill.abort();
  }
}

/** A topic of one partition that nobody has read, and the ledger that it is to be read into. */
export async function openStream(
  store?: ObjectStore,
): Promise<{ readonly test: TestLedger; readonly broker: MemoryBroker; readonly log: LogId }> {
  const test = await TestLedger.open({ prepared: false, ...(store === undefined ? {} : { store }) });
  const broker = new MemoryBroker('test');
  return { test, broker, log: broker.create(TOPIC, 0) };
}

/** Records of {@link ORDER_SCHEMA}. @param from id of the first */
export function orders(count: number, from = 0): { readonly value: Buffer }[] {
  return Array.from({ length: count }, (_, i) => {
    const id = from + i;
    return { value: Buffer.from(JSON.stringify({ id, amount: id / 4, city: 'Basel' })) };
  });
}

/** A consumer that has run to its end. */
export async function consumeAll(
  test: TestLedger,
  broker: MemoryBroker,
  options: TestConsumerOptions = {},
): Promise<TestConsumer> {
  const consumer = new TestConsumer(test, broker, options);
  await consumer.run();
  return consumer;
}

/** All entries of a log, oldest first, read and checked as any reader does. */
export async function entriesOf(test: TestLedger, log: LogId): Promise<PartitionEntry[]> {
  const entries: PartitionEntry[] = [];
  for await (const { verified } of test.reopened().logs.walk(log, null)) entries.push(verified.entry);
  return entries;
}

/** Offsets that batches and gaps of a log account for, in order: `[start, end)` each. */
export async function rangesOf(test: TestLedger, log: LogId): Promise<[kind: string, start: number, end: number][]> {
  return (await entriesOf(test, log)).flatMap((entry) =>
    'start' in entry ? [[entry.kind, entry.start, entry.end] as [string, number, number]] : [],
  );
}

function countingRng(seed: number): Rng {
  let calls = 0;
  return {
    bytes: (length) => {
      const block = Buffer.from(sha256Hex(Buffer.from(`${seed} ${calls++}`)), 'hex');
      return Uint8Array.from({ length }, (_, i) => block[i % block.length]!);
    },
  };
}
