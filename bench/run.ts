/**
 * `npm run bench`: the full path beside the floor, as ratios within one run, medians of alternating runs of whole
 * processes; then peak memory, and what decoding and detection cost. Writes docs/benchmarks.md when all of it was measured.
 *
 * Options: `--records N` (default 2,000,000) and `--runs N` (default 5), for a quick look that writes nothing; `--full` adds
 * 10,000,000 records to the memory table; `--kafka HOST:PORT` names a broker (default: the one that `npm run services --
 * start` has started).
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { deleteTopic, fillTopic, PARTITIONS, startedBroker } from './kafka-topic.ts';
import { writeOrders } from './orders.ts';
import { median, outputOf, runFloor, runPipeline, type Run } from './processes.ts';

const RECORDS_DEFAULT = '2000000';
const RUNS_DEFAULT = '5';
const HISTORY_RECORDS = 600_000;
const PAGE = 'docs/benchmarks.md';
const RESULTS_BEGIN = '<!-- results: written by `npm run bench -- --full` -->';

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: RECORDS_DEFAULT },
    runs: { type: 'string', default: RUNS_DEFAULT },
    full: { type: 'boolean', default: false },
    kafka: { type: 'string' },
  },
});

const lines: string[] = [];
function print(line: string): void {
  console.log(line);
  lines.push(line);
}

/** Full path by kind of source beside the floor. */
async function comparePaths(scratch: string, records: number, runs: number, broker: string): Promise<void> {
  const data = join(scratch, 'orders.ndjson');
  const history = join(scratch, 'history.ndjson');
  const empty = join(scratch, 'empty.ndjson');
  writeOrders(data, records);
  writeOrders(history, HISTORY_RECORDS);
  writeFileSync(empty, '');
  const topic = `bench-${process.pid}`;
  await fillTopic(broker, topic, records);
  const once =
    (source: readonly string[], from: string | null = null) =>
    (): Run =>
      runPipeline(scratch, source, from);
  const cases: [name: string, run: () => Run][] = [
    ['floor: read, JSON.parse, one SHA-256', () => runFloor(data, scratch)],
    ['files, no baseline', once(['--files', data, '--topics', 'orders'])],
    ['files, judged', once(['--files', data, '--topics', 'orders'], history)],
    [`Kafka, ${PARTITIONS} partitions, no baseline`, once(['--kafka', broker, '--topics', topic])],
    ['an empty file: start and end alone', once(['--files', empty, '--topics', 'orders'])],
  ];
  const measured = new Map(cases.map(([name]) => [name, [] as Run[]]));
  try {
    for (let i = 0; i < runs; i++) for (const [name, run] of cases) measured.get(name)!.push(run());
  } finally {
    await deleteTopic(broker, topic);
  }
  const floors = measured.get(cases[0]![0])!.map(({ seconds }) => seconds);
  print(
    `${count(records)} records of ${(statSync(data).size / records).toFixed(0)} bytes with the line break and 8 columns, batches of 50,000; medians of ${runs} alternating runs of whole processes.\n`,
  );
  print('| path | seconds | µs a record | records/s | × floor (lowest–highest run) | peak MiB |');
  print('| --- | --- | --- | --- | --- | --- |');
  for (const [name, all] of measured) {
    const seconds = median(all.map((run) => run.seconds));
    const ratios = all.map((run, i) => run.seconds / floors[i]!);
    const ratio = `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
    const perRecord = `${((seconds / records) * 1e6).toFixed(2)} | ${count(Math.round(records / seconds))}`;
    const peak = median(all.map((run) => run.peakMebibytes)).toFixed(0);
    print(
      `| ${name} | ${seconds.toFixed(2)} | ${name.startsWith('an empty') ? '– | –' : perRecord} | ${ratio} | ${peak} |`,
    );
  }
}

/** Peak memory of one pass must not grow with the number of records. */
function compareMemory(scratch: string, sizes: readonly number[]): void {
  print('\nPeak memory of one pass over files:\n');
  print('| records | peak MiB | × the smallest |\n| --- | --- | --- |');
  let smallest = 0;
  for (const size of sizes) {
    const data = join(scratch, `memory-${size}.ndjson`);
    writeOrders(data, size);
    const { peakMebibytes } = runPipeline(scratch, ['--files', data, '--topics', 'orders'], null);
    smallest ||= peakMebibytes;
    print(`| ${count(size)} | ${peakMebibytes.toFixed(0)} | ${(peakMebibytes / smallest).toFixed(2)} |`);
    rmSync(data);
  }
}

/** Replaces what the page holds below its marker. */
function writePage(): void {
  const page = readFileSync(PAGE, 'utf8');
  const at = page.indexOf(RESULTS_BEGIN);
  if (at === -1) throw new Error(`Cannot write ${PAGE}: it has no line ${RESULTS_BEGIN}`);
  writeFileSync(PAGE, `${page.slice(0, at)}${RESULTS_BEGIN}\n\n${lines.join('\n')}\n`);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

const broker = options.kafka ?? startedBroker();
if (broker === null)
  throw new Error(
    'Cannot measure the Kafka path: no broker is running (npm run services -- start, or --kafka HOST:PORT)',
  );
const scratch = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
try {
  const [cpu, ...more] = cpus();
  print(
    `Measured on ${more.length + 1} × ${cpu?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.versions.node}.\n`,
  );
  await comparePaths(scratch, Number(options.records), Number(options.runs), broker);
  compareMemory(scratch, options.full ? [100_000, 1_000_000, 10_000_000] : [100_000, 1_000_000]);
  for (const [title, script] of [
    ['Decoding alone (`node dist/bench/decode.js`):', 'decode'],
    ['Decoding what a broker sends (`node dist/bench/kafka-decode.js`):', 'kafka-decode'],
    ['Detection alone (`node dist/bench/detect.js`):', 'detect'],
  ] as const) {
    print(`\n${title}\n\n\`\`\`text\n${outputOf(script)}\n\`\`\``);
  }
  const isWhole = options.full && options.records === RECORDS_DEFAULT && options.runs === RUNS_DEFAULT;
  if (isWhole) writePage();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
