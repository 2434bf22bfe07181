/**
 * Builds the running system from a configuration: the only file that knows both the wings and the adapters.
 * Vendor code is loaded when it is needed, so that a command on local files never loads an S3 or Kafka client.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';

import { DiskStore } from './adapters/disk/store.ts';
import { FileSource } from './adapters/file/file-source.ts';
import { openPemSigner } from './adapters/keys/pem-signer.ts';
import { MemoryJobQueue } from './adapters/memory-queue/memory-job-queue.ts';
import { systemClock } from './adapters/system/clock.ts';
import { systemRng } from './adapters/system/rng.ts';
import { ThreadEncoder } from './adapters/thread/encoder.ts';
import { topicConfig, type LoadedConfig } from './config/load.ts';
import type { FilesConfig, KafkaConfig, TopicConfig } from './config/schema.ts';
import { JUDGE_DEFAULTS, type JudgeSettings } from './detect/verdict.ts';
import { ConfigError, NotFoundError } from './errors.ts';
import { BatchJudge } from './ingest/judge-batch.ts';
import { Ingestor, type IngestEvents } from './ingest/ingestor.ts';
import { Topics, type TopicSettings } from './ingest/topics.ts';
import { BYTES_MAX } from './ledger/layout.ts';
import { TrustRoot } from './ledger/trust.ts';
import { columnName, type Schema } from './record/schema.ts';
import { sha256Hex } from './record/sha256.ts';
import type { AlertChannel } from './ports/alert-channel.ts';
import type { JobQueue } from './ports/job-queue.ts';
import type { ObjectStore } from './ports/object-store.ts';
import type { RecordSource, StartPosition } from './ports/record-source.ts';
import type { Signer } from './ports/signer.ts';
import { NewsFinder } from './publish/news.ts';
import { Publisher } from './publish/publisher.ts';
import { makeRejudge } from './publish/rejudge.ts';
import type { Rejudge } from './publish/reconsider.ts';
import { ALERT_JOB, AlertDesk } from './respond/alerts.ts';
import { openLedger, type LedgerContext } from './respond/ledger-context.ts';
import { Marks } from './respond/marks.ts';

/** Script of the encoding thread; run from the sources (tests), the built one is used. */
const ENCODE_SCRIPT = import.meta.url.endsWith('.ts')
  ? new URL('../dist/workers/encode.js', import.meta.url)
  : new URL('../workers/encode.js', import.meta.url);

/** Which private key a process needs. */
export type KeyName = 'ingest' | 'publisher' | 'approver';

/** Opens the store that the configuration names. @throws UnavailableError, ConfigError */
export async function openStore({ config, folder }: LoadedConfig): Promise<ObjectStore> {
  const { url, endpoint, region, forcePathStyle, kmsKeyId, requestTimeoutMs } = config.store;
  if (!url.startsWith('s3://')) return DiskStore.open(resolve(folder, url));
  const { S3Store } = await import('./adapters/s3/store.ts');
  const [bucket = '', ...rest] = url.slice('s3://'.length).replace(/\/+$/, '').split('/');
  return new S3Store({ bucket, prefix: rest.join('/'), endpoint, region, forcePathStyle, kmsKeyId, requestTimeoutMs });
}

/** Reads the pinned trust root. @throws ConfigError TRUST_INVALID */
export async function readTrust({ config, folder }: LoadedConfig): Promise<TrustRoot> {
  const path = resolve(folder, config.trust);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot read trust file "${path}" (mend: headgate init, or copy the pipeline’s trust.json here)`,
      [],
      { cause },
    );
  });
  const trust = TrustRoot.parse(text, path);
  const { pipeline } = trust.document;
  if (pipeline !== config.pipeline)
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot use trust file "${path}": it is for pipeline "${pipeline}", the configuration is for "${config.pipeline}"`,
    );
  return trust;
}

