import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { columnName, type Column } from '../../src/record/schema.ts';
import { TestPipeline } from '../support/pipeline.ts';
import { testKafka } from '../support/producer.ts';
import {
  DEAD,
  EDGE_COLUMNS,
  csvDead,
  csvField,
  csvRows,
  edgeLines,
  joined,
  kafkaRecords,
  largeLines,
  plain,
  type Line,
  type Sent,
  type Typed,
} from '../support/reader-records.ts';
import { kafkaBrokers, pythonPath } from '../support/services.ts';

const READERS = fileURLToPath(new URL('../support/readers.py', import.meta.url));
const FORMATS_PAGE = fileURLToPath(new URL('../../docs/formats.md', import.meta.url));
const ORACLE = fileURLToPath(new URL('../support/oracle.py', import.meta.url));

interface Report {
  readonly faults: readonly string[];
  readonly batches: number;
  readonly emptyBatches: number;
  readonly files: number;
  readonly rowGroups: number;
  readonly rows: number;
  readonly deadLetters: number;
  readonly pulledRows?: number;
  /** Values and nulls of each column. */
  readonly columns: Readonly<Record<string, readonly [values: number, nulls: number]>>;
  /** Type of each column as both readers name it. */
  readonly types: Readonly<Record<string, readonly [arrow: string, duckdb: string]>>;
}

