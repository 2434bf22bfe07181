import { generateKeyPairSync, randomBytes } from 'node:crypto';

import { pemSigner } from '../../src/adapters/keys/pem-signer.ts';
import { MemoryStore } from '../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import { decodeEvidence, encodeEvidence } from '../../src/detect/evidence.ts';
import type { Judgement } from '../../src/detect/judgement.ts';
import { JUDGE_DEFAULTS } from '../../src/detect/verdict.ts';
import { BatchBuilder, type BuiltBatch } from '../../src/ingest/batch-builder.ts';
import { prepareBatch } from '../../src/ingest/commit-batch.ts';
import { createJsonDecoder } from '../../src/ingest/decode/json-decoder.ts';
import { BatchJudge, observeBatch, type BatchObserver, type JudgedBatch } from '../../src/ingest/judge-batch.ts';
import type { TopicContext } from '../../src/ingest/topic.ts';
import type { ControlAct, ControlKind } from '../../src/ledger/control-entry.ts';
import { nextSeq, type VerifiedControlEntry } from '../../src/ledger/control-log.ts';
import { InlineEncoder } from '../../src/ledger/data/encode.ts';
import type { Mode } from '../../src/ledger/partition-entry.ts';
import type { LoggedBatch } from '../../src/ledger/partition-log.ts';
import { PartitionWriter } from '../../src/ledger/partition-writer.ts';
import type { Snapshot, Standing } from '../../src/ledger/snapshot.ts';
import { TrustRoot, type Role, type TrustDocument } from '../../src/ledger/trust.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { Signer } from '../../src/ports/signer.ts';
import { NewsFinder } from '../../src/publish/news.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import type { Rejudge } from '../../src/publish/reconsider.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { encodeSchema, schemaDigest, type Schema } from '../../src/record/schema.ts';
import { sha256Hex } from '../../src/record/sha256.ts';
import type { LedgerContext } from '../../src/respond/ledger-context.ts';
import { openLedger } from '../../src/respond/ledger-context.ts';
import type { Actor } from '../../src/respond/refs.ts';
import { makeChunk, type TestRecord } from './chunk.ts';
import { LeapingClock } from './leaping-clock.ts';

/** The topic that tests write to unless they name another. */
export const TOPIC = 'orders';
/** A signal that never aborts. */
export const never: AbortSignal = new AbortController().signal;

/** What the records of a test pipeline look like. */
export const ORDER_SCHEMA: Schema = {
  version: 1,
  format: 'json',
  columns: [
    { name: 'id', path: ['id'], type: 'int64' },
    { name: 'amount', path: ['amount'], type: 'float64' },
    { name: 'city', path: ['city'], type: 'string' },
  ],
};

/** Verdicts as tests write them: an undecided one by its reason. */
export type TestVerdict = Exclude<Standing, 'released' | 'condemned'>;

/** A batch as tests write it. */
export interface TestBatch {
  /** Values of its records, from the next offset on; text that is no JSON becomes a dead letter. Default: two orders. */
  readonly values?: readonly string[];
  /** Whole records, offsets included, instead of values. */
  readonly records?: readonly TestRecord[];
  /** Default: clean. */
  readonly verdict?: TestVerdict;
  /** More of the judgement, such as findings. */
  readonly judgement?: Partial<Judgement>;
  /** True when a rule with action halt was broken. */
  readonly halts?: boolean;
  /** Judged by this baseline instead of the one in force. */
  readonly baseline?: string;
  readonly mode?: Mode;
}

export interface TestLedgerOptions {
  readonly store?: ObjectStore;
  readonly mode?: Mode;
  readonly clock?: Clock;
  /** Pins the schema and puts a stand-in baseline in force. Default: true. */
  readonly prepared?: boolean;
}

/** Which key signs a kind of act in tests. */
const SIGNER_OF_KIND: Readonly<Record<ControlKind, Role>> = {
  schema: 'ingest',
  learn: 'publisher',
  approve: 'approver',
  publish: 'publisher',
  verdict: 'publisher',
  decision: 'approver',
  hold: 'approver',
  resume: 'approver',
  rollback: 'approver',
};

const SKETCH_SEED = 7;

/** A whole pipeline on one store, with keys of its own: what tests build ledgers with, through the code that does it for real. */
export class TestLedger {
  readonly keys: Readonly<Record<Role, Signer>>;
  readonly trust: TrustRoot;
  readonly ledger: LedgerContext;
  readonly mode: Mode;
  readonly clock: Clock;
  readonly #writers = new Map<string, PartitionWriter>();
  readonly #encoder = new InlineEncoder(parquetFormat);
  /** What has seen the rows of each batch that was built. */
  readonly #observers = new WeakMap<BuiltBatch, BatchObserver>();
  #orders = 0;

  private constructor(options: TestLedgerOptions) {
    this.clock = options.clock ?? new LeapingClock();
    this.mode = options.mode ?? 'enforce';
    this.keys = { ingest: newSigner(), publisher: newSigner(), approver: newSigner(), janitor: newSigner() };
    this.trust = TrustRoot.of(trustOf(this.keys), 'trust.json');
    this.ledger = openLedger(options.store ?? new MemoryStore(), this.trust, this.clock);
  }

