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

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Exit code that the failure means. */
  readonly exitCode: number;
}

/** `headgate doctor`: one line a check, each failure with its mend. */
export const registerDoctor: Register = (program, runner) => {
  program
    .command('doctor')
    .description('check configuration, keys, store, source, queue and clock')
    .action(() => runner()(doctor));
};

async function doctor(context: CommandContext): Promise<CommandResult> {
  const checks: Check[] = [];
  const check = async (name: string, work: () => Promise<string>): Promise<void> => {
    try {
      checks.push({ name, ok: true, detail: await work(), exitCode: EXIT.ok });
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error;
      checks.push({ name, ok: false, detail: error.message, exitCode: exitCodeOf(error) });
    }
    const last = checks.at(-1)!;
    context.output.say(`${last.ok ? 'ok  ' : 'FAIL'}  ${last.name.padEnd(9)} ${last.detail}`);
  };
  const loaded = await load(context);
  await check('config', async () => `${loaded.path}: pipeline "${loaded.config.pipeline}", ${loaded.config.mode} mode`);
  for (const name of ['ingest', 'publisher', 'approver'] as const) await check(name, () => checkKey(loaded, name));
  await check('store', () => checkStore(loaded));
  await check('clock', () => checkClock(loaded));
  await check('source', () => checkSource(loaded));
  await check('alerts', () => checkAlerts(context, loaded));
  const failed = checks.filter(({ ok }) => !ok);
  if (context.output.json)
    context.output.result(
      { ok: failed.length === 0, checks: checks.map(({ name, ok, detail }) => ({ name, ok, detail })) },
      [],
    );
  return failed.length === 0 ? EXIT.ok : Math.max(...failed.map(({ exitCode }) => exitCode));
}

async function checkKey(loaded: LoadedConfig, name: KeyName): Promise<string> {
  const trust = await readTrust(loaded);
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
async function checkClock(loaded: LoadedConfig): Promise<string> {
  await using store = await openStore(loaded);
  const { newest } = await openLedger(store, await readTrust(loaded), systemClock).control.head();
  const aheadMs = newest === null ? 0 : Date.parse(newest.entry.time) - systemClock.now();
  return aheadMs > 60_000
    ? `this machine's clock is ${Math.round(aheadMs / 1_000)} s behind the newest entry; synchronise it (NTP)`
    : 'not behind the newest entry';
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