interface TopicSpec {
  readonly format: 'json' | 'csv';
  readonly columns: readonly Column[];
  readonly delimiter?: string;
  readonly nullValues?: readonly string[];
  /** Fields of each file by its partition. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

const python = async (args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(pythonPath(), args, { maxBuffer: 1 << 26 })).stdout;

const named = (columns: readonly Typed[]): Column[] =>
  columns.map((column) => ({ name: columnName(column.path), ...column }));

/** The records of a file in its order. */
const sentFrom = (topic: string, partition: string, lines: readonly Line[]): Sent[] =>
  lines.map(([bytes, reason], offset) => ({
    topic,
    partition,
    offset,
    value: bytes.toString('base64'),
    key: null,
    headers: [],
    timestamp: 0,
    timestampType: 2,
    reason,
  }));

/** Has both readers compare a pipeline's store with what was sent; leaves and roots are for the oracle. */
async function check(
  { folder }: TestPipeline,
  sent: readonly Sent[] | string,
  topics: Readonly<Record<string, TopicSpec>>,
  pulled?: string,
): Promise<Report> {
  const store = ['--store', join(folder, 'store'), '--pipeline', 'lake'];
  const sentFile = typeof sent === 'string' ? sent : join(folder, 'sent.jsonl');
  if (typeof sent !== 'string') await writeFile(sentFile, sent.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const spec = join(folder, 'spec.json');
  await writeFile(spec, JSON.stringify({ sent: sentFile, topics }));
  expect(JSON.parse(await python([ORACLE, ...store]))).toMatchObject({ badRoots: 0, badChains: 0, badDigests: 0 });
  const more = pulled === undefined ? [] : ['--pulled', join(folder, pulled)];
  return JSON.parse(await python([READERS, 'check', ...store, '--spec', spec, ...more])) as Report;
}

const settings = (columns: readonly Typed[], batch: string): string =>
  `mode: observe\nbatch: ${batch}\ntopicDefaults: { schema: ${JSON.stringify(columns)} }\n`;

async function open(init: readonly string[], more: string): Promise<TestPipeline> {
  const pipeline = await TestPipeline.open([...init, '--pipeline', 'lake', '--topics', 'rows']);
  await pipeline.configure(more);
  return pipeline;
}

/** Sets another source; `configure` cannot, since the generated file has one. */
async function replaceSource({ folder }: TestPipeline, source: string): Promise<void> {
  const path = join(folder, 'headgate.yaml');
  await writeFile(path, (await readFile(path, 'utf8')).replace(/^source:\n(?: .*\n)+/m, `${source}\n`));
}

/** What docs/formats.md says that a column becomes. */
async function documentedTypes(): Promise<(column: Column) => string[] | undefined> {
  const rows = [
    ...(await readFile(FORMATS_PAGE, 'utf8')).matchAll(/^\| `(\w+)`(?: in (\w+))? \| `([^`]+)` \| `([^`]+)` \|/gm),
  ];
  const types = new Map(rows.map(([, type, unit, ...both]) => [`${type} ${unit ?? ''}`, both]));
  return ({ type, unit = '', precision, scale }) =>
    types
      .get(`${type} ${unit}`)
      ?.map((name) => name.replace(/\bp\b/, String(precision)).replace(/\bs\b/, String(scale)));
}

describe('pyarrow and DuckDB', () => {
  it('read every column type at its edges, dead letters, and batches of nothing else, as the producer wrote them', async () => {
    const batch = '{ recordsMax: 16, recordBytesMax: 200000 }';
    const pipeline = await open(['--files', '*.ndjson'], settings(EDGE_COLUMNS, batch));
    const rows = edgeLines();
    const mixed = rows.flatMap((line, i) => [line, ...DEAD.slice(3 * i, 3 * i + 3)]);
    await writeFile(join(pipeline.folder, 'mixed.ndjson'), joined(mixed));
    await writeFile(join(pipeline.folder, 'dead.ndjson'), joined(DEAD));
    const sent = [...sentFrom('rows', 'mixed.ndjson', mixed), ...sentFrom('rows', 'dead.ndjson', DEAD)];
    expect(await pipeline.json('run', '--once')).toMatchObject({ records: sent.length, deadLetters: 2 * DEAD.length });
    await pipeline.json('pull', 'main', 'out');
    const topics = { rows: { format: 'json', columns: named(EDGE_COLUMNS) } } as const;
    const report = await check(pipeline, sent, topics, 'out');
    expect(report.faults).toEqual([]);
    const emptyBatches = Math.ceil(DEAD.length / 16);
    const batches = Math.ceil(mixed.length / 16) + emptyBatches;
    expect(report).toMatchObject({ batches, emptyBatches, rows: rows.length, deadLetters: 2 * DEAD.length });
    expect(report.pulledRows).toBe(rows.length);
    expect(report.rowGroups).toBe(report.files);
    const { columns } = report;
    expect(Object.keys(columns)).toEqual(expect.arrayContaining(named(EDGE_COLUMNS).map(({ name }) => name)));
    // Each column had values and nulls but those that are there to have none.
    for (const { name, path } of named(EDGE_COLUMNS)) {
      const [values, nulls] = columns[name]!;
      expect(nulls, name).toBeGreaterThan(0);
      expect(values > 0, name).toBe(!['always null', 'never there'].includes(path[0]!));
    }
    expect(columns['user_leaf']).toBeDefined();
    expect(columns['_reason']).toEqual([2 * DEAD.length, 0]);
    const documented = await documentedTypes();
    for (const column of named(EDGE_COLUMNS))
      expect(report.types[column.name], column.name).toEqual(documented(column));
  }, 60_000);

  it('read a batch of many pages, in one row group, as the producer wrote it', async () => {
    const count = 20_000;
    const pipeline = await open(['--files', '*.ndjson'], settings(EDGE_COLUMNS, '{ recordsMax: 50000 }'));
    const lines = largeLines(count);
    await writeFile(join(pipeline.folder, 'large.ndjson'), joined(lines));
    expect(await pipeline.json('run', '--once')).toMatchObject({ records: count, batches: 1, deadLetters: 0 });
    const topics = { rows: { format: 'json', columns: named(EDGE_COLUMNS) } } as const;
    const report = await check(pipeline, sentFrom('rows', 'large.ndjson', lines), topics);
    expect(report.faults).toEqual([]);
    expect(report).toMatchObject({ batches: 1, files: 1, rowGroups: 1, rows: count });
    for (const name of ['int', 'float', 'text', 'nested'])
      expect(Math.min(...report.columns[name]!), name).toBeGreaterThan(400);
  }, 120_000);

  it('read CSV with quotes, line breaks, nulls, other orders of fields and missing ones as it was written', async () => {
    const columns = EDGE_COLUMNS.filter(({ path }) => path.length === 1);
    const source =
      'source: { files: { topic: rows, paths: ["*.csv"], format: csv, csv: { delimiter: ";", nullValues: ["", "NA"] } } }';
    const pipeline = await open(['--files', '*.csv', '--csv'], settings(columns, '{ recordsMax: 16 }'));
    await replaceSource(pipeline, source);
    const names = columns.map(({ path }) => path[0]!);
    const files = {
      // As spreadsheets write it.
      'a.csv': { names, mark: '\ufeff', lineBreak: '\r\n', force: true },
      'b.csv': { names: ['no column', ...names.slice(2).toReversed()], mark: '', lineBreak: '\n', force: false },
    };
    const sent: Sent[] = [];
    for (const [name, { names: header, mark, lineBreak, force }] of Object.entries(files)) {
      const rows = csvRows(header, force);
      const lines = [...rows, ...csvDead(header)];
      const head = Buffer.from(`${mark}${header.map((field) => csvField(field, true)).join(';')}${lineBreak}`);
      await writeFile(join(pipeline.folder, name), Buffer.concat([head, joined(lines, lineBreak)]));
      sent.push(...sentFrom('rows', name, lines));
    }
    const deadLetters = sent.filter(({ reason }) => reason !== null).length;
    expect(await pipeline.json('run', '--once')).toMatchObject({ records: sent.length, deadLetters });
    const headers = Object.fromEntries(Object.entries(files).map(([name, { names: header }]) => [name, header]));
    const csv = { format: 'csv', columns: named(columns), delimiter: ';', nullValues: ['', 'NA'], headers } as const;
    const report = await check(pipeline, sent, { rows: csv });
    expect(report.faults).toEqual([]);
    expect(report).toMatchObject({ rows: sent.length - deadLetters, deadLetters });
    for (const name of ['int', 'float', 'text', 'nested', 'time ns', 'flag'])
      expect(Math.min(...report.columns[name]!), name).toBeGreaterThan(3);
  }, 60_000);

  it('read what Kafka adds to a record: keys, headers, both kinds of timestamps, tombstones', async () => {
    const topics = { created: 'CreateTime', appended: 'LogAppendTime' };
    const suffix = randomUUID().slice(0, 8);
    const nameOf = (topic: string): string => `readers-${topic}-${suffix}`;
    const admin = testKafka().admin();
    await admin.connect();
    await admin.createTopics({
      topics: Object.entries(topics).map(([topic, type]) => ({
        topic: nameOf(topic),
        numPartitions: 2,
        configEntries: [
          { name: 'message.timestamp.type', value: type },
          { name: 'message.timestamp.after.max.ms', value: String(2n ** 63n - 1n) },
        ],
      })),
      waitForLeaders: true,
    });
    await admin.disconnect();
    const columns: Typed[] = [{ path: ['n'], type: 'int64' }];
    const names = Object.keys(topics).map(nameOf);
    const pipeline = await TestPipeline.open([
      '--kafka',
      ...kafkaBrokers(),
      '--topics',
      ...names,
      '--pipeline',
      'lake',
    ]);
    await pipeline.configure(settings(columns, '{ recordsMax: 7 }'));
    const sent: string[] = [];
    for (const topic of names) {
      const path = join(pipeline.folder, `${topic}.jsonl`);
      await writeFile(
        path,
        kafkaRecords()
          .map((each) => `${JSON.stringify(each)}\n`)
          .join(''),
      );
      await python([READERS, 'send', '--brokers', kafkaBrokers().join(','), '--topic', topic, '--sent', path]);
      sent.push(await readFile(path, 'utf8'));
    }
    const sentFile = join(pipeline.folder, 'sent.jsonl');
    await writeFile(sentFile, sent.join(''));
    const all = sent
      .join('')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Sent);
    expect(new Set(all.map(({ timestampType }) => timestampType))).toEqual(new Set([0, 1]));
    const dead = all.filter(({ reason }) => reason !== null).length;
    expect(await pipeline.json('run', '--once')).toMatchObject({ records: all.length, deadLetters: dead });
    const spec = { format: 'json', columns: named(columns) } as const;
    const report = await check(pipeline, sentFile, Object.fromEntries(names.map((name) => [name, spec])));
    expect(report.faults).toEqual([]);
    expect(report).toMatchObject({ rows: all.length - dead, deadLetters: dead });
    for (const name of ['_raw_key', '_raw_value']) expect(Math.min(...report.columns[name]!), name).toBeGreaterThan(3);
  }, 60_000);

  it('read the types that a schema is given when none is configured', async () => {
    const pipeline = await open(['--files', '*.ndjson'], 'mode: observe');
    const members: readonly (readonly [column: Typed, values: readonly string[]])[] = [
      [{ path: ['whole'], type: 'int64' }, ['1', '9223372036854775807', 'null']],
      [{ path: ['real'], type: 'float64' }, ['1', '2.5e-300', '-0.0']],
      [{ path: ['exact'], type: 'decimal', precision: 38, scale: 2 }, ['1.25', '12345678901234567890.5', '3']],
      [{ path: ['day'], type: 'timestamp', unit: 'ms' }, ['"2026-02-28"', 'null', '"0001-01-01"']],
      [{ path: ['instant'], type: 'timestamp', unit: 'us' }, ['"2026-02-28T01:02:03.000001Z"', '"2026-02-28"', 'null']],
      [{ path: ['fine'], type: 'timestamp', unit: 'ns' }, ['"2026-02-28T01:02:03.000000001+01:00"', 'null', 'null']],
      [{ path: ['yes'], type: 'boolean' }, ['true', 'false', 'null']],
      [{ path: ['word'], type: 'string' }, ['"2026-02-28"', '"x"', '""']],
      [{ path: ['any'], type: 'json' }, ['[1,  2]', '"x"', '{"a":1.0}']],
      [{ path: ['none'], type: 'string' }, ['null', 'null', 'null']],
    ];
    const lines = [0, 1, 2].map((row) =>
      plain(`{${members.map(([{ path }, values]) => `${JSON.stringify(path[0])}:${values[row]}`).join(',')}}`),
    );
    await writeFile(join(pipeline.folder, 'rows.ndjson'), joined(lines));
    await pipeline.json('run', '--once');
    const columns = named(members.map(([column]) => column));
    const report = await check(pipeline, sentFrom('rows', 'rows.ndjson', lines), { rows: { format: 'json', columns } });
    expect(report.faults).toEqual([]);
    expect(report).toMatchObject({ batches: 1, rows: 3 });
  }, 60_000);
});
