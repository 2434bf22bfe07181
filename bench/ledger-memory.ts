/**
 * Peak memory of the commands that go over a whole ledger: whole processes on ledgers in a disk store, of real signed entries
 * with small files. Prints the table of docs/operating/gate.md.
 *
 * Run: npm run build && node dist/bench/ledger-memory.js
 * With --tight, the commands go over the last ledger again with a heap so small that they must not keep what they need not;
 * collecting garbage all the time, that takes minutes.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { MemoryStore } from '../src/adapters/memory/store.ts';
import { BYTES_MAX } from '../src/ledger/layout.ts';
import { keysOf, never, partition, TestLedger } from '../test/support/ledger.ts';
import { runHeadgate } from './processes.ts';

/** How many partitions, and how many batches in each. */
const LEDGERS: readonly (readonly [partitions: number, batches: number])[] = [
  [1, 200],
  [2_000, 3],
  [2, 5_000],
];
const RECORDS = 10;
const COMMANDS: readonly (readonly [command: string, ...options: string[]])[] = [
  ['gate', 'main'],
  ['pull', 'main', 'pulled'],
  ['verify'],
  ['verify', '--deep'],
];
/** Heaps, in MB, with which the commands pass over the last ledger all the same: for --tight. */
const HEAPS: Readonly<Record<string, number>> = { gate: 28, pull: 40, verify: 28 };

/** Fills a ledger through the code that does it for real, and lays it into `folder` with a configuration beside it. */
async function fill(folder: string, partitions: number, batches: number): Promise<void> {
  // In memory first: a disk store waits for the disk at every object, which is not what is measured here.
  const store = new MemoryStore();
  const ledger = await TestLedger.open({ store });
  for (let i = 0; i < partitions; i++)
    for (let j = 0; j < batches; j++) await ledger.commit(partition(i), { values: ordersOf(i * batches + j) });
  await ledger.publisher().publish(never);
  for (const key of await keysOf(store)) {
    const path = join(folder, 'store', key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, (await store.get(key, BYTES_MAX.data))!);
  }
  const { document } = ledger.trust;
  writeFileSync(join(folder, 'trust.json'), JSON.stringify(document));
  writeFileSync(
    join(folder, 'headgate.yaml'),
    `pipeline: ${document.pipeline}\ndeployment: here\nstore: { url: ./store }\nsource: { files: { topic: orders, paths: [./none.ndjson] } }\n`,
  );
}

function ordersOf(batch: number): string[] {
  return Array.from({ length: RECORDS }, (_, i) => {
    const id = batch * RECORDS + i;
    return JSON.stringify({
      id,
      amount: (Math.imul(id + 1, 0x9e3779b1) >>> 0) / 1e6,
      city: ['Basel', 'Bern', null][id % 3],
    });
  });
}

/** Peaks of the commands, in MiB. */
async function measure(scratch: string, partitions: number, batches: number, isTight: boolean): Promise<string[]> {
  const folder = mkdtempSync(join(scratch, 'ledger-'));
  const started = performance.now();
  await fill(folder, partitions, batches);
  const filled = performance.now();
  const peaks = COMMANDS.map((command) => runHeadgate(folder, command).peakMebibytes.toFixed(0));
  for (const [command, megabytes] of isTight ? Object.entries(HEAPS) : []) {
    rmSync(join(folder, 'pulled'), { recursive: true, force: true });
    runHeadgate(
      folder,
      COMMANDS.find(([each]) => each === command)!,
      `--max-old-space-size=${megabytes}`,
    );
    console.error(`${command} passes over ${partitions * batches} batches with a heap of ${megabytes} MB`);
  }
  const seconds = (from: number, to: number): string => ((to - from) / 1_000).toFixed(0);
  console.error(
    `${name(partitions, batches)}: ${seconds(started, filled)} s to fill, ${seconds(filled, performance.now())} s to go over it`,
  );
  rmSync(folder, { recursive: true });
  return peaks;
}

function name(partitions: number, batches: number): string {
  const count = batches.toLocaleString('en-US');
  return partitions === 1 ? `${count} batches` : `${partitions.toLocaleString('en-US')} partitions × ${count} batches`;
}

const { tight } = parseArgs({ options: { tight: { type: 'boolean', default: false } } }).values;
const scratch = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
try {
  const empty = runHeadgate(scratch, ['--version']).peakMebibytes.toFixed(0);
  const columns: string[][] = [];
  for (const [i, [partitions, batches]] of LEDGERS.entries())
    columns.push(await measure(scratch, partitions, batches, tight && i === LEDGERS.length - 1));
  console.log(`Node ${process.versions.node}; a command that does nothing: ${empty} MiB\n`);
  console.log(`| | ${LEDGERS.map(([partitions, batches]) => name(partitions, batches)).join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(LEDGERS.length)}`);
  for (const [i, command] of COMMANDS.entries()) {
    const shown = command.filter((word) => word.startsWith('-') || word === command[0]).join(' ');
    console.log(`| \`${shown}\` | ${columns.map((peaks) => `${peaks[i]} MiB`).join(' | ')} |`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
