import { actorName, openKey, type OpenedLedger } from '../../compose/ledger.ts';
import { openRejudge } from '../../compose/publishing.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { IntegrityError } from '../../errors.ts';
import type { ControlHead } from '../../ledger/control-log.ts';
import { formatLogId } from '../../record/log-id.ts';
import { diffSnapshots } from '../../respond/diff.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import {
  currentSnapshot,
  hold,
  resolveSnapshot,
  resume,
  rollback,
  type Actor,
  type BaselineChange,
  type RollbackReport,
} from '../../respond/refs.ts';
import { withAct, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, formatCount } from '../output.ts';

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
  return withAct(context, async (act, loaded, ledger) => {
    const signer = await openKey(loaded, ledger.trust, 'approver');
    return work({
      context: act,
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
  const isSettled = head.state.holds[ref] === undefined && head.state.unjudged?.[ref] === undefined;
  if (isSettled && !(isOurs && (await isWaitedFor(ledger, head, ref)))) {
    currentSnapshot(head, ref);
    context.output.result({ ref, held: false, unchanged: true, rejudged: 0, clean: 0, suspect: 0, damaged: [] }, [
      `"${ref}" is not on hold, and no partition waits for it: nothing was signed`,
    ]);
    return undefined;
  }
  const publisher = await openKey(loaded, ledger.trust, 'publisher');
  const report = await resume(ledger, ref, actor, openRejudge(loaded, ledger), publisher, context.kill);
  const { rejudged, clean, suspect, damaged } = report;
  for (const { log, code, message } of damaged)
    context.output.note(
      `nothing of ${log} is published before it is mended and headgate resume has judged it again (${code}): ${message}`,
    );
  const again =
    rejudged > 0
      ? `; judged again first: ${counted(rejudged, 'batch')}, of them ${formatCount(clean)} clean, which the next publish brings back, and ${formatCount(suspect)} suspect`
      : '';
  const left = damaged.length > 0 ? `; left where they are: ${counted(damaged.length, 'damaged log')}` : '';
  context.output.result({ ref, held: false, unchanged: false, ...report }, [
    `${isSettled ? `"${ref}" was not on hold; partitions that a rule has halted go on` : `"${ref}" may move again`}${again}${left}`,
  ]);
  return damaged.length > 0 ? EXIT.tampered : undefined;
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
  context.output.result(
    report,
    describeRollback(report).map((line) => context.output.called(line)),
  );
  return undefined;
}

function describeRollback(report: RollbackReport): string[] {
  const { ref, from, to, batchesRemoved, recordsRemoved, releasesVoided, baselines } = report;
  if (report.unchanged) return [`"${ref}" names ${to.slice(0, 12)} already; it is on hold until headgate resume`];
  const less =
    batchesRemoved === null || recordsRemoved === null
      ? 'how much less that is cannot be told, for the snapshot that was left cannot be read'
      : `${counted(batchesRemoved, 'batch')}, ${counted(recordsRemoved, 'record')} less`;
  return [
    `"${ref}" went back from ${from.slice(0, 12)} to ${to.slice(0, 12)}: ${less}; it is on hold until headgate resume`,
    ...(releasesVoided === 0
      ? []
      : [
          `  void: the ${releasesVoided === 1 ? 'release of 1 batch' : `releases of ${formatCount(releasesVoided)} batches`}, decided or carried out since then; who still wants them releases them again`,
        ]),
    ...baselines.map(describeBaseline),
    '  headgate resume judges what lies behind it again; what is clean comes back with the next publish, unless it is condemned before (headgate quarantine condemn)',
  ];
}

function describeBaseline({ topic, from, to }: BaselineChange): string {
  const now = to === null ? 'none' : to.slice(0, 12);
  const again =
    from === null
      ? ''
      : `, no longer ${from.slice(0, 12)} (headgate baseline approve ${from.slice(0, 12)} --topic ${topic} puts that back in force)`;
  return `  baseline of "${topic}" in force: ${now}${again}`;
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
