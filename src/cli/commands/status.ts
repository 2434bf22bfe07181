import type { LoadedConfig } from '../../config/load.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import type { Snapshot } from '../../ledger/snapshot.ts';
import { formatLogId } from '../../record/log-id.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted, formatBytes, formatCount, table } from '../output.ts';
import type { Register } from '../register.ts';

const LOGS_SHOWN_MAX = 50;

/** `headgate status`: where the pipeline stands. */
export const registerStatus: Register = (program, runner) => {
  program
    .command('status')
    .description(
      'what is published, held and in force; of halts, those by a rule, which the log keeps: any other is told by the process that stopped, its exit code 5 and its alert',
    )
    .action(() => runner()(status));
};

async function status(context: CommandContext): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const report = await readStatus(loaded, ledger);
    context.output.result(report, describe(report));
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
    logs: await logHeads(ledger, snapshot, state.resumed[ref] ?? -1),
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

/** Heads of all partition logs. @param resumed number of the control entry of the last resume; −1 = none */
async function logHeads({ logs, snapshots }: LedgerContext, snapshot: Snapshot | null, resumed: number) {
  const covered = snapshot === null ? new Map<string, never>() : await snapshots.heads(snapshot.heads);
  const heads = [];
  for await (const log of logs.list()) {
    const line = covered.get(formatLogId(log));
    const head = await logs.head(log, line === undefined ? null : await logs.headAt(log, line.slot));
    heads.push({
      log: formatLogId(log),
      next: head!.next,
      slots: head!.slot + 1,
      epoch: head!.epoch,
      unpublishedSlots: head!.slot - (line?.slot ?? -1),
      haltedByRule: head!.haltedAt !== null && resumed <= head!.haltedAt,
    });
  }
  return heads;
}

function describe(report: Status): string[] {
  const { ref, snapshot, logs } = report;
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
    `logs      ${describeLogs(logs)}`,
    ...table(
      logs
        .slice(0, LOGS_SHOWN_MAX)
        .map(({ log, next, slots, unpublishedSlots, haltedByRule }) => [
          `  ${log}`,
          `next offset ${formatCount(next)}`,
          counted(slots, 'slot'),
          unpublishedSlots > 0 ? `${unpublishedSlots} not covered` : '',
          haltedByRule ? 'HALTED by a rule' : '',
        ]),
    ),
    ...(logs.length > LOGS_SHOWN_MAX ? [`  … ${logs.length - LOGS_SHOWN_MAX} more`] : []),
  ];
}

/** A halt that is no rule's ends in the process, not in the log: none here does not mean that all are read on. */
function describeLogs(logs: Status['logs']): string {
  const halted = logs.filter(({ haltedByRule }) => haltedByRule).length;
  const rules = halted === 0 ? 'none halted by a rule' : `${formatCount(halted)} HALTED by a rule`;
  return `${formatCount(logs.length)}, ${rules} (other halts leave no trace here: see the output of headgate run)`;
}

function describeTopic({ baselines, candidates, schemas }: Status, topic: string): string {
  const short = (sha256: string | undefined): string => sha256?.slice(0, 12) ?? 'none';
  const waiting = candidates[topic] === undefined ? '' : `, candidate ${short(candidates[topic])} waits for approval`;
  return `topic     ${topic}: baseline ${short(baselines[topic])}${waiting}, schema ${short(schemas[topic])}`;
}
