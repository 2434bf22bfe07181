/**
 * `npm run sim`: the real ledger, consume loop, publisher and alert desk on simulated time, store, brokers and queue, with
 * faults; one seed is one run, the same to the byte each time.
 *
 * Options: `--seeds N` (default 500) from `--from S` (default 1) on, and `--drawn N` more that the commit and the day decide, in
 * `--jobs J` processes (default 2); `--record FILE` adds what each hundred seeds gave, or each planted bug, to a file, and goes on
 * where that ends. `--seed S` runs one, `--only NAMES` with nothing but these faults in it, `--trace` prints what happened.
 * `--controls` plants one bug of the protocol after the other and looks for the first seed that finds it: `--some N` only N of
 * them, which the commit and the day decide; `--docs` puts the table into docs/testing/simulator.md.
 */
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { runPart, type Part } from '../test/sim/part.ts';
import { PLANTED_BUGS, type PlantedBug } from '../test/sim/planted-bugs.ts';
import { hashText } from '../test/sim/rng.ts';
import { scenarioOf } from '../test/sim/scenario.ts';
import { Simulation } from '../test/sim/simulation.ts';

const PART_SEEDS = 100;
/** A planted bug must be found within so many seeds. */
const CONTROL_SEEDS = 1_000;
const OUTPUT_BYTES_MAX = 2 ** 26;

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    record: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    trace: { type: 'boolean', default: false },
    controls: { type: 'boolean', default: false },
    some: { type: 'string' },
    docs: { type: 'boolean', default: false },
    drawn: { type: 'string' },
    part: { type: 'string' },
  },
});

const DOCUMENT = 'docs/testing/simulator.md';
const TABLE = /(?<=<!-- controls -->\n)[^]*(?=<!-- \/controls -->)/;
/** Seeds that are drawn lie behind those that are counted. */
const DRAWN_FROM = 1_000_000;
const DRAWN_RANGE = 900_000_000;

const run = promisify(execFile);
const script = fileURLToPath(import.meta.url);
const root = dirname(dirname(dirname(script)));

/** A planted bug, the first seed that finds it and the promise that it breaks; null where none does. */
interface Control {
  readonly bug: string;
  readonly seed: number | null;
  readonly promise: string | null;
}

/** One part in a process of its own. @param firstFailure true to stop at the first. */
async function partOf(path: string, from: number, to: number, firstFailure: boolean): Promise<Part> {
  const args = [path, '--part', `${from}-${to}${firstFailure ? '!' : ''}`];
  const { stdout } = await run(process.execPath, args, { maxBuffer: OUTPUT_BYTES_MAX });
  return JSON.parse(stdout) as Part;
}

/** A number that is another one with every commit and every day. @returns with what it was drawn from */
async function draw(): Promise<{ readonly number: number; readonly drawnFrom: string }> {
  const commit = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root }).then(
    ({ stdout }) => stdout.trim(),
    () => 'no commit',
  );
  const drawnFrom = `${commit} on ${new Date().toISOString().slice(0, 10)}`;
  return { number: hashText(drawnFrom), drawnFrom };
}

async function runDrawn(seeds: number, jobs: number): Promise<boolean> {
  const { number, drawnFrom } = await draw();
  const from = DRAWN_FROM + (number % DRAWN_RANGE);
  console.log(`\nseeds ${from} to ${from + seeds - 1}, drawn from ${drawnFrom}`);
  return runSeeds(from, seeds, jobs, undefined);
}

