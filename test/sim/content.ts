import { createCipheriv, createHash } from 'node:crypto';

import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import type { BatchEntry } from '../../src/ledger/partition-entry.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import type { Schema } from '../../src/record/schema.ts';
import type { ProducedRecord } from './produced.ts';
import { Violation } from './world.ts';

const LEAF_VERSION = 1;
const SALT_BYTES = 16;
const CREATE_TIME = 0;
const NO_KEY = 0xffff_ffff;

type Produced = ProducedRecord & { readonly offset: number };

/** The files that a batch's entry names, which hash to what it says. */
export interface BatchFiles {
  readonly data: Uint8Array | null;
  readonly deadLetters: Uint8Array | null;
}

/**
 * Holds what the files of a batch decode to against what producers wrote: the same records at the same offsets, to the byte,
 * each in one file; columns that say what the record says; and leaves and a root made here from the producers' records.
 * @param schema null where no record was decoded. @throws Violation I6
 */
export function assertContent(
  log: LogId,
  entry: BatchEntry,
  files: BatchFiles,
  produced: readonly Produced[],
  schema: Schema | null,
): void {
  const fail = (why: string): never => {
    throw new Violation('I6', `batch ${formatLogId(log)} [${entry.start}, ${entry.end}) ${why}`);
  };
  const [data, dead] = [rowsOf(files.data, schema), rowsOf(files.deadLetters, null)];
  if (dead.rows.length !== entry.deadLetterRecords)
    fail(`holds ${dead.rows.length} dead letters, its entry says ${entry.deadLetterRecords}`);
  const rows = [...data.rows, ...dead.rows].toSorted((a, b) => a.offset - b.offset);
  if (rows.length !== produced.length) fail(`holds ${rows.length} records, ${produced.length} were produced there`);
  if (rows.length === 0) return;
  const salts = createCipheriv('aes-256-ctr', data.batchKey ?? dead.batchKey!, Buffer.alloc(16)).update(
    Buffer.alloc(rows.length * SALT_BYTES),
  );
  const leaves = produced.map((record, i) => {
    const row = rows[i]!;
    const isSame = row.offset === record.offset && row.timestamp === record.timestamp && row.value.equals(record.value);
    if (!isSame) fail(`holds another record at offset ${row.offset} than was produced at ${record.offset}`);
    if (row.columns !== null) assertColumns(row.columns, record, schema!, fail);
    const leaf = leafOf(log, record, salts.subarray(i * SALT_BYTES, (i + 1) * SALT_BYTES));
    if (!leaf.equals(row.leaf)) fail(`has a leaf at offset ${record.offset} that is not that of its record`);
    return leaf;
  });
  if (rootOf(leaves).toString('hex') !== entry.root) fail('has a root that its records do not give');
}

interface Row {
  readonly offset: number;
  readonly timestamp: bigint;
  readonly value: Buffer;
  readonly leaf: Buffer;
  /** By name; null for a dead letter. */
  readonly columns: Readonly<Record<string, unknown>> | null;
}

/** @param schema null for a file of dead letters. */
function rowsOf(
  file: Uint8Array | null,
  schema: Schema | null,
): { readonly rows: Row[]; readonly batchKey: Buffer | null } {
  if (file === null) return { rows: [], batchKey: null };
  const { batch, metadata } = parquetFormat.decode(file, 'a batch file');
  const { batchKey } = JSON.parse(metadata.get('headgate')!) as { batchKey: string };
  const column = (name: string): readonly unknown[] => [...batch.getChild(name)!];
  const [offsets, timestamps, values, leaves] = ['_offset', '_timestamp', '_raw_value', '_leaf'].map(column);
  const user = schema?.columns.map(({ name }) => [name, column(name)] as const);
  const rows = offsets!.map((offset, i) => ({
    offset: Number(offset),
    timestamp: timestamps![i] as bigint,
    value: Buffer.from(values![i] as Uint8Array),
    leaf: Buffer.from(leaves![i] as Uint8Array),
    columns: user === undefined ? null : Object.fromEntries(user.map(([name, cells]) => [name, cells[i]])),
  }));
  return { rows, batchKey: Buffer.from(batchKey, 'hex') };
}

function assertColumns(
  columns: Readonly<Record<string, unknown>>,
  { value, offset }: Produced,
  schema: Schema,
  fail: (why: string) => never,
): void {
  const parsed = JSON.parse(value.toString('utf8')) as Record<string, unknown>;
  for (const { name, path, type } of schema.columns) {
    const told = parsed[path[0]!] ?? null;
    const wanted = told === null ? null : type === 'int64' ? BigInt(told as number) : told;
    if (columns[name] !== wanted) fail(`has ${String(columns[name])} as "${name}" of offset ${offset}`);
  }
}

/** Source: docs/formats.md; records here have neither key nor headers. */
function leafOf({ topic, partition }: LogId, { offset, timestamp, value }: Produced, salt: Buffer): Buffer {
  const meta = Buffer.alloc(8 + 8 + 1 + 4);
  meta.writeBigInt64BE(BigInt(offset), 0);
  meta.writeBigInt64BE(timestamp, 8);
  meta.writeUInt8(CREATE_TIME, 16);
  meta.writeUInt32BE(NO_KEY, 17);
  return createHash('sha256')
    .update(Buffer.from([0x00, LEAF_VERSION]))
    .update(salt)
    .update(counted(Buffer.from(topic)))
    .update(counted(Buffer.from(partition)))
    .update(meta)
    .update(counted(value))
    .update(Buffer.alloc(4))
    .digest();
}

function counted(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** Source: RFC 6962 §2.1. @param leaves at least one. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  let left = 1;
  while (2 * left < leaves.length) left *= 2;
  return createHash('sha256')
    .update(Buffer.from([0x01]))
    .update(rootOf(leaves.slice(0, left)))
    .update(rootOf(leaves.slice(left)))
    .digest();
}
