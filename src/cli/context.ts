import { resolve } from 'node:path';

import { systemClock } from '../adapters/system/clock.ts';
import { openLedgerOf, type OpenedLedger } from '../compose/ledger.ts';
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import { HeadgateError, RequestError } from '../errors.ts';
import { aheadWarning, assertClock } from '../ledger/entry-time.ts';
import { ActLimit } from './act-limit.ts';
import type { Called } from './called-as.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';

/** What every command gets. */
export interface CommandContext {
  readonly output: Output;
  /** How the user can call this program again. */
  readonly called: Called;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  /** Path given with --config; null = `headgate.yaml` in the current folder. */
  readonly configPath: string | null;
  /** Aborted by the first SIGINT or SIGTERM: finish what is begun and stop. */
  readonly stop: AbortSignal;
  /** Aborted by the second one, or when draining takes too long: stop now. For an act, see {@link withAct}. */
  readonly kill: AbortSignal;
  /** Set once a SIGINT came. */
  readonly interrupted: () => boolean;
  /** Lets `kill` come by itself this long after `stop`, in ms. */
  readonly limitDrain: (timeoutMs: number) => void;
}

/** What a command returns: its exit code, 0 if nothing. */
export type CommandResult = number | undefined;

/** The configuration that is read when no other is named. */
export const CONFIG_NAME = 'headgate.yaml';

/** Reads the configuration of this call. @throws ConfigError */
export function load({ configPath, folder, environment }: CommandContext): Promise<LoadedConfig> {
  return loadConfig(resolve(folder, configPath ?? environment['HEADGATE_CONFIG'] ?? CONFIG_NAME), environment);
}

/** Runs `work` with the configuration and the ledger it names, and checks the store against what this machine last saw. */
export async function withLedger(
  context: CommandContext,
  work: (loaded: LoadedConfig, ledger: OpenedLedger) => Promise<CommandResult>,
  limit?: ActLimit,
): Promise<CommandResult> {
  const loaded = await load(context);
  await using ledger = await openLedgerOf(loaded, tellRetry(context), limit?.watch, limit?.act);
  await ledger.marks.check(ledger.control, await ledger.control.head());
  const result = await work(loaded, ledger);
  // What this command has written, too: a store that loses it again is noticed by the next one.
  await ledger.marks.remember(ledger.control.known);
  return result;
}

/**
 * Runs `work`, which signs what a person decides, as {@link withLedger} does. `kill` of its context aborts with the first
 * signal, and when the store takes nothing for too long: what is not sent by then is not done, and what is sent is found
 * out and told. @see ActLimit
 */
export async function withAct(
  context: CommandContext,
  work: (context: CommandContext, loaded: LoadedConfig, ledger: OpenedLedger) => Promise<CommandResult>,
): Promise<CommandResult> {
  using limit = new ActLimit({ clock: systemClock, stop: context.stop, kill: context.kill });
  const act = { ...context, kill: limit.ended };
  try {
    return await withLedger(context, (loaded, ledger) => work(act, loaded, ledger), limit);
  } catch (error) {
    const told = limit.explain(error);
    if (told === error || !(told instanceof HeadgateError)) throw error;
    context.output.error(told);
    return told.code === 'STOPPED' ? signalCode(context) : EXIT.unavailable;
  }
}

/** Exit code of a command that a signal has ended. */
function signalCode({ interrupted }: CommandContext): number {
  return interrupted() ? EXIT.interrupted : EXIT.terminated;
}

/**
 * Checks the store against what this machine has seen of it, and tells people when one of two clocks is wrong.
 * @throws as Marks.check; HaltError CLOCK_WRONG when one is so wrong that nothing may be signed
 */
export async function checkHead(
  { output }: CommandContext,
  { marks, control, clock, store }: OpenedLedger,
): Promise<void> {
  const head = await control.head();
  await marks.check(control, head);
  assertClock(head.newest?.entry ?? null, store.clockOffsetMs ?? null, clock.now());
  const ahead = head.newest === null ? null : aheadWarning(head.newest.entry.time, clock.now());
  if (ahead !== null) output.note(`warning: ${ahead}`);
}

/** Tells people that a write to the store is tried again: until it succeeds, nothing else is to be seen. */
export function tellRetry({ output }: CommandContext): (error: Error) => void {
  return ({ message }) => output.remind(`store: ${message} (trying again)`, 'store');
}

/** The value of `--limit`. @throws RequestError */
export function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new RequestError('REQUEST_INVALID', `Cannot use --limit "${text}": wanted a whole number of at least 1`);
}

/** Exit code of a command that ran to its end or was interrupted. */
export function endCode({ interrupted }: CommandContext, code: number = EXIT.ok): number {
  return interrupted() ? EXIT.interrupted : code;
}
