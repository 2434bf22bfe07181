import type { LoadedConfig } from '../../config/load.ts';
import { IntegrityError, type ErrorCode } from '../../errors.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import type { LogHead } from '../../ledger/log-head.ts';
import type { HeadLine, Snapshot } from '../../ledger/snapshot.ts';
import { formatLogId, parseLogId, type LogId } from '../../record/log-id.ts';
import { findHalts, type Halt } from '../../respond/halts.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted, formatBytes, formatCount, table, type Output } from '../output.ts';

const LOGS_SHOWN_MAX = 50;
const PUT_BACK =
  'put it back as it was, from a copy of the store or from earlier versions of its objects; headgate verify names each that differs';

/** Something in the store that is not as it was signed. */
interface Damage {
  /** The log, where it is one that cannot be read to its end; else the object. */
  readonly object: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly wayOut: string;
}

/** `headgate status`: where the pipeline stands. What is damaged is told beside what can be read, and never instead of it. */
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
  const damage: Damage[] = [];
  const snapshot = sha256 === null ? null : await readable(damage, null, () => ledger.snapshots.read(sha256));
  const unknown = sha256 !== null && snapshot === null ? null : 0;
  const standings = await readable(damage, null, () => heldStandings(ledger, snapshot));
  const { logs, halts } = await readLogs(ledger, {
    damage,
    covered: unknown === null ? null : await readable(damage, null, () => coveredHeads(ledger, snapshot)),
    resumed: state.resumed[ref] ?? -1,
  });
  return {
    pipeline: config.pipeline,
    mode: config.mode,
    store: ledger.store.location,
    ref,
    snapshot: sha256,
    records: snapshot?.records ?? unknown,
    bytes: snapshot?.bytes ?? unknown,
    batches: snapshot?.batches.count ?? unknown,
    held: snapshot?.held.count ?? unknown,
    standings: unknown === null ? null : standings,
    onHold: state.holds[ref] !== undefined,
    baselines: state.baselines,
    candidates: state.candidates,
    schemas: state.schemas,
    falseAlarmBudget: config.judge.falseAlarmBudget,
    controlEntries: nextSeq(head),
    newestEntry: head.newest?.entry.time ?? null,
    halts,
    damage,
    logs,
  };
}

/**
 * What `read` gives; null where the store is not as it was signed, which is noted.
 * @param log the log that is read; null where the error names the object
 */
async function readable<Value>(damage: Damage[], log: LogId | null, read: () => Promise<Value>): Promise<Value | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    const { code, message } = error;
    damage.push({ object: log === null ? error.object : formatLogId(log), code, message, wayOut: PUT_BACK });
    return null;
  }
}

/** How many held batches stand where. */
async function heldStandings({ snapshots }: LedgerContext, snapshot: Snapshot | null): Promise<Record<string, number>> {
  const standings: Record<string, number> = {};
  if (snapshot === null) return standings;
  for await (const { standing } of snapshots.batches(snapshot.held))
    standings[standing] = (standings[standing] ?? 0) + 1;
  return standings;
}

type Covered = ReadonlyMap<string, HeadLine>;

async function coveredHeads({ snapshots }: LedgerContext, snapshot: Snapshot | null): Promise<Covered> {
  return snapshot === null ? new Map() : snapshots.heads(snapshot.heads);
}

/**
 * Heads of all partition logs, and which have halted.
 * @param known how far each log is covered, null if that cannot be read; number of the control entry of the last resume,
 *   −1 = none
 */
