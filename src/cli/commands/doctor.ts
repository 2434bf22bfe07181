import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import { openAlerts } from '../../compose/alerts.ts';
import { openKey, openStore, readTrust, type KeyName } from '../../compose/ledger.ts';
import { openSource } from '../../compose/source.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { systemClock } from '../../adapters/system/clock.ts';
import { systemRng } from '../../adapters/system/rng.ts';
import { HeadgateError } from '../../errors.ts';
import { Layout } from '../../ledger/layout.ts';
import { probeFully } from '../../ledger/probe.ts';
import { openLedger } from '../../respond/ledger-context.ts';
import { load, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';
import type { Register } from '../register.ts';

/** What a check found: nothing to do, something to look at, or something that must be mended. */
type Status = 'ok' | 'warn' | 'fail';

/** A line of a check that did not fail; `warn` unless it is as it should be. */
type Found = string | { readonly warn: string };

interface Check {
  readonly name: string;
  readonly status: Status;
  readonly detail: string;
  /** Exit code that the failure means. */
  readonly exitCode: number;
}

/** A clock this far behind the newest entry is told, in ms: clocks that are synchronised differ by less. */
const BEHIND_MAX_MS = 60_000;

const MARKS: Readonly<Record<Status, string>> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' };

/** `headgate doctor`: one line a check, each failure with its mend. */
export const registerDoctor: Register = (program, runner) => {
  program
    .command('doctor')
    .description('check configuration, keys, store, source, queue and clock')
    .action(() => runner()(doctor));
};

async function doctor(context: CommandContext): Promise<CommandResult> {
  const checks: Check[] = [];
  const check = async (name: string, work: () => Promise<Found>): Promise<void> => {
    try {
      const found = await work();
      const done = typeof found === 'string' ? { status: 'ok', detail: found } : { status: 'warn', detail: found.warn };
      checks.push({ name, ...(done as Pick<Check, 'status' | 'detail'>), exitCode: EXIT.ok });
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error;
      checks.push({ name, status: 'fail', detail: error.message, exitCode: exitCodeOf(error) });
    }
    const last = checks.at(-1)!;
    context.output.say(`${MARKS[last.status]}  ${last.name.padEnd(9)} ${last.detail}`);
  };
  const loaded = await load(context);
  await check('config', async () => `${loaded.path}: pipeline "${loaded.config.pipeline}", ${loaded.config.mode} mode`);
  for (const name of ['ingest', 'publisher', 'approver'] as const) await check(name, () => checkKey(loaded, name));
  await check('store', () => checkStore(loaded));
  await check('clock', () => checkClock(loaded));
  await check('source', () => checkSource(loaded));
  await check('alerts', () => checkAlerts(context, loaded));
  const failed = checks.filter(({ status }) => status === 'fail');
  if (context.output.json)
    context.output.result(
      {
        ok: failed.length === 0,
        checks: checks.map(({ name, status, detail }) => ({ name, ok: status !== 'fail', status, detail })),
      },
      [],
    );
  return failed.length === 0 ? EXIT.ok : Math.max(...failed.map(({ exitCode }) => exitCode));
}

async function checkKey(loaded: LoadedConfig, name: KeyName): Promise<Found> {
  const trust = await readTrust(loaded);
  const path = resolve(loaded.folder, loaded.config.keys[name]);
  if (name === 'approver' && !(await exists(path)))
    return `not here (fine on servers: decisions are signed where "${path}" is)`;
  const { keyId } = await openKey(loaded, trust, name);
  trust.assertRole(keyId, [name], loaded.config.keys[name]);
  return `${keyId} may sign as ${name}`;
}

async function checkStore(loaded: LoadedConfig): Promise<string> {
  await using store = await openStore(loaded);
  await probeFully(store, new Layout(loaded.config.pipeline), systemRng);
  return `${store.location} creates each key exactly once`;
}

/** A clock that lags behind the newest entry would make `--to TIME` and freshness lie. */
async function checkClock(loaded: LoadedConfig): Promise<Found> {
  await using store = await openStore(loaded);
  const { newest } = await openLedger(store, await readTrust(loaded), systemClock).control.head();
  const behindMs = newest === null ? 0 : Date.parse(newest.entry.time) - systemClock.now();
  if (behindMs <= BEHIND_MAX_MS) return 'not behind the newest entry';
  return {
    warn: `this machine's clock is ${Math.round(behindMs / 1_000)} s behind the newest entry (mend: synchronise the clocks of this machine and of ${newest!.entry.by}, NTP)`,
  };
}

/** False only for a file that is not there; one that cannot be looked at is for the key's own check to report. */
async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}

async function checkSource(loaded: LoadedConfig): Promise<string> {
  await using source = await openSource(loaded, true, () => undefined);
  if (loaded.config.source.kafka !== null)
    return `cluster ${source.cluster} answers for ${loaded.config.source.kafka.topics.join(', ')}`;
  await source.join();
  return `${source.assignment()!.logs.length} files`;
}

async function checkAlerts(context: CommandContext, loaded: LoadedConfig): Promise<string> {
  await using store = await openStore(loaded);
  const ledger = openLedger(store, await readTrust(loaded), systemClock);
  const { queue } = await openAlerts(loaded, ledger, context.output.messages, false, () => undefined);
  await using opened = queue;
  const depth = await opened.depth();
  const { url } = loaded.config.queue;
  return `${loaded.config.alerts.length} channels; queue ${url === null ? 'in this process' : 'in Redis'}, ${depth} jobs`;
}
