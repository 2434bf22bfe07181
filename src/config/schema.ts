import Type, { type Static } from 'typebox';

import { block, choice, count, flag, group, list, maybe, mustChoose, text, textOrNull } from './nodes.ts';
import { Files, Kafka } from './schema-source.ts';
import { Topic } from './schema-topic.ts';

const Store = group('Where everything is kept: ledger, data, quarantine.', {
  url: text('A folder, or s3://bucket/prefix.', { default: './store' }),
  endpoint: maybe(
    text('', { pattern: '^https?://', examples: ['https://minio.example.com:9000'] }),
    'Address of another S3-compatible server; null = AWS.',
  ),
  allowHttp: flag(
    'Allow a plain http endpoint on a private network: a private address, a name without a dot, or one below .internal, ' +
      '.local or .home.arpa. Everyone on that network can read the records. This machine itself needs no leave.',
    false,
  ),
  region: text('Region of the bucket.', { default: 'us-east-1' }),
  forcePathStyle: flag('Address the bucket as https://host/bucket; most servers but AWS need it.', false),
  kmsKeyId: maybe(
    text('', { examples: ['alias/headgate'] }),
    'KMS key for encryption by the server; null = what the bucket says.',
  ),
  requestTimeoutMs: count('Longest wait for one answer of the store, in ms.', 15_000, 100),
});

const Keys = group(
  'Private keys of this machine (PEM files that only their owner can read). A command asks only for those that it needs. ' +
    'null = this machine does not act in that role, and headgate doctor does not look for the key.',
  {
    ingest: textOrNull('Signs what was read.', './keys/ingest.pem'),
    publisher: textOrNull('Signs what is published.', './keys/publisher.pem'),
    approver: textOrNull('Signs what a person decides; does not belong on servers.', './keys/approver.pem'),
    passphrase: maybe(
      text('', { writeOnly: true, examples: ['${HEADGATE_PASSPHRASE}'] }),
      'Passphrase of encrypted keys; null = they are not encrypted.',
    ),
  },
);

const Batch = group(
  'When a batch is full: at the first of these limits. A batch is hashed, judged and held back as a whole.',
  {
    recordsMax: count('Records.', 50_000, 1, 1_000_000),
    bytesMax: count('Bytes of keys, values and headers.', 67_108_864, 1_024, 268_435_456),
    ageMaxMs: count('Time since its first record was read, in ms.', 60_000, 10),
    recordTimeMaxMs: maybe(
      Type.Integer({ minimum: 1_000, examples: [3_600_000] }),
      'Time between the timestamps of its records, in ms; null = no such limit.',
    ),
    recordBytesMax: count('Bytes of one record; a larger one is kept as a dead letter.', 16_777_216, 1, 268_435_456),
  },
);

const Judge = group('How batches are judged.', {
  recordsMin: count(
    'Batches in which fewer records decode are not judged one by one, but together when they are published; the share that does not decode is judged wherever there are as many records.',
    500,
    0,
  ),
  falseAlarmBudget: Type.Number({
    exclusiveMinimum: 0,
    maximum: 0.5,
    default: 0.001,
    description: 'Share of clean batches that may be called suspect by mistake.',
  }),
});

const Publish = group('How snapshots are made.', {
  ref: text('Name of the ref that moves to each new snapshot.', {
    pattern: '^[a-z0-9][a-z0-9._-]{0,99}$',
    default: 'main',
    examples: ['main'],
  }),
  intervalMs: count('Pause between looks for new batches, in ms.', 5_000, 10),
  fullWalkIntervalMs: count(
    'Pause between looks at every log, in ms: they find what hints have missed.',
    600_000,
    1_000,
  ),
});

const Queue = group('Where alerts wait to be delivered.', {
  url: maybe(
    text('', { pattern: '^rediss?://', writeOnly: true, examples: ['${REDIS_URL}', 'redis://127.0.0.1:6379'] }),
    'Redis, as redis:// or rediss://; null = inside of the process.',
  ),
  attemptsMax: count('Tries of one delivery; after them it waits for the next look for lost alerts.', 10),
});