async function readLogs(
  ledger: LedgerContext,
  known: { readonly damage: Damage[]; readonly covered: Covered | null; readonly resumed: number },
) {
  const { damage, covered, resumed } = known;
  const heads: { readonly log: LogId; readonly head: LogHead | null }[] = [];
  for await (const log of listLogs(ledger, damage))
    heads.push({
      log,
      head: await readable(damage, log, () => ledger.logs.headSince(log, covered?.get(formatLogId(log)))),
    });
  // A log that a snapshot covers may have lost its beginning, or all of it.
  const found = new Set(heads.map(({ log }) => formatLogId(log)));
  for (const name of covered?.keys() ?? []) {
    const log = found.has(name) ? undefined : parseLogId(name);
    if (log !== undefined)
      heads.push({
        log,
        head: await readable(damage, log, () => ledger.logs.headSince(log, covered?.get(formatLogId(log)))),
      });
  }
  heads.sort((x, y) => (formatLogId(x.log) < formatLogId(y.log) ? -1 : 1));
  const halts = await findHalts(
    ledger,
    heads.flatMap(({ head }) => head ?? []),
    resumed,
  );
  // What was noted of a log, by anyone, must not hide what the log says itself, which stands first.
  const ofLog = new Map(halts.toReversed().map((halt) => [halt.log, halt]));
  const damaged = new Map(damage.map(({ object, code }) => [object, code]));
  return {
    halts,
    logs: heads.map(({ log, head }) => {
      const name = formatLogId(log);
      const code = ofLog.get(name)?.code ?? null;
      return {
        log: name,
        next: head?.next ?? null,
        slots: head === null ? null : head.slot + 1,
        epoch: head?.epoch ?? null,
        unpublishedSlots: head === null || covered === null ? null : head.slot - (covered.get(name)?.slot ?? -1),
        halted: code,
        haltedByRule: code === 'RULE',
        damaged: damaged.get(name) ?? null,
      };
    }),
  };
}

/** Each log once; what lies where a log should begin and is no entry of it hides no other log. */
async function* listLogs({ logs }: LedgerContext, damage: Damage[]): AsyncGenerator<LogId> {
  const seen = new Set<string>();
  for await (const key of logs.firstKeys()) {
    const log = await readable(damage, null, () => logs.logAt(key));
    if (log === null || seen.has(formatLogId(log))) continue;
    seen.add(formatLogId(log));
    yield log;
  }
}

function describe(report: Status, output: Output): string[] {
  const { ref, logs, halts, damage } = report;
  const counts = [
    halts.length === 0 ? 'none known to have halted' : `${formatCount(halts.length)} HALTED`,
    ...(damage.length === 0 ? [] : [`${formatCount(damage.length)} DAMAGED`]),
  ];
  return [
    `pipeline  ${report.pipeline} (${report.mode} mode), store ${report.store}`,
    `${ref.padEnd(9)} ${describePublished(report)}${report.onHold ? '; ON HOLD' : ''}`,
    `held      ${describeHeld(report)}`,
    ...Object.keys({ ...report.schemas, ...report.baselines }).map((topic) => describeTopic(report, topic)),
    `control   ${counted(report.controlEntries, 'entry')}, newest ${report.newestEntry ?? 'never'}`,
    `logs      ${counted(logs.length, 'log')}, ${counts.join(', ')}`,
    ...damage.slice(0, LOGS_SHOWN_MAX).map((each) => output.called(describeDamage(each))),
    ...halts.slice(0, LOGS_SHOWN_MAX).map((halt) => output.called(describeHalt(halt))),
    ...table(
      logs
        .slice(0, LOGS_SHOWN_MAX)
        .map(({ log, next, slots, unpublishedSlots, halted, damaged }) => [
          `  ${log}`,
          next === null ? '' : `next offset ${formatCount(next)}`,
          slots === null ? '' : counted(slots, 'slot'),
          (unpublishedSlots ?? 0) > 0 ? `${unpublishedSlots} not covered` : '',
          [halted === null ? [] : `HALTED (${halted})`, damaged === null ? [] : `DAMAGED (${damaged})`]
            .flat()
            .join(', '),
        ]),
    ),
    ...(logs.length > LOGS_SHOWN_MAX ? [`  … ${logs.length - LOGS_SHOWN_MAX} more`] : []),
  ];
}

function describePublished({ snapshot, records, batches, bytes }: Status): string {
  if (snapshot === null) return 'not published yet';
  const name = snapshot.slice(0, 12);
  if (records === null || batches === null || bytes === null) return `${name}: cannot be read`;
  return `${name}: ${counted(records, 'record')} in ${counted(batches, 'batch')}, ${formatBytes(bytes)}`;
}

function describeHeld({ standings }: Status): string {
  if (standings === null) return 'cannot be read';
  return (
    Object.entries(standings)
      .map(([standing, count]) => `${formatCount(count)} ${standing}`)
      .join(', ') || 'nothing'
  );
}

function describeDamage({ object, code, message, wayOut }: Damage): string {
  return `  DAMAGED  ${object} (${code}): ${message.split('\n', 1)[0]!}; way out: ${wayOut}`;
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
