import { actorName, openKey, type OpenedLedger } from '../../compose/ledger.ts';
import { openRejudge } from '../../compose/publishing.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { IntegrityError } from '../../errors.ts';
import type { ControlHead } from '../../ledger/control-log.ts';
import { formatLogId } from '../../record/log-id.ts';
import { diffSnapshots } from '../../respond/diff.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { currentSnapshot, hold, resolveSnapshot, resume, rollback, type Actor } from '../../respond/refs.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted } from '../output.ts';

/** Options of every act on a ref. */
export interface ActOptions {
  readonly reason: string;
  readonly ref?: string;
}

/** Everything an act on a ref needs. */
export interface RefAct {
  readonly context: CommandContext;
  readonly loaded: LoadedConfig;
  readonly ledger: OpenedLedger;
  readonly ref: string;
  readonly actor: Actor;
}

/** Opens what an act needs, signed by this machine's approver key. */
export function onRef(
  context: CommandContext,
  { reason, ref }: ActOptions,
  work: (act: RefAct) => Promise<CommandResult>,
): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const signer = await openKey(loaded, ledger.trust, 'approver');
    return work({
      context,
      loaded,
      ledger,
      ref: ref ?? loaded.config.publish.ref,
      actor: { signer, by: actorName(), reason },
    });
  });
}

/** `headgate hold`. */
export function holdRef(context: CommandContext, options: ActOptions): Promise<CommandResult> {
  return onRef(context, options, holdOne);
}

async function holdOne({ context, ledger, ref, actor }: RefAct): Promise<CommandResult> {
  const { unchanged } = await hold(ledger, ref, actor, context.kill);
  context.output.result({ ref, held: true, unchanged }, [
    unchanged ? `"${ref}" was on hold already` : `"${ref}" is on hold; reading and judging go on`,
  ]);
  return undefined;
}

/** `headgate resume`. */
export function resumeRef(context: CommandContext, options: ActOptions): Promise<CommandResult> {
  return onRef(context, options, resumeOne);
}

async function resumeOne({ context, loaded, ledger, ref, actor }: RefAct): Promise<CommandResult> {
  // Partitions may halt before the first snapshot: the ref of this pipeline is let go on before it is published, too.
  const isOurs = ref === loaded.config.publish.ref;
  const head = await ledger.control.head();
  if (!isOurs) currentSnapshot(head, ref);
  if (head.state.holds[ref] === undefined && !(isOurs && (await isWaitedFor(ledger, head, ref)))) {
    currentSnapshot(head, ref);
    context.output.result({ ref, held: false, unchanged: true, rejudged: 0 }, [
      `"${ref}" is not on hold, and no partition waits for it: nothing was signed`,
    ]);
    return undefined;
  }
  const publisher = await openKey(loaded, ledger.trust, 'publisher');
  const { rejudged } = await resume(ledger, ref, actor, openRejudge(loaded, ledger), publisher, context.kill);
  context.output.result({ ref, held: false, unchanged: false, rejudged }, [
    `"${ref}" may move again${rejudged > 0 ? `; judged again first: ${counted(rejudged, 'batch')}` : ''}`,
  ]);
  return undefined;
}

/** True when a rule has halted a partition since the last resume; a log that cannot be read may have been. */
async function isWaitedFor({ logs, snapshots }: LedgerContext, { state }: ControlHead, ref: string): Promise<boolean> {
  const [snapshot, resumed] = [state.refs[ref], state.resumed[ref] ?? -1];
  try {
    const covered = snapshot === undefined ? null : await snapshots.heads((await snapshots.read(snapshot)).heads);
    for await (const log of logs.list()) {
      const head = await logs.headSince(log, covered?.get(formatLogId(log)));
      if (head !== null && head.haltedAt !== null && resumed <= head.haltedAt) return true;
    }
    return false;
  } catch (error) {
    if (error instanceof IntegrityError) return true;
    throw error;
  }
}

/** `headgate rollback`. @param options `to`: `last-clean`, a snapshot, or a time */
export function rollbackRef(
  context: CommandContext,
  options: ActOptions & { readonly to: string },
): Promise<CommandResult> {
  return onRef(context, options, (act) => rollbackOne(act, options.to));
}

async function rollbackOne({ context, ledger, ref, actor }: RefAct, to: string): Promise<CommandResult> {
  const report = await rollback(ledger, ref, to, actor, context.kill);
  const text = report.unchanged
    ? `"${ref}" names ${report.to.slice(0, 12)} already; it is on hold`
    : `"${ref}" went back from ${report.from.slice(0, 12)} to ${report.to.slice(0, 12)}: ${counted(report.batchesRemoved, 'batch')}, ${counted(report.recordsRemoved, 'record')} less; it is on hold until headgate resume`;
  context.output.result(report, [context.output.called(text)]);
  return undefined;
}

/** `headgate diff`. */
export async function diff(context: CommandContext, a: string, b: string): Promise<CommandResult> {
  return withLedger(context, async (_loaded, ledger) => {
    const [from, to] = await Promise.all([resolveSnapshot(ledger, a), resolveSnapshot(ledger, b)]);
    const report = await diffSnapshots(ledger, from, to);
    const line = (sign: string) => (batch: (typeof report.added)[number]) =>
      `${sign} ${batch.log} [${batch.start}, ${batch.end}) ${counted(batch.rows, 'record')}, ${batch.standing}`;
    const summary = `${from.slice(0, 12)} → ${to.slice(0, 12)}: ${counted(report.added.length, 'batch')} added, ${report.removed.length} removed, ${report.recordsDelta >= 0 ? '+' : ''}${counted(report.recordsDelta, 'record')}`;
    context.output.result(report, [...report.removed.map(line('-')), ...report.added.map(line('+')), summary]);
    return undefined;
  });
}