  static async open(options: TestLedgerOptions = {}): Promise<TestLedger> {
    const made = new TestLedger(options);
    if (options.prepared !== false) {
      await made.pinSchema();
      await made.approveBaseline('first');
    }
    return made;
  }

  get store(): ObjectStore {
    return this.ledger.store;
  }

  /** The same store seen by a process that has just started. */
  reopened(store: ObjectStore = this.store, clock: Clock = this.clock): LedgerContext {
    return openLedger(store, this.trust, clock);
  }

  /** Appends an act, signed by the key whose role it is. @param role another one that may sign it, too */
  async act(act: ControlAct, role: Role = SIGNER_OF_KIND[act.kind]): Promise<VerifiedControlEntry> {
    return (await this.ledger.control.append(this.keys[role], () => act, never))!;
  }

  /** Stores a schema and pins it for a topic; a person replaces one that is pinned. */
  async pinSchema(topic = TOPIC, schema = ORDER_SCHEMA): Promise<VerifiedControlEntry> {
    const { store, layout, control } = this.ledger;
    const isPinned = (await control.head()).state.schemas[topic] !== undefined;
    await store.create(layout.schema(schemaDigest(schema)), encodeSchema(schema));
    const act = { kind: 'schema', by: 'ingest', topic, schema: schemaDigest(schema), reason: 'first records' } as const;
    return this.act(act, isPinned ? 'approver' : 'ingest');
  }

  /** Stores something that stands for a baseline, learns and approves it. @returns its digest */
  async approveBaseline(name: string, topic = TOPIC): Promise<string> {
    const { store, layout } = this.ledger;
    const bytes = Buffer.from(JSON.stringify({ standIn: name }), 'utf8');
    const baseline = sha256Hex(bytes);
    await store.create(layout.baseline(baseline), bytes);
    await this.act({ kind: 'learn', by: 'publisher', topic, baseline, reason: 'learned' });
    await this.act({ kind: 'approve', by: 'a person', topic, baseline, reason: 'looks right' });
    return baseline;
  }

  /** The writer of a log in this process; made at its first use, with the head as it is then. */
  async writer(log: LogId): Promise<PartitionWriter> {
    const name = formatLogId(log);
    const known = this.#writers.get(name);
    if (known !== undefined) return known;
    const writer = await this.newWriter(log);
    this.#writers.set(name, writer);
    return writer;
  }

  /** A writer of another process, or of another deployment. */
  async newWriter(
    log: LogId,
    as: { readonly writer?: string; readonly deployment?: string; readonly store?: ObjectStore } = {},
  ): Promise<PartitionWriter> {
    const { layout, logs } = this.ledger;
    const context = {
      store: as.store ?? this.store,
      layout,
      logs,
      signer: this.keys.ingest,
      clock: this.clock,
      pipeline: this.trust.document.pipeline,
      deployment: as.deployment ?? 'here',
      writer: as.writer ?? randomBytes(8).toString('hex'),
    };
    return new PartitionWriter(context, log, await logs.head(log));
  }

  /** Reads, judges as told and commits a batch, claiming the log first. */
  async commit(log: LogId, batch: TestBatch = {}, by?: PartitionWriter): Promise<LoggedBatch> {
    const writer = by ?? (await this.writer(log));
    await writer.claim({ next: 0, label: null }, never);
    const built = this.build(log, writer.head!.next, batch);
    const fields = await prepareBatch(
      { ...this.#commitContext(), mode: batch.mode ?? this.mode },
      writer,
      built,
      this.#judged(built, batch),
      await this.#topic(log.topic, batch),
      never,
    );
    const head = await writer.commit(fields, never);
    await this.store.put(this.ledger.layout.headHint(log), Buffer.from(JSON.stringify({ slot: head.slot })));
    return this.ledger.logs.readBatch({ log: formatLogId(log), slot: head.slot, digest: head.digest });
  }

  /** A finished batch from offset `start` on. */
  build(log: LogId, start: number, { values, records }: TestBatch = {}): BuiltBatch {
    const texts = values ?? [this.#order(), this.#order()];
    const given = records ?? texts.map((value, i) => ({ offset: start + i, value, timestamp: 1_600_000_000_000n }));
    const observer = observeBatch(SKETCH_SEED);
    const builder = new BatchBuilder({
      log,
      topicId: null,
      start,
      limits: { recordsMax: 100_000, bytesMax: 1 << 28, recordBytesMax: 1 << 20, recordTimeMaxMs: null },
      decoder: createJsonDecoder(ORDER_SCHEMA),
      observer,
      batchKey: randomBytes(32),
      nowMs: null,
    });
    builder.add(makeChunk(given, { from: start }), 0);
    const built = builder.finish();
    this.#observers.set(built, observer);
    return built;
  }

  /** Publishes for a ref of its own memory. @param rejudge what re-judging says; by default it must not be asked. */
  publisher(rejudge: Rejudge = refuseToJudge, ledger: LedgerContext = this.ledger, ref = 'main'): Publisher {
    const { store, layout, logs, control, snapshots, clock } = ledger;
    const news = new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: 600_000 });
    const { pipeline } = this.trust.document;
    const signer = this.keys.publisher;
    return new Publisher({
      store,
      layout,
      logs,
      control,
      snapshots,
      news,
      signer,
      clock,
      pipeline,
      ref,
      by: 'publisher',
      rejudge,
    });
  }

