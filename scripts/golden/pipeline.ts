import { createHash, generateKeyPairSync } from 'node:crypto';

import { DiskStore } from '../../src/adapters/disk/store.ts';
import { pemSigner } from '../../src/adapters/keys/pem-signer.ts';
import type { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import { MemorySource } from '../../src/adapters/memory/source.ts';
import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import type { Rule } from '../../src/detect/rules/rule.ts';
import { JUDGE_DEFAULTS, type JudgeSettings } from '../../src/detect/verdict.ts';
import { Ingestor } from '../../src/ingest/ingestor.ts';
import { BatchJudge } from '../../src/ingest/judge-batch.ts';
import { Topics, type TopicSettings } from '../../src/ingest/topics.ts';
import { CoveredHeads } from '../../src/ledger/covered-heads.ts';
import { InlineEncoder } from '../../src/ledger/data/encode.ts';
import { probeStore } from '../../src/ledger/probe.ts';
import { ROLES, TrustRoot, type Role, type TrustDocument } from '../../src/ledger/trust.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ReadRequest, ReadResult, RecordSource } from '../../src/ports/record-source.ts';
import type { Rng } from '../../src/ports/rng.ts';
import type { Signer } from '../../src/ports/signer.ts';
import { NewsFinder } from '../../src/publish/news.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import type { Rejudge } from '../../src/publish/reconsider.ts';
import { makeRejudge } from '../../src/publish/rejudge.ts';
import type { RecordChunk } from '../../src/record/chunk.ts';
import { encodeHeaders } from '../../src/record/leaf.ts';
import type { LogId } from '../../src/record/log-id.ts';
import { openLedger, type LedgerContext } from '../../src/respond/ledger-context.ts';
import type { Actor } from '../../src/respond/refs.ts';
import { ORDER_COLUMNS, type GoldenRecord } from './records.ts';

/** Name of the pipeline in a golden store. */
export const PIPELINE = 'golden';
/** Records of a full batch. */
export const BATCH_RECORDS = 6;

const NEVER = new AbortController().signal;
const SETTINGS: JudgeSettings = { ...JUDGE_DEFAULTS, recordsMin: 3 };
const RULES: readonly Rule[] = [
  { kind: 'range', name: 'sane amounts', column: 'amount', max: 500, action: 'quarantine' },
];
const ROLES_MEANT = { label: null, source: null, time: null };

/** A clock that stands still until the next step, so that every run writes the same times. */
export class SteppedClock implements Clock {
  #nowMs = Date.UTC(2025, 0, 1);

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  sleep(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  step(): void {
    this.#nowMs += 60_000;
  }
}

/** The same bytes in every run, none of them twice. */
class CountedRng implements Rng {
  #drawn = 0;

  bytes(count: number): Uint8Array {
    const parts = Array.from({ length: Math.ceil(count / 32) }, () =>
      createHash('sha256')
        .update(`golden ${this.#drawn++}`)
        .digest(),
    );
    return Buffer.concat(parts).subarray(0, count);
  }
}

/** A pipeline on a folder, run step by step by the code that runs it in production; its keys live as long as the process. */
export class GoldenPipeline {
  readonly ledger: LedgerContext;
  readonly trust: TrustDocument;
  readonly clock: SteppedClock;
  readonly #signers: Readonly<Record<Role, Signer>>;
  readonly #rng = new CountedRng();
  readonly #rejudge: Rejudge;
  #runs = 0;

  private constructor(store: DiskStore) {
    this.clock = new SteppedClock();
    const signers = ROLES.map((role) => [role, newSigner()] as const);
    this.#signers = Object.fromEntries(signers) as Record<Role, Signer>;
    this.trust = {
      version: 1,
      pipeline: PIPELINE,
      keys: signers.map(([role, { keyId, publicKeyPem }]) => ({
        keyId,
        name: role,
        roles: [role],
        publicKey: publicKeyPem,
      })),
    };
    this.ledger = openLedger(store, TrustRoot.of(this.trust, 'trust.json'), this.clock);
    const { layout, clock } = this.ledger;
    this.#rejudge = makeRejudge({ store, layout, clock, settings: SETTINGS });
  }

  /** @param folder of the store; it must not hold one. */
  static async open(folder: string): Promise<GoldenPipeline> {
    const pipeline = new GoldenPipeline(await DiskStore.open(folder));
    const { store, layout } = pipeline.ledger;
    await probeStore(store, layout, pipeline.clock, pipeline.#rng);
    return pipeline;
  }

  get rejudge(): Rejudge {
    return this.#rejudge;
  }

  get publisherKey(): Signer {
    return this.#signers.publisher;
  }

  /** Who acts in a golden store. */
  person(reason: string): Actor {
    return { signer: this.#signers.approver, by: 'a person', reason };
  }

  /** One process that reads what is there, commits it, and ends. */
  async ingest(source: RecordSource): Promise<void> {
    this.clock.step();
    const { store, layout, logs, control, snapshots } = this.ledger;
    const { clock } = this;
    const signer = this.#signers.ingest;
    const failures: Error[] = [];
    const topics = new Topics({
      store,
      layout,
      control,
      clock,
      signer,
      ref: 'main',
      by: 'ingest',
      settings: topicSettings,
      noted: () => undefined,
    });
    const ingestor = new Ingestor({
      source,
      topics,
      judge: new BatchJudge(SETTINGS, 7, clock),
      writers: {
        store,
        layout,
        logs,
        signer,
        clock,
        pipeline: PIPELINE,
        deployment: 'golden',
        writer: `writer-${++this.#runs}`,
      },
      covered: new CoveredHeads(control, snapshots),
      commit: {
        store,
        layout,
        clock,
        encoder: new InlineEncoder(parquetFormat),
        mode: 'enforce',
        configSha256: createHash('sha256').update('golden').digest('hex'),
      },
      clock,
      rng: this.#rng,
      limits: {
        recordsMax: BATCH_RECORDS,
        bytesMax: 1 << 20,
        recordBytesMax: 1 << 16,
        recordTimeMaxMs: null,
        ageMaxMs: 1 << 30,
        memoryBytesMax: 1 << 24,
      },
      start: { at: 'earliest' },
      onGap: 'continue',
      events: {
        committed: () => undefined,
        resumed: () => undefined,
        reading: () => undefined,
        halted: (_log, error) => failures.push(error),
        unread: () => undefined,
        retrying: (_where, error) => failures.push(error),
      },
      once: true,
    });
    await ingestor.run(NEVER, NEVER);
    await source[Symbol.asyncDispose]();
    if (failures.length > 0) throw new AggregateError(failures, 'Cannot fill the golden store: a partition stopped');
  }

  /** One process that publishes what is new, and ends. */
  async publish(): Promise<void> {
    this.clock.step();
    const { store, layout, logs, control, snapshots, clock } = this.ledger;
    const news = new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: 1 });
    const publisher = new Publisher({
      store,
      layout,
      logs,
      control,
      snapshots,
      news,
      clock,
      signer: this.#signers.publisher,
      pipeline: PIPELINE,
      ref: 'main',
      by: 'publisher',
      rejudge: this.#rejudge,
    });
    await publisher.publish(NEVER);
  }
}

type HeadersAt = (log: LogId, offset: number) => GoldenRecord['headers'];

/** The broker in memory knows no headers: this source adds those of each record, which it finds by its offset. */
export class HeaderedSource extends MemorySource {
  readonly #headersAt: HeadersAt;

  constructor(broker: MemoryBroker, clock: Clock, headersAt: HeadersAt) {
    super(broker, clock);
    this.#headersAt = headersAt;
  }

  override async poll(
    requests: readonly ReadRequest[],
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly ReadResult[]> {
    const results = await super.poll(requests, waitMs, signal);
    return results.map((result) =>
      result.kind === 'records' ? { ...result, chunk: this.#withHeaders(result.log, result.chunk) } : result,
    );
  }

  #withHeaders(log: LogId, chunk: RecordChunk): RecordChunk {
    const encoded = Array.from(chunk.offsets, (offset) => {
      const headers = this.#headersAt(log, offset);
      return headers === undefined ? Buffer.alloc(0) : encodeHeaders(headers);
    });
    let end = 0;
    const starts = encoded.map(({ length }) => (end += length) - length);
    return {
      ...chunk,
      headers: {
        bytes: Uint8Array.from(Buffer.concat(encoded)),
        starts: Int32Array.from(starts),
        lengths: Int32Array.from(encoded, ({ length }) => length),
      },
    };
  }
}

function topicSettings(topic: string): TopicSettings {
  const isCsv = topic === 'returns';
  return {
    format: isCsv ? 'csv' : 'json',
    columns: isCsv ? null : ORDER_COLUMNS,
    roles: ROLES_MEANT,
    ignoredColumns: [],
    rules: isCsv ? [] : RULES,
    csv: { nullValues: [''], delimiter: ';' },
  };
}

function newSigner(): Signer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return pemSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'a key of this process', undefined);
}
