import Type, { type Static, type TObject, type TProperties, type TSchema } from 'typebox';

import { CSV_DELIMITERS } from '../record/csv.ts';

/** A group of settings that may be left out as a whole. */
const group = <Properties extends TProperties>(description: string, properties: Properties): TObject<Properties> =>
  Type.Object(properties, { additionalProperties: false, default: {}, description });

const text = (description: string, fallback?: string) =>
  Type.String({
    minLength: 1,
    maxLength: 4_096,
    description,
    ...(fallback === undefined ? {} : { default: fallback }),
  });
const flag = (description: string, fallback: boolean) => Type.Boolean({ description, default: fallback });
const count = (description: string, fallback: number, minimum = 1, maximum = Number.MAX_SAFE_INTEGER) =>
  Type.Integer({ description, default: fallback, minimum, maximum });
const choice = <const Values extends readonly string[]>(
  description: string,
  values: Values,
  fallback: Values[number],
) => Type.Enum(values as unknown as [Values[number], ...Values[number][]], { description, default: fallback });
const maybe = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description, default: null });
const list = <Schema extends TSchema>(schema: Schema, description: string, maxItems: number) =>
  Type.Array(schema, { description, default: [], maxItems });

const Store = group('Where everything is kept.', {
  url: text('A folder, or s3://bucket/prefix.', './store'),
  endpoint: maybe(Type.String({ pattern: '^https?://' }), 'Address of an S3-compatible server; null means AWS.'),
  region: text('Region of the bucket.', 'us-east-1'),
  forcePathStyle: flag('Address buckets as http://host/bucket; most S3-compatible servers need it.', false),
  kmsKeyId: maybe(Type.String({ minLength: 1 }), 'KMS key for server-side encryption; null leaves it to the bucket.'),
  requestTimeoutMs: count('Longest wait for one answer of the store, in ms.', 15_000, 100),
});

const Keys = group('Private keys of this machine (PEM, mode 600). A key that a command does not need may be missing.', {
  ingest: text('Signs what was read.', './keys/ingest.pem'),
  publisher: text('Signs what is published.', './keys/publisher.pem'),
  approver: text('Signs what a person decides.', './keys/approver.pem'),
  passphrase: maybe(Type.String({ minLength: 1 }), 'Passphrase of encrypted keys; give it as ${NAME} or ${file:PATH}.'),
});

const Csv = group('How CSV files are written.', {
  nullValues: Type.Array(Type.String({ maxLength: 100 }), {
    default: [''],
    maxItems: 100,
    description: 'Unquoted fields that mean null.',
  }),
  delimiter: choice('What stands between fields: , ; | or a tab ("\\t").', CSV_DELIMITERS, ','),
});

const Files = Type.Object(
  {
    topic: text('Name of the stream that the files make up.'),
    paths: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 10_000,
      description: 'Files, folders or globs; "-" is standard input. Read in the order of their paths.',
    }),
    format: choice('What the files hold.', ['ndjson', 'csv'], 'ndjson'),
    csv: Csv,
  },
  { additionalProperties: false, description: 'Read files.' },
);

const Tls = Type.Object(
  {
    ca: maybe(
      Type.String({ minLength: 1 }),
      'PEM of the certificate authority, as text or ${file:PATH}; null means the system’s.',
    ),
    cert: maybe(Type.String({ minLength: 1 }), 'PEM of the client certificate, for mutual TLS.'),
    key: maybe(Type.String({ minLength: 1 }), 'PEM of the client key, for mutual TLS.'),
    serverName: maybe(
      Type.String({ minLength: 1 }),
      'Name to expect in the broker’s certificate, if not its host name.',
    ),
  },
  {
    additionalProperties: false,
    description: 'Encrypt connections; {} is enough where the system trusts the broker’s authority.',
  },
);