const AlertChannelConfig = block('One channel.', {
  name: text('Name of the channel in receipts and messages.', {
    pattern: '^[a-z0-9][a-z0-9_-]{0,63}$',
    examples: ['on-call'],
  }),
  type: mustChoose('Where it leads.', ['console', 'webhook']),
  url: Type.Optional(
    text('webhook: its address; https, unless allowPrivate names its host.', {
      writeOnly: true,
      examples: ['https://hooks.example.com/headgate'],
    }),
  ),
  secrets: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 4_096, writeOnly: true }), {
      minItems: 1,
      maxItems: 4,
      description: 'webhook: secrets to sign with (Standard Webhooks, whsec_…); several while they are rotated.',
      examples: [['${WEBHOOK_SECRET}']],
    }),
  ),
  allowPrivate: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 253 }), {
      maxItems: 100,
      description: 'webhook: hosts and address blocks that may be private, and plain http.',
      examples: [['10.0.0.0/8']],
    }),
  ),
});

/** The configuration file. One schema gives types, checks, defaults, config/default.yaml and the JSON Schema for editors. */
export const ConfigSchema = Type.Object(
  {
    pipeline: text('Name of the pipeline; first part of every key in the store.', {
      examples: ['my-pipeline'],
      maxLength: 200,
    }),
    deployment: Type.Optional(
      text(
        'Id of this deployment, as headgate init made it. Two deployments must not write to one pipeline. Do not show it to ' +
          'producers: which of their records are sampled follows from it. Needed with a source.',
        {
          examples: ['0123456789abcdef'],
          maxLength: 200,
        },
      ),
    ),
    mode: choice(
      'enforce publishes only what is clean or was released; observe publishes everything and counts what it would have held back. ' +
        'Rules with the action halt stop their partition in both.',
      ['enforce', 'observe'],
    ),
    source: group(
      'Where records come from: exactly one of files and kafka. A machine that only reads the store needs none.',
      {
        files: maybe(Files, 'Read files; null = read Kafka.'),
        kafka: maybe(Kafka, 'Read Kafka; null = read files.'),
      },
    ),
    store: Store,
    trust: text('Trust root: the file with the public keys that are believed.', { default: './trust.json' }),
    keys: Keys,
    stateFolder: text(
      'Folder in which this machine remembers what it has seen of the store, so that it notices when an older or another ' +
        'one is shown. It must be writable, must survive restarts, and must not lie in the store.',
      { default: './.headgate' },
    ),
    topicDefaults: Topic,
    topics: Type.Record(Type.String({ minLength: 1 }), Type.Partial(Topic, { additionalProperties: false }), {
      default: {},
      description:
        'What is known of single topics, by their names: any keys of topicDefaults. They go before those; rules are added to them.',
      examples: [{ flights: { label: 'late' } }],
    }),
    batch: Batch,
    judge: Judge,
    publish: Publish,
    queue: Queue,
    alerts: list(AlertChannelConfig, 'Who is told when a batch is held back or a partition stops.', 100, [
      {
        name: 'on-call',
        type: 'webhook',
        url: 'https://hooks.example.com/headgate',
        secrets: ['${WEBHOOK_SECRET}'],
      },
    ]),
    memoryBytesMax: count(
      'Bytes of records that all open batches may hold together; at the limit, reading pauses. Columns, encoding and up to a quarter more, kept for the next batches, come on top.',
      134_217_728,
      1_048_576,
    ),
    drainTimeoutMs: count(
      'Longest time that a stop may take, in ms; what is not committed by then is read again.',
      30_000,
      100,
    ),
  },
  { additionalProperties: false },
);

/** A complete, checked configuration. */
export type Config = Static<typeof ConfigSchema>;
/** Parts of it. */
export type TopicConfig = Static<typeof Topic>;
export type KafkaConfig = Static<typeof Kafka>;
export type FilesConfig = Static<typeof Files>;
export type RuleConfig = TopicConfig['rules'][number];
export type ColumnConfig = NonNullable<TopicConfig['schema']>[number];
