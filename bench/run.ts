/**
 * `npm run bench`: the full path beside the floor, as ratios within one run, medians of alternating runs.
 *
 * Options: `--records N` (default 400,000), `--runs N` (default 5), `--full` adds 10,000,000 records (memory), `--kafka
 * HOST:PORT` adds the Kafka path (default: the broker that `npm run services -- start` has started).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { CompressionTypes, Kafka, logLevel } from 'kafkajs';

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '400000' },
    runs: { type: 'string', default: '5' },
    full: { type: 'boolean', default: false },
    kafka: { type: 'string' },
  },
});
const RECORDS = Number(options.records);
const RUNS = Number(options.runs);
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const FLOOR = fileURLToPath(new URL('floor.js', import.meta.url));
const PARTITIONS = 4;

/** A record of 8 columns and about 147 bytes, like an order. */
function record(i: number): string {
  const noise = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  const at = new Date(1.7e12 + i * 40).toISOString();
  const city = ['Basel', 'Bern', 'Chur', 'Genf', 'Lugano'][noise % 5]!;
  return `{"id":${i},"at":"${at}","customer":${noise % 99_991},"amount":${((noise % 100_000) / 100).toFixed(2)},"items":${(noise % 9) + 1},"city":"${city}","express":${noise % 7 === 0},"score":${(noise / 2 ** 32).toFixed(6)}}`;
}

function writeRecords(path: string, count: number): void {
  const file = openSync(path, 'w');
  for (let i = 0; i < count; i += 10_000)
    writeSync(file, Array.from({ length: Math.min(10_000, count - i) }, (_, j) => `${record(i + j)}\n`).join(''));
  closeSync(file);
}

interface Run {
  readonly seconds: number;
  readonly peakMebibytes: number;
}

/** Wall-clock seconds and peak memory of a whole process. */
function time(command: string, args: readonly string[], cwd: string): Run {
  const started = process.hrtime.bigint();
  const timed = existsSync('/usr/bin/time');
  const run = spawnSync(timed ? '/usr/bin/time' : command, timed ? ['-f', '%M', command, ...args] : [...args], {
    cwd,
    encoding: 'utf8',
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (run.status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${run.status}\n${run.stdout}\n${run.stderr}`);
  return { seconds, peakMebibytes: timed ? Number(run.stderr.trim().split('\n').at(-1)) / 1_024 : Number.NaN };
}

/** One pass of the product over a fresh store, with a baseline in force if `history` is given. */
function pipeline(scratch: string, init: readonly string[], history: string | null): string {
  const folder = mkdtempSync(join(scratch, 'pipeline-'));
  const run = (...args: string[]): void =>
    void execFileSync(process.execPath, [MAIN, ...args], { cwd: folder, stdio: 'ignore' });
  run('init', '.', '--pipeline', 'bench', ...init);
  // The group remembers the last commit as a witness against rolled-back stores; each pass has a store of its own.
  const config = join(folder, 'headgate.yaml');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"headgate-bench"', JSON.stringify(folder)));
  if (history !== null) {
    run('baseline', 'learn', '--files', history, '--topic', 'orders');
    run('baseline', 'approve', '--topic', 'orders');
  }
  return folder;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function fillTopic(broker: string, topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0, turn = 0; i < RECORDS; i += 5_000, turn++) {
    const messages = Array.from({ length: Math.min(5_000, RECORDS - i) }, (_, j) => ({
      partition: turn % PARTITIONS,
      value: record(i + j),
    }));
    await producer.send({ topic, messages, compression: CompressionTypes.None });
  }
  await producer.disconnect();
}

function brokerOf(): string | null {
  if (options.kafka !== undefined) return options.kafka;
  try {
    const state = JSON.parse(readFileSync('.services/state.json', 'utf8')) as {
      addresses: { kafka?: { brokers: string[] } };
    };
    return state.addresses.kafka?.brokers[0] ?? null;
  } catch {
    return null;
  }
}

async function main(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
  try {
    const data = join(scratch, 'orders.ndjson');
    const history = join(scratch, 'history.ndjson');
    writeRecords(data, RECORDS);
    writeRecords(history, 600_000);
    const bytes = readFileSync(data).length / RECORDS;
    console.log(
      `${RECORDS.toLocaleString('en-US')} records of ${bytes.toFixed(0)} bytes and 8 columns, batches of 50,000, medians of ${RUNS} alternating runs, whole processes`,
    );
    const broker = brokerOf();
    const topic = `bench-${process.pid}`;
    if (broker !== null) await fillTopic(broker, topic);
    else console.log('no Kafka path: no broker is running (npm run services -- start, or --kafka HOST:PORT)');
    const once = (init: readonly string[], from: string | null) => (): Run => {
      const folder = pipeline(scratch, init, from);
      const run = time(process.execPath, [MAIN, 'run', '--once'], folder);
      rmSync(folder, { recursive: true });
      return run;
    };
    const files = ['--files', data, '--topics', 'orders'];
    const cases: [name: string, run: () => Run][] = [
      ['floor: read, JSON.parse, one SHA-256', () => time(process.execPath, [FLOOR, data], scratch)],
      ['files, no baseline', once(files, null)],
      ['files, judged', once(files, history)],
    ];
    if (broker !== null) cases.push(['Kafka, no baseline', once(['--kafka', broker, '--topics', topic], null)]);
    const runs = new Map(cases.map(([name]) => [name, [] as Run[]]));
    for (let i = 0; i < RUNS; i++) for (const [name, run] of cases) runs.get(name)!.push(run());
    const floor = median(runs.get(cases[0]![0])!.map(({ seconds }) => seconds));
    console.log('\n| path | µs a record | records/s | × floor | peak MiB |\n| --- | --- | --- | --- | --- |');
    for (const [name, all] of runs) {
      const seconds = median(all.map((run) => run.seconds));
      const peak = median(all.map((run) => run.peakMebibytes));
      console.log(
        `| ${name} | ${((seconds / RECORDS) * 1e6).toFixed(2)} | ${Math.round(RECORDS / seconds).toLocaleString('en-US')} | ${(seconds / floor).toFixed(2)} | ${peak.toFixed(0)} |`,
      );
    }
    memory(scratch, options.full ? [100_000, 1_000_000, 10_000_000] : [100_000, 1_000_000]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Peak memory of one pass must not grow with the number of records. */
function memory(scratch: string, sizes: readonly number[]): void {
  console.log('\n| records | peak MiB | × the smallest |\n| --- | --- | --- |');
  let first = 0;
  for (const size of sizes) {
    const data = join(scratch, `memory-${size}.ndjson`);
    writeRecords(data, size);
    const folder = pipeline(scratch, ['--files', data, '--topics', 'orders'], null);
    const { peakMebibytes } = time(process.execPath, [MAIN, 'run', '--once'], folder);
    first ||= peakMebibytes;
    console.log(
      `| ${size.toLocaleString('en-US')} | ${peakMebibytes.toFixed(0)} | ${(peakMebibytes / first).toFixed(2)} |`,
    );
    rmSync(data);
    rmSync(folder, { recursive: true });
  }
}

await main();