  /** A person who acts. */
  person(reason = 'because'): Actor {
    return { signer: this.keys.approver, by: 'a person', reason };
  }

  /** A decision of a person, appended as it is, without the checks of the command. */
  async decide({ log, entry, digest }: LoggedBatch, outcome: 'released' | 'condemned'): Promise<VerifiedControlEntry> {
    const batch = { log: formatLogId(log), slot: entry.slot, digest };
    return this.act({ kind: 'decision', by: 'a person', batch, outcome, reason: 'looked at it' });
  }

  /** What a ref names now. */
  async snapshot(ref = 'main'): Promise<Snapshot> {
    const { control, snapshots } = this.ledger;
    return snapshots.read((await control.head()).state.refs[ref]!);
  }

  /** Standing of every batch of the ref's snapshot by entry digest. */
  async standings(sequence: 'batches' | 'held', ref = 'main'): Promise<Record<string, Standing>> {
    const standings: Record<string, Standing> = {};
    const { snapshots } = this.ledger;
    for await (const { digest, standing } of snapshots.batches((await this.snapshot(ref))[sequence]))
      standings[digest] = standing;
    return standings;
  }

  #order(): string {
    const id = this.#orders++;
    return JSON.stringify({ id, amount: id / 4, city: ['Basel', 'Bern', null][id % 3] });
  }

  #commitContext() {
    const { store, layout } = this.ledger;
    const configSha256 = sha256Hex(Buffer.from('config'));
    return { store, layout, encoder: this.#encoder, clock: this.clock, configSha256 };
  }

  async #topic(topic: string, { baseline, verdict }: TestBatch): Promise<TopicContext> {
    const head = await this.ledger.control.head();
    const sha256 = verdict === 'no-baseline' ? undefined : (baseline ?? head.state.baselines[topic]);
    return {
      topic,
      schema: ORDER_SCHEMA,
      schemaSha256: schemaDigest(ORDER_SCHEMA),
      newDecoder: () => createJsonDecoder(ORDER_SCHEMA),
      roles: { label: null, source: null, time: null },
      rules: [],
      // Only its digest goes into the entry.
      baseline: sha256 === undefined ? null : { sha256, prepared: undefined as never },
      controlSeq: nextSeq(head) - 1,
      recordsMax: Infinity,
    };
  }

  /** Real evidence of the batch, with the verdict that the test wants. */
  #judged(built: BuiltBatch, { verdict = 'clean', judgement: more, halts = false }: TestBatch): JudgedBatch {
    const judge = new BatchJudge(JUDGE_DEFAULTS, SKETCH_SEED, this.clock);
    const observer = this.#observers.get(built) ?? judge.observe();
    const roles = { label: null, source: null, time: null };
    const topic = { schema: ORDER_SCHEMA, roles, rules: [], baseline: null } as unknown as TopicContext;
    const real = judge.judge({ built, observer, topic });
    const decided = verdict === 'clean' || verdict === 'suspect';
    const outcome = decided ? verdict : 'undecided';
    const undecided = decided ? null : verdict;
    const judgement: Judgement = { ...real.judgement, outcome, reason: undecided, ...more };
    const evidence = encodeEvidence({ ...decodeEvidence(real.evidence, 'evidence'), judgement });
    const brokenHaltRules = halts ? ['amount-range'] : [];
    return { ...real, outcome, undecided, judgement, brokenHaltRules, evidence };
  }
}

/** The id of a partition of the test topic. */
export function partition(number: number | string, topic = TOPIC): LogId {
  return { cluster: 'test', topic, partition: String(number) };
}

/** A signer with a new P-256 key. */
export function newSigner(): Signer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return pemSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'test key', undefined);
}

/** A trust file that gives each key its role. */
export function trustOf(keys: Readonly<Record<Role, Signer>>, pipeline = 'shop'): TrustDocument {
  const roles = Object.keys(keys) as Role[];
  return {
    version: 1,
    pipeline,
    keys: roles.map((role) => ({
      keyId: keys[role].keyId,
      name: role,
      roles: [role],
      publicKey: keys[role].publicKeyPem,
    })),
  };
}

/** All keys of a store in order, below a prefix. */
export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for (let next: string | null = ''; next !== null;) {
    const page = await store.list(prefix, { limit: 1_000, ...(next === '' ? {} : { startAfter: next }) });
    keys.push(...page.objects.map(({ key }) => key));
    next = page.next;
  }
  return keys;
}

const refuseToJudge: Rejudge = (topic) => Promise.reject(new Error(`Nothing of "${topic}" is to be judged again here`));

/** Everything that a generator gives. */
export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