const Sasl = Type.Object(
  {
    mechanism: Type.Enum(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'], { description: 'How to log in.' }),
    username: Type.Optional(Type.String({ minLength: 1 })),
    password: Type.Optional(Type.String({ minLength: 1, description: 'Give it as ${NAME} or ${file:PATH}.' })),
    tokenFile: Type.Optional(
      Type.String({ minLength: 1, description: 'oauthbearer: a file that always holds a fresh token.' }),
    ),
  },
  { additionalProperties: false, description: 'Log in to the brokers.' },
);

const Kafka = Type.Object(
  {
    brokers: Type.Array(Type.String({ pattern: '^[^\\s:]+:\\d+$' }), {
      minItems: 1,
      maxItems: 100,
      description: 'host:port of some brokers.',
    }),
    topics: Type.Array(Type.String({ minLength: 1, maxLength: 249 }), {
      minItems: 1,
      maxItems: 10_000,
      description: 'Topics to read.',
    }),
    group: text('Consumer group.', 'headgate'),
    clientId: text('Name that brokers see.', 'headgate'),
    start: Type.String({
      default: 'earliest',
      pattern: '^(earliest|latest|\\d{4}-\\d\\d-\\d\\dT.*)$',
      description: 'Where a partition seen for the first time begins: earliest, latest, or an ISO 8601 time.',
    }),
    onGap: choice(
      'What to do when records were deleted before they were read: halt and wait for a person, or continue with a signed gap.',
      ['halt', 'continue'],
      'halt',
    ),
    tls: maybe(Tls, 'Encrypt connections; null = plaintext.'),
    sasl: maybe(Sasl, 'Log in; null = not.'),
    sessionTimeoutMs: count('Brokers take partitions away after this silence, in ms.', 30_000, 6_000, 1_800_000),
    fetchBytesMax: count('Bytes of one fetch.', 10_485_760, 1_024),
    partitionBytesMax: count('Bytes of one fetch from one partition.', 1_048_576, 1_024),
    batchInflatedBytesMax: count(
      'Bytes that one compressed record batch may inflate to.',
      67_108_864,
      1_024,
      1_073_741_824,
    ),
  },
  { additionalProperties: false, description: 'Read Kafka.' },
);

const ColumnConfig = Type.Object(
  {
    path: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String(), { minItems: 1, maxItems: 64 })], {
      description: 'Field name, or the keys down to a nested field.',
    }),
    type: Type.Enum(['boolean', 'int64', 'float64', 'decimal', 'string', 'timestamp', 'json'], {
      description: 'How values are stored.',
    }),
    precision: Type.Optional(Type.Integer({ minimum: 1, maximum: 38 })),
    scale: Type.Optional(Type.Integer({ minimum: 0, maximum: 38 })),
    unit: Type.Optional(Type.Enum(['ms', 'us', 'ns'])),
  },
  { additionalProperties: false },
);

const Rule = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    rule: Type.Enum(['not_null', 'range', 'set', 'pattern', 'unique', 'row_count', 'freshness'], {
      description: 'What must hold.',
    }),
    column: Type.Optional(
      Type.String({ minLength: 1, description: 'Column it is about; row_count and freshness have none.' }),
    ),
    min: Type.Optional(Type.Number()),
    max: Type.Optional(Type.Number()),
    values: Type.Optional(Type.Array(Type.String(), { maxItems: 10_000 })),
    pattern: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
    maxAgeMs: Type.Optional(Type.Integer({ minimum: 1 })),
    maxShare: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: 'Share of rows that may break it; 0 by default.' }),
    ),
    action: Type.Enum(['observe', 'quarantine', 'halt'], {
      default: 'quarantine',
      description: 'What a broken rule does.',
    }),
  },
  { additionalProperties: false },
);

const Topic = Type.Object(
  {
    schema: maybe(
      Type.Array(ColumnConfig, { minItems: 1, maxItems: 2_048 }),
      'Columns; null = infer them from the first records, then pin them.',
    ),
    label: maybe(Type.String({ minLength: 1 }), 'Column that a model learns to predict.'),
    source: maybe(Type.String({ minLength: 1 }), 'Column that says who sent a record.'),
    time: maybe(Type.String({ minLength: 1 }), 'Column that says when a record happened.'),
    rules: list(Rule, 'Rules that every batch must keep.', 1_000),
    alertColumns: list(
      Type.String({ minLength: 1 }),
      'Columns whose values may appear in alerts; none by default.',
      2_048,
    ),
  },
  { additionalProperties: false, default: {} },
);

