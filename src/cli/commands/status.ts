import type { LoadedConfig } from '../../config/load.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import type { LogHead } from '../../ledger/log-head.ts';
import type { Snapshot } from '../../ledger/snapshot.ts';
import { formatLogId } from '../../record/log-id.ts';
import { findHalts, type Halt } from '../../respond/halts.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted, formatBytes, formatCount, table, type Output } from '../output.ts';

const LOGS_SHOWN_MAX = 50;

/** `headgate status`: where the pipeline stands. */
export async function status(context: CommandContext): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const report = await readStatus(loaded, ledger);
    context.output.result(report, describe(report, context.output));
    return undefined;
  });
}

type Status = Awaited<ReturnType<typeof readStatus>>;

async function readStatus({ config }: LoadedConfig, ledger: LedgerContext) {
  const { ref } = config.publish;
  const head = await ledger.control.head();
  const { state } = head;
  const sha256 = state.refs[ref] ?? null;
  const snapshot = sha256 === null ? null : await ledger.snapshots.read(sha256);
  const { logs, halts } = await readLogs(ledger, snapshot, state.resumed[ref] ?? -1);
  return {
    pipeline: config.pipeline,
    mode: config.mode,
    store: ledger.store.location,
    ref,
    snapshot: sha256,
    records: snapshot?.records ?? 0,
    bytes: snapshot?.bytes ?? 0,
    batches: snapshot?.batches.count ?? 0,
    held: snapshot?.held.count ?? 0,
    standings: await heldStandings(ledger, snapshot),
    onHold: state.holds[ref] !== undefined,
    baselines: state.baselines,
    candidates: state.candidates,
    schemas: state.schemas,
    falseAlarmBudget: config.judge.falseAlarmBudget,
    controlEntries: nextSeq(head),
    newestEntry: head.newest?.entry.time ?? null,
    halts,
    logs,
  };
}

/** How many held batches stand where. */
async function heldStandings({ snapshots }: LedgerContext, snapshot: Snapshot | null): Promise<Record<string, number>> {
  const standings: Record<string, number> = {};
  if (snapshot === null) return standings;
  for await (const { standing } of snapshots.batches(snapshot.held))
    standings[standing] = (standings[standing] ?? 0) + 1;
  return standings;
}

/** Heads of all partition logs, and which have halted. @param resumed number of the control entry of the last resume; −1 = none */
async function readLogs(ledger: LedgerContext, snapshot: Snapshot | null, resumed: number) {
  const { logs, snapshots } = ledger;
  const covered = snapshot === null ? new Map<string, never>() : await snapshots.heads(snapshot.heads);
  const heads: LogHead[] = [];
  for await (const log of logs.list()) {
    const line = covered.get(formatLogId(log));
    heads.push((await logs.head(log, line === undefined ? null : await logs.headAt(log, line.slot)))!);
  }
  const halts = await findHalts(ledger, heads, resumed);
  // What was noted of a log, by anyone, must not hide what the log says itself, which stands first.
  const ofLog = new Map(halts.toReversed().map((halt) => [halt.log, halt]));
  return {
    halts,
    logs: heads.map(({ log, next, slot, epoch }) => ({
      log: formatLogId(log),
      next,
      slots: slot + 1,
      epoch,
      unpublishedSlots: slot - (covered.get(formatLogId(log))?.slot ?? -1),
      halted: ofLog.get(formatLogId(log))?.code ?? null,
      haltedByRule: ofLog.get(formatLogId(log))?.code === 'RULE',
    })),
  };
}

function describe(report: Status, output: Output): string[] {
  const { ref, snapshot, logs, halts } = report;
  const held = Object.entries(report.standings).map(([standing, count]) => `${formatCount(count)} ${standing}`);
  const published =
    snapshot === null
      ? 'not published yet'
      : `${snapshot.slice(0, 12)}: ${counted(report.records, 'record')} in ${counted(report.batches, 'batch')}, ${formatBytes(report.bytes)}`;
  return [
    `pipeline  ${report.pipeline} (${report.mode} mode), store ${report.store}`,
    `${ref.padEnd(9)} ${published}${report.onHold ? '; ON HOLD' : ''}`,
    `held      ${held.join(', ') || 'nothing'}`,
    ...Object.keys({ ...report.schemas, ...report.baselines }).map((topic) => describeTopic(report, topic)),
    `control   ${counted(report.controlEntries, 'entry')}, newest ${report.newestEntry ?? 'never'}`,
    `logs      ${counted(logs.length, 'log')}, ${halts.length === 0 ? 'none known to have halted' : `${formatCount(halts.length)} HALTED`}`,
    ...halts.slice(0, LOGS_SHOWN_MAX).map((halt) => output.called(describeHalt(halt))),
    ...table(
      logs
        .slice(0, LOGS_SHOWN_MAX)
        .map(({ log, next, slots, unpublishedSlots, halted }) => [
          `  ${log}`,
          `next offset ${formatCount(next)}`,
          counted(slots, 'slot'),
          unpublishedSlots > 0 ? `${unpublishedSlots} not covered` : '',
          halted === null ? '' : `HALTED (${halted})`,
        ]),
    ),
    ...(logs.length > LOGS_SHOWN_MAX ? [`  … ${logs.length - LOGS_SHOWN_MAX} more`] : []),
  ];
}

/** One line: what happened is told in full by the process, its alert and --json. */
function describeHalt({ log, code, message, since, wayOut, source }: Halt): string {
  const what = message.split('\n', 1)[0]!.replace(/ \(way out: .*$/, '');
  const noted = source === 'process' ? ', as its process noted' : '';
  return `  HALTED  ${log} (${code}) since ${since}${noted}: ${what}; way out: ${wayOut}`;
}

function describeTopic({ baselines, candidates, schemas }: Status, topic: string): string {
  const short = (sha256: string | undefined): string => sha256?.slice(0, 12) ?? 'none';
  const waiting = candidates[topic] === undefined ? '' : `, candidate ${short(candidates[topic])} waits for approval`;
  return `topic     ${topic}: baseline ${short(baselines[topic])}${waiting}, schema ${short(schemas[topic])}`;
}
