import { access } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';

import { openAlerts } from '../../compose/alerts.ts';
import { openKey, openLedgerOf, openState, openStore, readTrust, type KeyName } from '../../compose/ledger.ts';
import { describeHaltsInObserveMode, findMisfits, topicsOfSource } from '../../compose/misfits.ts';
import { openSource } from '../../compose/source.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { systemClock } from '../../adapters/system/clock.ts';
import { systemRng } from '../../adapters/system/rng.ts';
import { ConfigError, HeadgateError } from '../../errors.ts';
import { assertClock } from '../../ledger/entry-time.ts';
import { Layout } from '../../ledger/layout.ts';
import { probeFully } from '../../ledger/probe.ts';
import { openLedger } from '../../respond/ledger-context.ts';
import { load, tellRetry, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';
import { counted } from '../output.ts';
import { readStatus } from './status.ts';

/** What a check found: nothing to do, something to look at, something that must be mended, or that another must be first. */
type Status = 'ok' | 'warn' | 'fail' | 'skip';

/** A line of a check that did not fail; `warn` unless it is as it should be. */
type Found = string | { readonly warn: string };

interface Check {
  readonly name: string;
  readonly status: Status;
  /** One line; faults behind it, one a line. */
  readonly detail: string;
  /** Exit code that the failure means. */
  readonly exitCode: number;
}

/** A clock this far behind the newest entry is told, in ms: clocks that are synchronised differ by less. */
const BEHIND_MAX_MS = 60_000;

const MARKS: Readonly<Record<Status, string>> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL', skip: '-   ' };
const NAME_WIDTH = 9;

/** `headgate doctor`: one line a check, each failure with its mend. */
export async function doctor(context: CommandContext, mustWrite: boolean): Promise<CommandResult> {
  const loaded = await load(context);
  const use = await useOf(loaded, mustWrite);
  const checks = new Checks(context);
  await checks.run('config', [], async () => checkConfig(loaded));
  await checks.run('trust', [], () => checkTrust(loaded));
  for (const name of ['ingest', 'publisher', 'approver'] as const)
    await checks.run(name, ['trust'], () => checkKey(loaded, name, use));
  await checks.run('state', [], () => checkState(loaded));
  await checks.run('store', [], () => checkStore(context, loaded, use));
  await checks.run('clock', ['trust', 'store'], () => checkClock(loaded));
  await checks.run('topics', ['trust', 'store'], () => checkTopics(loaded));
  await checks.run('halts', ['trust', 'store'], () => checkHalts(loaded));
  await checks.run('source', [], async () => {
    if (use === 'run' && loaded.config.keys.ingest === null)
      return 'not checked: nothing is read here (keys.ingest: null)';
    return use === 'run' ? checkSource(loaded) : NOT_NEEDED;
  });
  await checks.run('alerts', ['trust', 'store'], async () =>
    use === 'run' ? checkAlerts(context, loaded) : NOT_NEEDED,
  );
  return checks.report();
}

/** What this machine does, as its private keys tell: it reads and publishes, it decides, or it only looks on. */
type Use = 'run' | 'decide' | 'read';

const NOT_NEEDED = 'not checked: nothing is run without the private keys (--write checks it)';

async function useOf({ folder, config }: LoadedConfig, mustWrite: boolean): Promise<Use> {
  const isHere = async (name: KeyName): Promise<boolean> => {
    const path = config.keys[name];
    return path !== null && exists(resolve(folder, path));
  };
  if (mustWrite || (await isHere('ingest')) || (await isHere('publisher'))) return 'run';
  return (await isHere('approver')) ? 'decide' : 'read';
}

/** Checks one after the other, told as they end. */
class Checks {
  readonly #context: CommandContext;
  readonly #done: Check[] = [];

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** @param needs names of checks without which this one would only fail for the same reason. */
  async run(name: string, needs: readonly string[], work: () => Promise<Found>): Promise<void> {
    const check = { name, ...(await this.#outcome(needs, work)) };
    this.#done.push(check);
    const [first, ...faults] = check.detail.split('\n');
    const { output } = this.#context;
    output.say(`${MARKS[check.status]}  ${name.padEnd(NAME_WIDTH)} ${first}`);
    for (const fault of faults) output.say(`${' '.repeat(MARKS.ok.length + NAME_WIDTH + 3)}${fault}`);
  }

  async #outcome(needs: readonly string[], work: () => Promise<Found>): Promise<Omit<Check, 'name'>> {
    const missing = this.#done.find(({ name, status }) => needs.includes(name) && isBad(status));
    if (missing !== undefined)
      return { status: 'skip', detail: `not checked: ${missing.name} comes first`, exitCode: EXIT.ok };
    const { output } = this.#context;
    const told = (text: string): string => (output.json ? text : output.called(text));
    try {
      const found = await work();
      return typeof found === 'string'
        ? { status: 'ok', detail: found, exitCode: EXIT.ok }
        : { status: 'warn', detail: told(found.warn), exitCode: EXIT.ok };
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error;
      return { status: 'fail', detail: told(error.message), exitCode: exitCodeOf(error) };
    }
  }

  report(): CommandResult {
    const checks = this.#done.map(({ name, status, detail }) => ({ name, ok: !isBad(status), status, detail }));
    const ok = checks.every((check) => check.ok);
    if (this.#context.output.json) this.#context.output.result({ ok, checks }, []);
    return Math.max(...this.#done.map(({ exitCode }) => exitCode));
  }
}

function isBad(status: Status): boolean {
  return status === 'fail' || status === 'skip';
}

function checkConfig(loaded: LoadedConfig): Found {
  const { path, config } = loaded;
  const about = `${path}: pipeline "${config.pipeline}", ${config.mode} mode`;
  const halts = describeHaltsInObserveMode(loaded);
  return halts === null ? about : { warn: `${about}; ${halts}` };
}

async function checkTrust(loaded: LoadedConfig): Promise<string> {
  const { document } = await readTrust(loaded);
  return `${resolve(loaded.folder, loaded.config.trust)}: ${counted(document.keys.length, 'key')}`;
}

/** What a machine does with a key. */
const SIGNING = { ingest: 'read (run, ingest)', publisher: 'publish (run, publish, resume)' } as const;

async function checkKey(loaded: LoadedConfig, name: KeyName, use: Use): Promise<Found> {
  const configured = loaded.config.keys[name];
  if (configured === null) return 'not on this machine (null)';
  const path = resolve(loaded.folder, configured);
  if (name === 'approver' && !(await exists(path)))
    return use === 'read'
      ? 'not here, not needed for reading'
      : `not here (fine on servers: decisions are signed where "${path}" is)`;
  if (name !== 'approver' && use !== 'run')
    return `not here, not needed for ${use === 'read' ? 'reading' : 'decisions'} (--write checks it)`;
  if (name !== 'approver' && !(await exists(path)))
    throw new ConfigError(
      'KEY_INVALID',
      `Cannot read key file "${path}": it does not exist (mend: copy it here, if this machine is to ${SIGNING[name]}; if another one does that, set keys.${name}: null here)`,
    );
  const { keyId } = await openKey(loaded, await readTrust(loaded), name);
  return `${keyId} may sign as ${name}`;
}

/** A state that lies in the store is rolled back together with it, and notices nothing. */
async function checkState(loaded: LoadedConfig): Promise<Found> {
  const { folder, config } = loaded;
  await openState(loaded).assertWritable();
  const path = resolve(folder, config.stateFolder);
  const store = config.store.url.startsWith('s3://') ? null : resolve(folder, config.store.url);
  if (store !== null && isWithin(store, path))
    return { warn: `"${path}" lies in the store (mend: set stateFolder to a folder outside of it)` };
  return `${path} can be written`;
}

/** A store that is not the one this machine has seen is not probed: it may be an empty folder where a disk should be. */
async function assertAsSeen(context: CommandContext, loaded: LoadedConfig): Promise<void> {
  await using ledger = await openLedgerOf(loaded, tellRetry(context));
  await ledger.marks.check(ledger.control, await ledger.control.head());
}

async function checkStore(context: CommandContext, loaded: LoadedConfig, use: Use): Promise<Found> {
  await using store = await openStore(loaded);
  // Without trust and state nothing can be compared; each has a line of its own.
  await assertAsSeen(context, loaded).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
  });
  if (use === 'read') {
    const { pipeline } = loaded.config;
    if ((await store.stat(new Layout(pipeline).probeRecord())) !== null) return `${store.location} can be read`;
    return {
      warn: `${store.location} holds nothing of "${pipeline}" yet (mend: run once, or set store.url to where it was run)`,
    };
  }
  await probeFully(store, new Layout(loaded.config.pipeline), systemRng);
  return `${store.location} creates each key exactly once`;
}

/** A clock that lags behind the newest entry would make `--to TIME` and freshness lie; one far off must sign nothing. */
async function checkClock(loaded: LoadedConfig): Promise<Found> {
  await using store = await openStore(loaded);
  const { newest } = await openLedger(store, await readTrust(loaded), systemClock).control.head();
  const offsetMs = store.clockOffsetMs ?? null;
  assertClock(newest?.entry ?? null, offsetMs, systemClock.now());
  if (offsetMs !== null && Math.abs(offsetMs) > BEHIND_MAX_MS)
    return {
      warn: `this machine's clock is ${Math.round(Math.abs(offsetMs) / 1_000)} s ${offsetMs > 0 ? 'behind' : 'ahead of'} the store's (mend: synchronise it, NTP)`,
    };
  const behindMs = newest === null ? 0 : Date.parse(newest.entry.time) - systemClock.now();
  if (behindMs <= BEHIND_MAX_MS) return 'not behind the newest entry';
  return {
    warn: `this machine's clock is ${Math.round(behindMs / 1_000)} s behind the newest entry (mend: synchronise the clocks of this machine and of ${newest!.entry.by}, NTP)`,
  };
}

/** A misspelt column switches a check off, and a rule that no value can keep holds every batch. */
async function checkTopics(loaded: LoadedConfig): Promise<string> {
  await using store = await openStore(loaded);
  const ledger = openLedger(store, await readTrust(loaded), systemClock);
  const { state } = await ledger.control.head();
  const { misfits, unpinned } = await findMisfits(loaded, ledger, state);
  if (misfits.length > 0)
    throw new ConfigError(
      'CONFIG_INVALID',
      'Cannot check all that the configuration asks for (mend: correct it under topicDefaults or topics, or as a line says):',
      misfits.map(({ topic, message }) => ({ path: topic, message })),
    );
  if (topicsOfSource(loaded).length === 0) return 'none is configured here';
  const pinned = topicsOfSource(loaded).length - unpinned.length;
  const rest = `${counted(unpinned.length, 'topic')} without a schema yet: whether all columns that are named exist shows when the first records are read`;
  if (pinned === 0) return rest;
  return `every column that is named is in its schema${unpinned.length === 0 ? '' : `; ${rest}`}`;
}

/** What has stopped is no fault of this machine, but whoever calls the doctor asks what is wrong. */
async function checkHalts(loaded: LoadedConfig): Promise<Found> {
  await using store = await openStore(loaded);
  const { halts, damage } = await readStatus(loaded, openLedger(store, await readTrust(loaded), systemClock));
  if (halts.length + damage.length === 0) return 'no partition is known to have halted';
  const [first] = halts;
  const halted =
    first === undefined ? '' : `${counted(halts.length, 'partition')} halted, first ${first.log} (${first.code})`;
  const damaged = damage.length === 0 ? '' : `${counted(damage.length, 'object')} or log damaged in the store`;
  return {
    warn: `${[halted, damaged].filter((each) => each !== '').join('; ')} (headgate status tells each, with its way out)`,
  };
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return !isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`);
}

/** False only for a file that is not there; one that cannot be looked at is for the key's own check to report. */
async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}

async function checkSource(loaded: LoadedConfig): Promise<Found> {
  const { files, kafka } = loaded.config.source;
  await using source = await openSource(loaded, true, () => undefined);
  if (kafka !== null) return `cluster ${source.cluster} answers for ${kafka.topics.join(', ')}`;
  await source.join();
  const { length } = source.assignment()!.logs;
  if (length > 0) return counted(length, 'file');
  return { warn: `no file yet for ${files!.paths.join(', ')} (paths start from ${loaded.folder})` };
}

async function checkAlerts(context: CommandContext, loaded: LoadedConfig): Promise<string> {
  await using store = await openStore(loaded);
  const ledger = openLedger(store, await readTrust(loaded), systemClock);
  const { queue } = await openAlerts(loaded, ledger, context.output.messages, false, () => undefined);
  await using opened = queue;
  const depth = await opened.depth();
  const { url } = loaded.config.queue;
  return `${counted(loaded.config.alerts.length, 'channel')}; queue ${url === null ? 'in this process' : 'in Redis'}, ${counted(depth, 'job')}`;
}