const AlertChannelConfig = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9_-]{0,63}$',
      description: 'Name of the channel in receipts and messages.',
    }),
    type: Type.Enum(['console', 'webhook']),
    url: Type.Optional(Type.String({ minLength: 1, description: 'https address of a webhook.' })),
    secrets: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        maxItems: 4,
        description: 'Signing secrets (whsec_…); several while rotating.',
      }),
    ),
    allowPrivate: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        maxItems: 100,
        description: 'Hosts or CIDR ranges that may be private or plain http.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** The configuration file. One schema gives types, validation, defaults, docs and the JSON Schema for editors. */
export const ConfigSchema = Type.Object(
  {
    pipeline: text('Name of the pipeline; first part of every key in the store.'),
    deployment: text('Id of this deployment, made by headgate init; two deployments must not share a pipeline.'),
    mode: choice(
      'enforce publishes clean and released batches only; observe publishes all and counts what would have been held.',
      ['observe', 'enforce'],
      'enforce',
    ),
    store: Store,
    trust: text('Trust root: the public keys that are believed.', './trust.json'),
    keys: Keys,
    source: group('Where records come from: exactly one of files and kafka.', {
      files: maybe(Files, 'Read files.'),
      kafka: maybe(Kafka, 'Read Kafka.'),
    }),
    topicDefaults: Topic,
    topics: Type.Record(Type.String(), Type.Partial(Topic, { additionalProperties: false }), {
      default: {},
      description: 'Settings of single topics, laid over topicDefaults.',
    }),
    batch: group('When a batch is full.', {
      recordsMax: count('Records.', 50_000, 1, 1_000_000),
      bytesMax: count('Bytes of keys, values and headers.', 67_108_864, 1_024, 268_435_456),
      ageMaxMs: count('Wall-clock time since the first record, in ms.', 60_000, 10),
      recordTimeMaxMs: maybe(
        Type.Integer({ minimum: 1_000 }),
        'Span of record timestamps in one batch, in ms; null = no such rule.',
      ),
      recordBytesMax: count('Longer records become dead letters, in bytes.', 16_777_216, 1, 268_435_456),
    }),
    judge: group('How batches are judged.', {
      recordsMin: count('Batches with fewer records are judged together by the publisher.', 500, 0),
      falseAlarmBudget: Type.Number({
        exclusiveMinimum: 0,
        maximum: 0.5,
        default: 0.001,
        description: 'Share of clean batches that may be called suspect.',
      }),
    }),
    publish: group('How snapshots are made.', {
      ref: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,99}$', default: 'main', description: 'Ref that moves.' }),
      intervalMs: count('Pause between looks for new batches, in ms.', 5_000, 10),
      fullWalkIntervalMs: count('Pause between looks at every log, whatever the hints say, in ms.', 600_000, 1_000),
    }),
    queue: group('Where alert jobs wait.', {
      url: maybe(Type.String({ pattern: '^rediss?://' }), 'redis:// or rediss:// address; null = inside the process.'),
      attemptsMax: count('Tries of one delivery before the reconciler takes over.', 10),
    }),
    alerts: list(AlertChannelConfig, 'Who is told.', 100),
    memoryBytesMax: count(
      'Bytes of records that all open batches together may hold; reading pauses above.',
      134_217_728,
      1_048_576,
    ),
    drainTimeoutMs: count('Longest time a stop may take, in ms.', 30_000, 100),
  },
  { additionalProperties: false },
);

/** A complete, checked configuration. */
export type Config = Static<typeof ConfigSchema>;
export type TopicConfig = Static<typeof Topic>;
export type KafkaConfig = Static<typeof Kafka>;
export type FilesConfig = Static<typeof Files>;
export type RuleConfig = Static<typeof Rule>;
