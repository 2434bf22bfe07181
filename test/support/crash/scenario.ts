import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { CommandOutput } from '../cli.ts';

export const PIPELINE = 'shop';
const BATCH = 100;
const BATCHES = 12;
const REASON = ['--reason', 'as agreed'];

/** One command of a pipeline's life. */
export interface Act {
  readonly name: string;
  readonly args: readonly string[];
  /** What people or producers do before. */
  readonly prepare?: (folder: string) => Promise<void>;
  /** Exit code of a command that is not cut. */
  readonly code?: number;
  /** Whether a partition stands still when it has ended, so that not every record stands as it lies in its file. */
  readonly halts?: true;
  /** What of its answer does not depend on how far an earlier attempt came; null for all of it. */
  readonly told: readonly string[] | null;
}

const RUN = { args: ['run', '--once'], told: ['held', 'onHold', 'halted', 'damaged', 'unread', 'warnings'] } as const;
const PUBLISH = { args: ['publish', '--once'], told: RUN.told } as const;
const PULL = { args: ['pull', 'main', 'out'], told: ['files', 'records', 'complete'] } as const;

/** What `headgate init` is given, and where it is cut. */
export const INIT = ['init', '.', '--files', './*.ndjson', '--pipeline', PIPELINE];

/**
 * The life of a pipeline on files: history that waits for a baseline, a file with poison and a dead letter, what people decide
 * of it, a rollback, a rule that stops a partition, another schema.
 */
export const LIFE: readonly Act[] = [
  { name: 'first run', ...RUN },
  { name: 'learn', args: ['baseline', 'learn', ...REASON], told: null },
  { name: 'approve', args: ['baseline', 'approve', ...REASON], told: null },
  { name: 'first publish', ...PUBLISH },
  { name: 'second run', ...RUN, prepare: (folder) => writeFile(join(folder, 'data-2.ndjson'), poisoned()) },
  { name: 'first pull', ...PULL },
  { name: 'release', args: ['quarantine', 'release', 'file/shop/data-2.ndjson@300', ...REASON], told: null },
  { name: 'publish of a release', ...PUBLISH },
  { name: 'hold', args: ['hold', ...REASON], told: null },
  { name: 'resume', args: ['resume', ...REASON], told: null },
  { name: 'condemn', args: ['quarantine', 'condemn', 'file/shop/data-2.ndjson@0', ...REASON], told: null },
  { name: 'rollback', args: ['rollback', '--to', 'last-clean', ...REASON], told: null },
  { name: 'resume after a rollback', args: ['resume', ...REASON], told: null },
  { name: 'publish after a rollback', ...PUBLISH },
  { name: 'second pull', ...PULL },
  {
    name: 'run into a halt',
    ...RUN,
    prepare: (folder) => writeFile(join(folder, 'data-3.ndjson'), insane()),
    code: 5,
    halts: true,
  },
  { name: 'resume after a halt', args: ['resume', ...REASON], told: null, halts: true },
  { name: 'run after a halt', ...RUN },
  {
    name: 'run over a changed file',
    ...RUN,
    prepare: (folder) => writeFile(join(folder, 'data-2.ndjson'), poisoned().replace('Basel', 'Besel')),
    code: 5,
    halts: true,
  },
  {
    name: 'run after the file is restored',
    ...RUN,
    prepare: (folder) => writeFile(join(folder, 'data-2.ndjson'), poisoned()),
  },
  { name: 'schema pin', args: ['schema', 'pin', ...REASON], prepare: widenSchema, told: null },
];

/** Files that the life reads, in the order in which they come. */
export const FILES = ['data-1.ndjson', 'data-2.ndjson', 'data-3.ndjson'];

/** Writes the file that is there from the beginning. */
export function writeHistory(folder: string): Promise<void> {
  return writeFile(join(folder, FILES[0]!), orders(BATCHES, 1));
}

/** Settings under which twelve batches are history enough, and a rule that stops a partition. */
export async function configure(folder: string): Promise<void> {
  const halting = '  rules: [{ rule: range, column: amount, max: 100000, action: halt, name: sane amounts }]\n';
  await replaceInConfig(
    folder,
    '\nalerts:',
    `${halting}\nbatch: { recordsMax: ${BATCH} }\njudge: { recordsMin: ${BATCH / 2} }\nalerts:`,
  );
}

/** What a command answered that must not depend on whether an earlier attempt at it was cut. @param folder where it ran */
export function answerOf({ told }: Act, { code, stdout }: CommandOutput, folder: string): unknown {
  const line = stdout.trim().split('\n').at(-1)!;
  const last = line.replaceAll(folder, '.').replaceAll(/\b[0-9a-f]{8,64}\b/g, '#');
  const answer = (last.startsWith('{') ? JSON.parse(last) : { last }) as Record<string, unknown>;
  return { code, ...(told === null ? answer : Object.fromEntries(told.map((name) => [name, answer[name]]))) };
}

/** What the alerts of some processes are about; entries of the control log by their kind. */
export function alertsIn(...outputs: readonly CommandOutput[]): string[] {
  const lines = outputs.flatMap(({ stderr }) => stderr.split('\n')).filter((line) => line.startsWith('{"time"'));
  const about = lines.map((line) => {
    const { type, subject } = JSON.parse(line) as { type: string; subject: string };
    return subject.startsWith('control/') ? type : `${type} ${subject}`;
  });
  return [...new Set(about)].sort();
}

async function widenSchema(folder: string): Promise<void> {
  const columns = ['id, type: int64', 'amount, type: float64', 'city, type: string', 'note, type: string'];
  const schema = `  schema: [${columns.map((column) => `{ path: ${column} }`).join(', ')}]\n`;
  await replaceInConfig(folder, '  label:', `${schema}  label:`);
}

async function replaceInConfig(folder: string, from: string, to: string): Promise<void> {
  const path = join(folder, 'headgate.yaml');
  const text = await readFile(path, 'utf8');
  if (!text.includes(from)) throw new Error(`Cannot configure "${path}": it does not hold "${from}"`);
  await writeFile(path, text.replace(from, to));
}

interface Order {
  readonly id: number;
  readonly amount: number;
  readonly city: string;
}

/** Orders that look alike, one a line. @param change what becomes of order n of the file */
function orders(
  batches: number,
  seed: number,
  change: (n: number, order: Order) => unknown = (_, order) => order,
): string {
  return Array.from({ length: batches * BATCH }, (_, n) => {
    const id = 1_000_000 * seed + n;
    const order = change(n, { id, amount: (id * 7_919) % 1_000, city: ['Basel', 'Bern', 'Chur'][(id * 31) % 3]! });
    return `${typeof order === 'string' ? order : JSON.stringify(order)}\n`;
  }).join('');
}

/** Two batches of wrong amounts, and a record that does not decode. */
function poisoned(): string {
  return orders(BATCHES, 2, (n, order) => {
    if (n === 7 * BATCH + 40) return '{"id": 1';
    const batch = Math.floor(n / BATCH);
    if (batch === 3) return { ...order, amount: order.amount + 5_000 };
    return batch === 5 && n % 12 === 0 ? { ...order, amount: order.amount * 10 } : order;
  });
}

/** A batch with an amount that a rule stops its partition for, and one behind it. */
function insane(): string {
  return orders(2, 3, (n, order) => (n === 50 ? { ...order, amount: 900_000 } : order));
}