async function runSeeds(from: number, seeds: number, jobs: number, record: string | undefined): Promise<boolean> {
  const lastOf = (at: number): number => Math.min(at + PART_SEEDS, from + seeds) - 1;
  const done = record !== undefined && existsSync(record) ? linesOf<Part>(record) : [];
  const known = new Set(done.filter((part) => part.to === lastOf(part.from)).map((part) => part.from));
  const waiting: number[] = [];
  for (let at = from; at < from + seeds; at += PART_SEEDS) if (!known.has(at)) waiting.push(at);
  const parts = [...done];
  const work = async (): Promise<void> => {
    for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
      const part = await partOf(script, at, lastOf(at), false);
      parts.push(part);
      if (record !== undefined) appendFileSync(record, `${JSON.stringify(part)}\n`);
      for (const { seed, message, happened } of part.failures)
        console.log(
          `seed ${seed}: ${message}\n  again: npm run sim -- --seed ${seed} --trace --only '${happened.join(',')}'`,
        );
      if (process.stderr.isTTY) process.stderr.write(`\r${sum(parts, ({ seeds: count }) => count)} seeds`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.log(tableOf(parts));
  return parts.every(({ failures }) => failures.length === 0);
}

/** What a file has a line of JSON for. */
function linesOf<Line>(record: string): Line[] {
  return readFileSync(record, 'utf8')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

function tableOf(parts: readonly Part[]): string {
  const rows: [name: string, value: number][] = [
    ['seeds', sum(parts, ({ seeds }) => seeds)],
    ['broken promises', sum(parts, ({ failures }) => failures.length)],
    ['faults and acts', sum(parts, ({ faults }) => faults)],
    ['events', sum(parts, ({ events }) => events)],
    ['simulated hours', Math.round(sum(parts, ({ simulatedMs }) => simulatedMs) / 3_600_000)],
    ['records', sum(parts, ({ records }) => records)],
    ['batches', sum(parts, ({ batches }) => batches)],
    ['snapshots', sum(parts, ({ snapshots }) => snapshots)],
    ['partitions halted by a rule', sum(parts, ({ halts }) => halts)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(28)} ${value.toLocaleString('en')}`).join('\n');
}

function sum(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((total, part) => total + of(part), 0);
}

async function runOne(seed: number, only: readonly string[] | null): Promise<boolean> {
  const simulation = new Simulation(scenarioOf(seed), only === null ? null : new Set(only));
  if (options.trace) simulation.world.trace.keep();
  const { violation, ...outcome } = await simulation.run();
  for (const line of simulation.world.trace.lines) console.log(line);
  console.log(JSON.stringify(outcome, null, 2));
  if (violation !== null) console.log(violation.stack);
  return violation === null;
}

/** Plants one bug after the other in a copy of the compiled code, and runs that. @param count how many; null = all */
async function runControls(count: number | null, isDocumented: boolean, record: string | undefined): Promise<boolean> {
  const { number, drawnFrom } = await draw();
  const bugs = PLANTED_BUGS.map((_, i) => PLANTED_BUGS[(i + number) % PLANTED_BUGS.length]!);
  const rows = record !== undefined && existsSync(record) ? linesOf<Control>(record) : [];
  const known = new Set(rows.map(({ bug }) => bug));
  for (const bug of (count === null ? PLANTED_BUGS : bugs.slice(0, count)).filter(({ name }) => !known.has(name))) {
    const first = await firstFailureOf(bug);
    const row = { bug: bug.name, seed: first?.seed ?? null, promise: first?.message.split(':', 1)[0] ?? null };
    console.log(`${row.seed === null ? 'NOT FOUND' : `seed ${row.seed} (${row.promise})`}: ${bug.name}`);
    rows.push(row);
    if (record !== undefined) appendFileSync(record, `${JSON.stringify(row)}\n`);
    if (isDocumented) document(rows, drawnFrom);
  }
  return rows.every(({ seed }) => seed !== null);
}

async function firstFailureOf(bug: PlantedBug): Promise<Part['failures'][number] | undefined> {
  const copy = plant(bug);
  try {
    return (await partOf(join(copy, 'dist/scripts/sim.js'), 1, CONTROL_SEEDS, true)).failures[0];
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function document(rows: readonly Control[], drawnFrom: string): void {
  const lines = rows.map(
    ({ bug, seed, promise }) => `| ${bug} | ${seed === null ? `not in ${CONTROL_SEEDS}` : `${seed} (${promise})`} |`,
  );
  const table = [
    '',
    `At commit ${drawnFrom}:`,
    '',
    '| Planted bug | First seed that finds it |',
    '| --- | --- |',
    ...lines,
    '',
  ];
  const path = join(root, DOCUMENT);
  const before = readFileSync(path, 'utf8');
  if (!TABLE.test(before)) throw new Error(`Cannot write the table: "${DOCUMENT}" has no place for it`);
  writeFileSync(
    path,
    before.replace(TABLE, () => `${table.join('\n')}\n`),
  );
}

/** @returns a folder with the compiled code, the bug in it. */
function plant({ name, edits }: PlantedBug): string {
  const copy = mkdtempSync(join(tmpdir(), 'headgate-planted-'));
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const path = join(copy, 'dist/src', file);
    const parts = readFileSync(path, 'utf8').split(find);
    if (parts.length !== 2)
      throw new Error(`Cannot plant "${name}": "${find}" stands ${parts.length - 1} times in ${file}, wanted once`);
    writeFileSync(path, parts.join(replace));
  }
  return copy;
}

/** @throws RangeError for anything but a whole number of at least 1 */
function numberOf(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RangeError(`Cannot simulate: --${name} is "${text}", wanted a whole number of at least 1`);
}

async function main(): Promise<boolean> {
  if (options.part !== undefined) {
    const [, from, to, stop] = /^(\d+)-(\d+)(!?)$/.exec(options.part) ?? [];
    const part = await runPart(Number(from), Number(to), stop === '!' ? 'first' : 'all');
    process.stdout.write(JSON.stringify(part));
    return true;
  }
  if (options.controls) {
    const count = options.some === undefined ? null : numberOf('some', options.some);
    return runControls(count, options.docs, options.record);
  }
  if (options.seed !== undefined) return runOne(numberOf('seed', options.seed), options.only?.split(',') ?? null);
  const [from, seeds, jobs] = (['from', 'seeds', 'jobs'] as const).map((name) => numberOf(name, options[name]));
  const isKept = await runSeeds(from!, seeds!, jobs!, options.record);
  if (options.drawn === undefined) return isKept;
  return (await runDrawn(numberOf('drawn', options.drawn), jobs!)) && isKept;
}

process.exitCode = (await main()) ? 0 : 1;