/** Opens one of this machine's private keys and checks that the trust root knows it. @throws ConfigError KEY_INVALID, TRUST_INVALID */
export async function openKey({ config, folder }: LoadedConfig, trust: TrustRoot, name: KeyName): Promise<Signer> {
  const path = resolve(folder, config.keys[name]);
  const signer = await openPemSigner(path, config.keys.passphrase ?? undefined);
  if (trust.key(signer.keyId) === undefined) {
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot use key file "${path}": trust file "${config.trust}" does not name its key ${signer.keyId}`,
    );
  }
  return signer;
}

/** The ledger, and where this machine remembers what it has seen of it. */
export interface OpenedLedger extends LedgerContext, AsyncDisposable {
  readonly marks: Marks;
}

/** Opens the pipeline's ledger. @throws ConfigError, UnavailableError */
export async function openLedgerOf(loaded: LoadedConfig): Promise<OpenedLedger> {
  const trust = await readTrust(loaded);
  const store = await openStore(loaded);
  const marks = new Marks(join(loaded.folder, '.headgate', 'marks'), store.location, loaded.config.pipeline);
  return { ...openLedger(store, trust, systemClock), marks, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** The author's name that entries carry: who runs the command, and where. */
export function actorName(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** What a topic's configuration means to the ingest wing. */
export function topicSettings({ config }: LoadedConfig, topic: string): TopicSettings {
  const own = topicConfig(config, topic);
  const { files } = config.source;
  return {
    format: files?.format === 'csv' ? 'csv' : 'json',
    columns: own.schema === null ? null : columnsOf(own.schema),
    roles: { label: own.label, source: own.source, time: own.time },
    rules: rulesOf(own),
    csv: files?.csv ?? { nullValues: [''], delimiter: ',' },
  };
}

/** How batches are judged. */
export function judgeSettings({ config }: LoadedConfig): JudgeSettings {
  return { ...JUDGE_DEFAULTS, budget: config.judge.falseAlarmBudget, recordsMin: config.judge.recordsMin };
}

/** 32 bits that all consumers of a deployment share, so that row hashes of their batches can be compared. */
export function sketchSeed({ config }: LoadedConfig): number {
  return Number.parseInt(sha256Hex(Buffer.from(`headgate sketch ${config.pipeline}`, 'utf8')).slice(0, 8), 16);
}

/** Opens the configured source. @throws ConfigError, UnavailableError */
export async function openSource(
  { config, folder }: LoadedConfig,
  once: boolean,
  log: (level: string, message: string) => void,
): Promise<RecordSource> {
  const { files, kafka } = config.source;
  if (files !== null) return openFileSource(files, files.topic, files.paths, folder, once);
  return openKafka(kafka!, log);
}

async function openKafka(kafka: KafkaConfig, log: (level: string, message: string) => void): Promise<RecordSource> {
  const { KafkaSource } = await import('./adapters/kafkajs/kafka-source.ts');
  const { sasl, tls } = kafka;
  const options = {
    brokers: kafka.brokers,
    clientId: kafka.clientId,
    groupId: kafka.group,
    topics: kafka.topics,
    tls:
      tls === null
        ? null
        : {
            ca: tls.ca ?? undefined,
            cert: tls.cert ?? undefined,
            key: tls.key ?? undefined,
            serverName: tls.serverName ?? undefined,
          },
    sasl:
      sasl === null
        ? null
        : sasl.mechanism === 'oauthbearer'
          ? { mechanism: sasl.mechanism, token: async () => (await readFile(sasl.tokenFile!, 'utf8')).trim() }
          : { mechanism: sasl.mechanism as 'plain', username: sasl.username!, password: sasl.password! },
    sessionTimeoutMs: kafka.sessionTimeoutMs,
    fetchBytesMax: kafka.fetchBytesMax,
    partitionBytesMax: kafka.partitionBytesMax,
    batchInflatedBytesMax: kafka.batchInflatedBytesMax,
  };
  return KafkaSource.open(options, { log, clock: systemClock });
}

/** Other files in the format of the configured source, as a one-pass source of one topic. */
export function openFilesFor(
  { config }: LoadedConfig,
  topic: string,
  paths: readonly string[],
  base: string,
): FileSource {
  return openFileSource(config.source.files, topic, paths, base, true);
}

function openFileSource(
  files: FilesConfig | null,
  topic: string,
  paths: readonly string[],
  base: string,
  once: boolean,
): FileSource {
  return new FileSource({
    topic,
    paths,
    base,
    format: files?.format ?? 'ndjson',
    delimiter: files?.csv.delimiter ?? ',',
    once,
    clock: systemClock,
    stdinId: `stdin-${randomUUID()}`,
    openStdin: () => process.stdin,
  });
}

/** Reads one object by its s3:// address, with the store's endpoint and credentials. @throws RequestError, UnavailableError */
export async function openS3Object({ config }: LoadedConfig, url: string): Promise<Buffer> {
  const { S3Store } = await import('./adapters/s3/store.ts');
  const [bucket = '', ...rest] = url.slice('s3://'.length).split('/');
  const { endpoint, region, forcePathStyle, requestTimeoutMs } = config.store;
  await using store = new S3Store({
    bucket,
    prefix: '',
    endpoint,
    region,
    forcePathStyle,
    kmsKeyId: null,
    requestTimeoutMs,
  });
  const bytes = await store.get(rest.join('/'), BYTES_MAX.data);
  if (bytes === null) throw new NotFoundError('NOT_FOUND', `Cannot read "${url}": it is not there`);
  return bytes;
}

/** What topics are decoded with, pinned by the given key. @throws ConfigError */
export async function openTopics(
  loaded: LoadedConfig,
  { store, layout, control, clock, trust }: LedgerContext,
  key: KeyName,
): Promise<Topics> {
  const signer = await openKey(loaded, trust, key);
  return new Topics({
    store,
    layout,
    control,
    clock,
    signer,
    by: actorName(),
    ref: loaded.config.publish.ref,
    settings: (topic) => topicSettings(loaded, topic),
  });
}

/** A consume loop with everything it holds open. */
export interface OpenedIngest extends AsyncDisposable {
  readonly ingestor: Ingestor;
}

/** Opens source, encoder and consume loop. @throws ConfigError, UnavailableError */
export async function openIngest(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  once: boolean,
  events: IngestEvents,
  log: (level: string, message: string) => void,
): Promise<OpenedIngest> {
  const { config } = loaded;
  const { store, layout, logs, clock } = ledger;
  const signer = await openKey(loaded, ledger.trust, 'ingest');
  const source = await openSource(loaded, once, log);
  const encoder = new ThreadEncoder(ENCODE_SCRIPT);
  const topics = await openTopics(loaded, ledger, 'ingest');
  const { kafka } = config.source;
  const ingestor = new Ingestor({
    source,
    topics,
    judge: new BatchJudge(judgeSettings(loaded), sketchSeed(loaded), clock),
    writers: {
      store,
      layout,
      logs,
      signer,
      clock,
      pipeline: config.pipeline,
      deployment: config.deployment,
      writer: randomBytes(12).toString('hex'),
    },
    commit: { store, layout, encoder, clock, mode: config.mode, configSha256: loaded.digest },
    clock,
    rng: systemRng,
    limits: { ...config.batch, memoryBytesMax: config.memoryBytesMax },
    start: startPosition(kafka?.start ?? 'earliest'),
    onGap: kafka?.onGap ?? 'halt',
    events,
    once,
  });
  const close = async (): Promise<void> => {
    await source[Symbol.asyncDispose]();
    await encoder[Symbol.asyncDispose]();
  };
  return { ingestor, [Symbol.asyncDispose]: close };
}

/** Re-judging of stored batches as the publisher and `resume` do it. */
export function openRejudge(loaded: LoadedConfig, { store, layout, clock }: LedgerContext): Rejudge {
  return makeRejudge({ store, layout, clock, settings: judgeSettings(loaded) });
}

/** The publisher of the configured ref. @throws ConfigError */
export async function openPublisher(loaded: LoadedConfig, ledger: LedgerContext): Promise<Publisher> {
  const { store, layout, logs, control, snapshots, clock } = ledger;
  const { ref, fullWalkIntervalMs } = loaded.config.publish;
  const signer = await openKey(loaded, ledger.trust, 'publisher');
  const news = new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs });
  const by = actorName();
  return new Publisher({
    store,
    layout,
    logs,
    control,
    snapshots,
    news,
    signer,
    clock,
    pipeline: loaded.config.pipeline,
    ref,
    by,
    rejudge: openRejudge(loaded, ledger),
  });
}

/** Opens the queue and the channels of the alerts. @throws ConfigError, UnavailableError */
export async function openAlerts(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  stream: NodeJS.WritableStream,
  isTty: boolean,
  onFailure: (message: string) => void,
): Promise<{ readonly desk: AlertDesk; readonly queue: JobQueue }> {
  const queue = await openQueue(loaded, onFailure);
  const channels = await Promise.all(
    loaded.config.alerts.map((channel, i) => openChannel(loaded, channel, i, stream, isTty)),
  );
  const desk = new AlertDesk({
    ledger,
    queue,
    channels,
    alertColumns: (topic) => topicConfig(loaded.config, topic).alertColumns,
  });
  return { desk, queue };
}

async function openQueue({ config }: LoadedConfig, onFailure: (message: string) => void): Promise<JobQueue> {
  const { url, attemptsMax } = config.queue;
  const { DEFAULT_JOB_RETRY_RULES } = await import('./ports/job-rules.ts');
  const common = {
    clock: systemClock,
    rng: systemRng,
    retryRules: { ...DEFAULT_JOB_RETRY_RULES, attemptsMax },
    onFailure: ({ error }: { readonly error: unknown }) =>
      onFailure(error instanceof Error ? error.message : String(error)),
  };
  if (url === null) return MemoryJobQueue.open(common);
  const { BullmqJobQueue } = await import('./adapters/bullmq/bullmq-job-queue.ts');
  return BullmqJobQueue.open({
    ...common,
    url,
    kinds: [ALERT_JOB],
    prefix: `headgate-${sha256Hex(Buffer.from(config.pipeline, 'utf8')).slice(0, 16)}`,
    onError: (error: Error) => onFailure(error.message),
  });
}

async function openChannel(
  { config }: LoadedConfig,
  channel: LoadedConfig['config']['alerts'][number],
  index: number,
  stream: NodeJS.WritableStream,
  isTty: boolean,
): Promise<AlertChannel> {
  if (channel.type === 'console') {
    const { ConsoleAlertChannel } = await import('./adapters/console-alert/console-alert-channel.ts');
    return new ConsoleAlertChannel({
      name: channel.name,
      stream: stream as NodeJS.WriteStream,
      format: isTty ? 'human' : 'json',
    });
  }
  const { WebhookChannel } = await import('./adapters/webhook/webhook-channel.ts');
  return new WebhookChannel({
    name: channel.name,
    url: channel.url!,
    secrets: channel.secrets!,
    source: `urn:headgate:${encodeURIComponent(config.pipeline)}`,
    configPath: `alerts/${index}`,
    clock: systemClock,
    allowPrivate: channel.allowPrivate ?? [],
  });
}

function startPosition(start: string): StartPosition {
  if (start === 'earliest' || start === 'latest') return { at: start };
  return { at: 'time', timeMs: Date.parse(start) };
}

function columnsOf(columns: NonNullable<TopicConfig['schema']>): Schema['columns'] {
  return columns.map(({ path, ...rest }) => {
    const keys = typeof path === 'string' ? [path] : path;
    return { name: columnName(keys), path: keys, ...rest };
  });
}

/** The configuration's flat rules as the detect wing's tagged ones. */
function rulesOf({ rules }: TopicConfig): TopicSettings['rules'] {
  return rules.map(
    ({ rule, name, ...rest }, i) =>
      ({
        kind: rule,
        name: name ?? `${rule}${rest.column === undefined ? '' : ` ${rest.column}`} (${i + 1})`,
        ...rest,
      }) as TopicSettings['rules'][number],
  );
}
