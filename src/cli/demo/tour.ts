import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { makeLocalFolder } from '../../compose/local-folder.ts';
import { NotFoundError } from '../../errors.ts';
import { calledAs, shellWord } from '../called-as.ts';
import { CONFIG_NAME, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { ATTACKS, seededRandom, type Attack, type Flight } from './attacks.ts';

const BATCH = 1_000;
/** Share of the flights that the gate learns from. */
const LEARN_BATCHES = 13;
const STREAM_BATCHES = 7;
const SEED = 20_131_004;
/** As the user's own command ran it, so that the steps tell further commands in the same way. */
const MAIN = process.argv[1] ?? fileURLToPath(new URL('../main.js', import.meta.url));

/** Runs the tour in an empty folder; every step is a command that a user could type there, run as it stands. */
export async function runDemo(context: CommandContext, folder: string): Promise<CommandResult> {
  const tour = new Tour(context, folder);
  return tour.run();
}

interface Held {
  readonly held: readonly { readonly digest: string; readonly log: string; readonly standing: string }[];
}

interface Shown {
  readonly reasons: readonly {
    readonly detector: string;
    readonly columns: readonly string[];
    readonly sentence: string;
  }[];
}

class Tour {
  readonly #context: CommandContext;
  readonly #folder: string;
  /** How a user who stands in the folder calls this program. */
  readonly #program: string;
  /** What did not go as told, for the exit code. */
  readonly #surprises: string[] = [];
  readonly #steps: { readonly step: string; readonly asTold: boolean }[] = [];

  constructor(context: CommandContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
    const npmEvent = context.environment['npm_lifecycle_event'];
    this.#program = calledAs({ npmEvent, script: MAIN, folder }).program;
  }

  async run(): Promise<CommandResult> {
    const started = Date.now();
    const flights = await readFlights();
    await this.#setUp(flights);
    await this.#learn();
    await this.#stream();
    await this.#attack(flights);
    await this.#tamper();
    await this.#respond();
    const seconds = Math.round((Date.now() - started) / 1_000);
    this.#say('');
    this.#say(
      this.#surprises.length === 0
        ? `Everything went as told, in ${seconds} s. The folder is yours to look around in: ${this.#context.called.program} status --config ${shellWord(join(relative(this.#context.folder, this.#folder), CONFIG_NAME))}`
        : `NOT as told: ${this.#surprises.join('; ')}`,
    );
    if (this.#context.output.json)
      this.#context.output.result(
        { ok: this.#surprises.length === 0, seconds, steps: this.#steps, folder: this.#folder },
        [],
      );
    return this.#surprises.length === 0 ? EXIT.ok : EXIT.refused;
  }

  async #setUp(flights: readonly Flight[]): Promise<void> {
    for (const name of ['history', 'data']) await makeLocalFolder(join(this.#folder, name));
    const learned = LEARN_BATCHES * BATCH;
    await this.#writeFlights('history/flights.ndjson', flights.slice(0, learned));
    await this.#writeFlights('data/1-stream.ndjson', flights.slice(learned, learned + STREAM_BATCHES * BATCH));
    this.#chapter(
      'A gate in front of a stream',
      'Real flights from New York, October 2013, in time order; "late" is the label that a model will learn.',
    );
    await this.#command([
      'init',
      '.',
      '--pipeline',
      'flights',
      '--files',
      'data/*.ndjson',
      '--label',
      'late',
      '--source',
      'carrier',
    ]);
    const config = join(this.#folder, 'headgate.yaml');
    const text = (await readFile(config, 'utf8')).replace(/^alerts:[^]*$/m, `batch: { recordsMax: ${BATCH} }\n`);
    await writeFile(config, text);
  }

  async #learn(): Promise<void> {
    this.#chapter(
      'What is usual',
      `The first ${LEARN_BATCHES},000 flights are the accepted past; a person signs the baseline learned from them.`,
    );
    await this.#command(['baseline', 'learn', '--files', 'history/flights.ndjson', '--reason', 'accepted past']);
    await this.#command(['baseline', 'approve', '--reason', 'looked at']);
  }

  async #stream(): Promise<void> {
    this.#chapter(
      'The stream',
      `The next ${STREAM_BATCHES},000 flights: each batch is hashed, judged, written as Parquet, decoded back, signed, and only then published.`,
    );
    await this.#command(['run', '--once']);
    await this.#command(['gate']);
  }

  async #attack(flights: readonly Flight[]): Promise<void> {
    const from = (LEARN_BATCHES + STREAM_BATCHES) * BATCH;
    const batch = flights.slice(from, from + BATCH);
    this.#chapter(
      'Poison',
      `The next 1,000 flights, ${ATTACKS.length} times over: once as they are, then each time with one thing done to them.`,
    );
    for (const [i, attack] of ATTACKS.entries()) {
      const file = `data/${i + 2}-${attack.name}.ndjson`;
      await this.#writeFlights(file, attack.apply(batch, flights.slice(2 * BATCH, 3 * BATCH), seededRandom(SEED + i)));
      await this.#command(['run', '--once', '--json'], true);
      await this.#reportAttack(attack, file);
    }
  }

  async #reportAttack({ name, what, seen, mark }: Attack, file: string): Promise<void> {
    const { held } = JSON.parse((await this.#command(['quarantine', 'list', '--json'], true)).stdout) as Held;
    const mine = held.find(({ log }) => decodeURIComponent(log).endsWith(file));
    const reason = mine === undefined ? 'published as clean' : `quarantined: ${await this.#reason(mine.digest, mark)}`;
    this.#expect(`${name} is ${seen ? 'quarantined' : 'not seen'}`, (mine !== undefined) === seen);
    this.#say(
      `  ${mine === undefined ? (seen ? 'MISSED ' : name === 'nothing' ? 'passed ' : 'missed ') : 'CAUGHT '} ${what}`,
    );
    this.#say(`          ${reason}`);
    if (name === 'whisper' && mine === undefined)
      this.#say(
        '          So small a change in so few rows is below the detection limit of one batch; no gate sees everything, and this one says so.',
      );
  }

  /** The reason that speaks of the attack itself, if one does, otherwise the strongest; and how many more there are. */
  async #reason(digest: string, mark: string | null): Promise<string> {
    const { stdout } = await this.#command(['quarantine', 'show', digest, '--json'], true);
    const { reasons } = JSON.parse(stdout) as Shown;
    const speaksOfIt = ({ detector, columns }: Shown['reasons'][number]): boolean =>
      mark !== null && (detector === mark || columns.includes(mark));
    const told = reasons.find(speaksOfIt) ?? reasons[0];
    if (told === undefined) return 'no single reason';
    return `${told.sentence}${reasons.length > 1 ? `, and ${reasons.length - 1} more` : ''}`;
  }

  async #tamper(): Promise<void> {
    this.#chapter(
      'A bit flips on disk',
      'Someone changes one bit of a published file. Statistics would not see it; the signature does.',
    );
    const path = await this.#firstDataFile();
    const bytes = await readFile(path);
    const at = Math.floor(bytes.length / 2);
    bytes[at]! ^= 1;
    await writeFile(path, bytes);
    const verify = await this.#command(['verify']);
    this.#expect('verify finds the flipped bit', verify.code === EXIT.tampered);
    const pulled = await this.#command(['pull', 'main', 'refused']);
    this.#expect('pull refuses the file', pulled.code === EXIT.tampered);
    bytes[at]! ^= 1;
    await writeFile(path, bytes);
    this.#say('The file is restored from its backup:');
    this.#expect('verify passes again', (await this.#command(['verify', '--deep'])).code === EXIT.ok);
  }

  async #respond(): Promise<void> {
    this.#chapter(
      'The incident',
      'Weeks later the whisper is found out. One command goes back to the last clean snapshot, by metadata alone.',
    );
    const whisper = `data/${ATTACKS.length + 1}-whisper.ndjson`;
    await this.#command([
      'quarantine',
      'condemn',
      `file/flights/${encodeURIComponent(whisper)}@0`,
      '--reason',
      'a sender had a wrong clock',
    ]);
    await this.#command(['rollback', '--to', 'last-clean', '--reason', 'incident 1']);
    this.#expect('the gate is shut after a rollback', (await this.#command(['gate'])).code === EXIT.refused);
    this.#say(
      'Training jobs wait. The condemned batch stays out; everything else is judged again before it is published again:',
    );
    await this.#command(['resume', '--reason', 'contained']);
    await this.#command(['publish', '--once']);
    this.#expect('the gate opens again', (await this.#command(['gate'])).code === EXIT.ok);
    this.#expect('pull delivers', (await this.#command(['pull', 'main', 'training-set'])).code === EXIT.ok);
    await this.#command(['log', '--limit', '8']);
  }

  /** Runs one command as a user would; prints it with its output unless it only serves the story. */
  async #command(args: readonly string[], silent = false): Promise<{ readonly code: number; readonly stdout: string }> {
    if (!silent) this.#say(`$ ${this.#program} ${args.map(shellWord).join(' ')}`);
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (part: Buffer) => (stdout += part.toString('utf8')));
    child.stderr.on('data', (part: Buffer) => (stderr += part.toString('utf8')));
    const code = await new Promise<number>((resolve) =>
      child.on('close', (ended) => resolve(ended ?? EXIT.interrupted)),
    );
    if (!silent) for (const line of `${stdout}${stderr}`.trimEnd().split('\n')) this.#say(`  ${line}`);
    return { code, stdout };
  }

  async #firstDataFile(): Promise<string> {
    const root = join(this.#folder, 'store', 'flights', 'data');
    const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.parquet')).sort();
    return join(root, names[0]!);
  }

  async #writeFlights(name: string, flights: readonly Flight[]): Promise<void> {
    await writeFile(join(this.#folder, name), flights.map((flight) => `${JSON.stringify(flight)}\n`).join(''));
  }

  #chapter(title: string, text: string): void {
    this.#say('');
    this.#say(`== ${title}`);
    this.#say(text);
  }

  #expect(step: string, asTold: boolean): void {
    this.#steps.push({ step, asTold });
    if (!asTold) this.#surprises.push(step);
  }

  #say(line: string): void {
    this.#context.output.say(line);
  }
}

/** The flights that ship with the package, in time order. @throws NotFoundError when the package is incomplete */
async function readFlights(): Promise<Flight[]> {
  for (const up of ['../../../../examples/flights/', '../../../examples/flights/']) {
    const folder = fileURLToPath(new URL(up, import.meta.url));
    if (!existsSync(folder)) continue;
    const names = (await readdir(folder)).filter((name) => name.endsWith('.ndjson')).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    return texts.flatMap((text) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Flight),
    );
  }
  throw new NotFoundError('NOT_FOUND', 'Cannot run the demo: the flights data are not part of this installation');
}
