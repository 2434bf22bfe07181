import Type from 'typebox';

import { CSV_DELIMITERS } from '../record/csv.ts';
import { block, choice, count, group, maybe, mustChoose, someOf, text } from './nodes.ts';

const Csv = group(
  'How CSV files are written. The first line of each file names its fields; files may differ in order and set.',
  {
    delimiter: choice('What stands between two fields.', CSV_DELIMITERS),
    nullValues: Type.Array(Type.String({ maxLength: 100 }), {
      default: [''],
      maxItems: 100,
      description: 'Fields without quotes that mean null.',
    }),
  },
);

/** Settings of a source of files. */
export const Files = block('Read files.', {
  topic: text('Name of the stream that the files make up.', { examples: ['flights'] }),
  paths: someOf(
    Type.String({ minLength: 1, maxLength: 4_096 }),
    'Files, folders (with all that is below them) and globs, read in the order of their paths; "-" is standard input. A ' +
      'file may grow, but what was read of it must not change. Files whose name begins with a dot are left out: write new ' +
      'files under such a name, then rename them. Paths that take in the keys, the trust root, this file or the store are ' +
      'refused.',
    10_000,
    [['./data/*.ndjson']],
  ),
  format: choice('What the files hold: a JSON object a line, or comma-separated values.', ['ndjson', 'csv']),
  csv: Csv,
});

const Tls = block('Encrypt connections; {} is enough where the system trusts the authority of the brokers.', {
  ca: maybe(
    text('', { maxLength: 1_048_576, examples: ['${file:./ca.pem}'] }),
    'Certificates of the authority (PEM); null = those that the system trusts.',
  ),
  cert: maybe(
    text('', { maxLength: 1_048_576, examples: ['${file:./client.pem}'] }),
    'Certificate of this client (PEM), where brokers ask for one.',
  ),
  key: maybe(
    text('', { maxLength: 1_048_576, examples: ['${file:./client-key.pem}'], writeOnly: true }),
    'Private key of that certificate (PEM).',
  ),
  serverName: maybe(
    text('', { examples: ['kafka.example.com'] }),
    'Name in the certificate of the brokers, if it is not their host name.',
  ),
});

const Sasl = block('Log in to the brokers.', {
  mechanism: mustChoose('How to log in.', ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']),
  username: Type.Optional(text('Name of the user; oauthbearer has none.', { examples: ['headgate'] })),
  password: Type.Optional(
    text('Password; oauthbearer has none.', { examples: ['${KAFKA_PASSWORD}'], writeOnly: true }),
  ),
  tokenFile: Type.Optional(
    text('oauthbearer only: a file in which there is always a fresh token.', { examples: ['/run/secrets/token'] }),
  ),
});

/** Settings of a source of Kafka topics. */
export const Kafka = block('Read Kafka.', {
  brokers: someOf(
    Type.String({ pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/@]+):\\d{1,5}$', examples: ['kafka-1:9092'] }),
    'Some of the brokers, as host:port; the rest is found through them.',
    100,
    [['kafka-1:9092']],
  ),
  topics: someOf(Type.String({ minLength: 1, maxLength: 249 }), 'Topics to read, each once.', 10_000, [['orders']]),
  group: text('Consumer group. Processes of one group share the partitions.', { default: 'headgate' }),
  clientId: text('Name under which brokers know this process.', { default: 'headgate' }),
  start: Type.String({
    default: 'earliest',
    pattern: '^(earliest|latest|\\d{4}-\\d\\d-\\d\\dT.*)$',
    examples: ['earliest', 'latest', '2026-01-31T00:00:00Z'],
    description:
      'Where a topic begins that is read for the first time: earliest, latest, or the first record since a time (ISO 8601).',
  }),
  onGap: choice(
    'What to do when records were deleted before they were read: halt until a person decides, or continue and sign the gap.',
    ['halt', 'continue'],
  ),
  tls: maybe(Tls, 'Encrypt connections; null = plaintext.'),
  sasl: maybe(Sasl, 'Log in to the brokers; null = not at all.'),
  sessionTimeoutMs: count(
    'Silence after which brokers give the partitions of a process to others, in ms.',
    30_000,
    6_000,
    1_800_000,
  ),
  fetchBytesMax: count('Bytes of one answer of a broker.', 10_485_760, 1_024),
  partitionBytesMax: count(
    'Bytes of one partition in such an answer; a larger record batch still comes whole.',
    1_048_576,
    1_024,
  ),
  batchInflatedBytesMax: count(
    'Bytes that one compressed record batch may inflate to; a larger one halts its partition.',
    67_108_864,
    1_024,
    1_073_741_824,
  ),
});
