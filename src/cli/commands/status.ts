import type { LoadedConfig } from '../../config/load.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import { eachLimited } from '../../ledger/each-limited.ts';
import type { LogHead } from '../../ledger/log-head.ts';
import type { BatchLine, HeadLine, Snapshot } from '../../ledger/snapshot.ts';
import { unjudgedLogs } from '../../publish/left-out.ts';
import type { NewBatch } from '../../publish/news.ts';
import { formatLogId, parseLogId, type LogId } from '../../record/log-id.ts';
import { findHalts, type Halt } from '../../respond/halts.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { describeDamage, damageOfBatches, readable, type Damage } from '../damage.ts';
import { besides, ofThem } from '../dead-letters.ts';
import { counted, formatBytes, formatCount, type Output } from '../output.ts';
import { LogDeadLetters, readListed } from './status-pages.ts';

const LOGS_SHOWN_MAX = 50;
const READS_AT_ONCE = 16;
/** Batches that no snapshot lists for good, whose objects are looked for: a request or three each. */
const CHECKED_MAX = 500;

/** `headgate status`: where the pipeline stands. What is damaged is told beside what can be read, and never instead of it. */
export async function status(context: CommandContext): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const report = await readStatus(loaded, ledger);
    context.output.result(report, describe(report, context.output));
    return undefined;
  });
}

type Status = Awaited<ReturnType<typeof readStatus>>;

/** Where the pipeline stands, with all that has halted or is damaged. @throws IntegrityError, UnavailableError */
export async function readStatus({ config }: LoadedConfig, ledger: LedgerContext) {
  const { ref } = config.publish;
  const head = await ledger.control.head();
  const { state } = head;
  const sha256 = state.refs[ref] ?? null;
  const damage: Damage[] = [];
  const snapshot = sha256 === null ? null : await readable(damage, () => ledger.snapshots.read(sha256));
  const unknown = sha256 !== null && snapshot === null ? null : 0;
  const dead = new LogDeadLetters();
  const { standings, waiting, deadLetters, heldDeadLetters } = await readListed(ledger, snapshot, dead, damage);
  const covered = unknown === null ? null : await readable(damage, () => coveredHeads(ledger, snapshot));
  const isOpen = ({ digest }: { readonly digest: string }): boolean => state.decisions[digest]?.outcome !== 'condemned';
  const { heads, batches, count } = await readHeads(ledger, { covered, isOpen, dead }, damage);
  const damagedLogs = new Set(damage.map(({ object }) => object));
  const held = waiting.filter((line) => isOpen(line) && !damagedLogs.has(line.log));
  const checked = [...batches, ...held].slice(0, CHECKED_MAX);
  damage.push(...(await damageOfBatches(ledger, await readBatches(ledger, checked, damage))));
  for (const { log, code, message } of new Set(unjudgedLogs(ledger.layout, state, ref).values()))
    if (!damagedLogs.has(log)) damage.push({ object: log, code, message, wayOut: 'headgate resume --reason TEXT' });
  const counts = deadLetters === null || heldDeadLetters === null || covered === null ? null : dead;
  const known = { damage, covered, dead: counts, resumed: state.resumed[ref] ?? -1 };
  const { logs, halts } = await describeLogs(ledger, heads, known);
  return {
    pipeline: config.pipeline,
    mode: config.mode,
    store: ledger.store.location,
    ref,
    snapshot: sha256,
    records: snapshot?.records ?? unknown,
    deadLetters: unknown === null ? null : deadLetters,
    bytes: snapshot?.bytes ?? unknown,
    batches: snapshot?.batches.count ?? unknown,
    held: snapshot?.held.count ?? unknown,
    standings: unknown === null ? null : standings,
    heldDeadLetters: unknown === null ? null : heldDeadLetters,
    onHold: state.holds[ref] !== undefined,
    baselines: state.baselines,
    candidates: state.candidates,
    schemas: state.schemas,
    falseAlarmBudget: config.judge.falseAlarmBudget,
    controlEntries: nextSeq(head),
    newestEntry: head.newest?.entry.time ?? null,
    halts,
    damage,
    /** Batches whose objects were looked for, of those that still wait for a publish. */
    checked: { batches: checked.length, of: count + held.length },
    logs,
  };
}

/** Batches as they are, and those that a page lists as their logs have them. */
async function readBatches(
  { logs }: LedgerContext,
  batches: readonly (NewBatch | BatchLine)[],
  damage: Damage[],
): Promise<NewBatch[]> {
  const found: NewBatch[] = [];
  await eachLimited(batches, READS_AT_ONCE, async (batch) => {
    const read = 'entry' in batch ? batch : await readable(damage, () => logs.readBatch(batch));
    if (read !== null) found.push(read);
  });
  return found;
}

type Covered = ReadonlyMap<string, HeadLine>;

async function coveredHeads({ snapshots }: LedgerContext, snapshot: Snapshot | null): Promise<Covered> {
  return snapshot === null ? new Map() : snapshots.heads(snapshot.heads);
}

interface FoundHead {
  readonly log: LogId;
  /** Null where the log cannot be read to its end. */
  readonly head: LogHead | null;
}

/**
 * Heads of all partition logs, and the first and the number of the batches that no snapshot covers.
 * @param of `covered`: how far each log is covered; null if that cannot be read, and no batch is found then. `isOpen`: says
 *   which batches are meant. `dead`: is added to
 */
async function readHeads(
  ledger: LedgerContext,
  {
    covered,
    isOpen,
    dead,
  }: {
    readonly covered: Covered | null;
    readonly isOpen: (batch: NewBatch) => boolean;
    readonly dead: LogDeadLetters;
  },
  damage: Damage[],
): Promise<{ readonly heads: readonly FoundHead[]; readonly batches: readonly NewBatch[]; readonly count: number }> {
  const { logs } = ledger;
  const heads: FoundHead[] = [];
  const batches: NewBatch[] = [];
  let count = 0;
  const readHead = async (log: LogId): Promise<void> => {
    const name = formatLogId(log);
    const line = covered?.get(name);
    const head = await readable(
      damage,
      async () => {
        let at = line === undefined ? null : await logs.headAt(log, line.slot, line.digest);
        for await (const { verified, head: next } of logs.walk(log, at)) {
          at = next;
          const { entry, digest } = verified;
          if (entry.kind !== 'batch' || covered === null || !isOpen({ log, entry, digest })) continue;
          dead.add(name, entry.deadLetterRecords);
          if (count++ < CHECKED_MAX) batches.push({ log, entry, digest });
        }
        return at;
      },
      name,
    );
    heads.push({ log, head });
  };
  for await (const log of listLogs(ledger, damage)) await readHead(log);
  // A log that a snapshot covers may have lost its beginning, or all of it.
  const found = new Set(heads.map(({ log }) => formatLogId(log)));
  for (const name of covered?.keys() ?? []) {
    const log = found.has(name) ? undefined : parseLogId(name);
    if (log !== undefined) await readHead(log);
  }
  return { heads: heads.toSorted((x, y) => (formatLogId(x.log) < formatLogId(y.log) ? -1 : 1)), batches, count };
}

/**
 * A line for each log, and which have halted.
 * @param known `resumed`: number of the control entry of the last resume, −1 = none. `dead`: null where not all batches are known
 */
async function describeLogs(
  ledger: LedgerContext,
  heads: readonly FoundHead[],
  known: {
    readonly damage: readonly Damage[];
    readonly covered: Covered | null;
    readonly dead: LogDeadLetters | null;
    readonly resumed: number;
  },
) {
  const { damage, covered, dead, resumed } = known;
  const halts = await findHalts(
    ledger,
    heads.flatMap(({ head }) => head ?? []),
    resumed,
  );
  // What was noted of a log, by anyone, must not hide what the log says itself, which stands first.
  const ofLog = new Map(halts.toReversed().map((halt) => [halt.log, halt]));
  const { layout } = ledger;
  const damaged = new Map(damage.map(({ object, code }) => [layout.headHintOf(object) ?? object, code]));
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
        /** Of the batches that are published, held, or wait for a publish. */
        deadLetters: dead?.of(name) ?? null,
        halted: code,
        haltedByRule: code === 'RULE',
        damaged: damaged.get(name) ?? damaged.get(layout.headHint(log)) ?? null,
      };
    }),
  };
}

/** Each log once; what lies where a log should begin and is no entry of it hides no other log. */
async function* listLogs({ logs }: LedgerContext, damage: Damage[]): AsyncGenerator<LogId> {
  const seen = new Set<string>();
  for await (const key of logs.firstKeys()) {
    const log = await readable(damage, () => logs.logAt(key));
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
    ...(report.checked.batches < report.checked.of
      ? [
          `objects   looked for of ${formatCount(report.checked.batches)} of ${counted(report.checked.of, 'unpublished batch')}`,
        ]
      : []),
    ...damage.slice(0, LOGS_SHOWN_MAX).map((each) => output.called(describeDamage(each))),
    ...halts.slice(0, LOGS_SHOWN_MAX).map((halt) => output.called(describeHalt(halt))),
    ...output.table(
      ['log', '', '', 'published', 'undecoded', 'state'],
      logs
        .slice(0, LOGS_SHOWN_MAX)
        .map(({ log, next, slots, unpublishedSlots, deadLetters, halted, damaged }) => [
          `  ${log}`,
          next === null ? '' : `next offset ${formatCount(next)}`,
          slots === null ? '' : counted(slots, 'slot'),
          (unpublishedSlots ?? 0) > 0 ? `${unpublishedSlots} not covered` : '',
          (deadLetters ?? 0) > 0 ? counted(deadLetters!, 'dead letter') : '',
          [halted === null ? [] : `HALTED (${halted})`, damaged === null ? [] : `DAMAGED (${damaged})`]
            .flat()
            .join(', '),
        ]),
    ),
    ...(logs.length > LOGS_SHOWN_MAX ? [`  … ${logs.length - LOGS_SHOWN_MAX} more`] : []),
  ];
}

function describePublished({ snapshot, records, deadLetters, batches, bytes }: Status): string {
  if (snapshot === null) return 'not published yet';
  const name = snapshot.slice(0, 12);
  if (records === null || batches === null || bytes === null) return `${name}: cannot be read`;
  return `${name}: ${counted(records, 'record')} in ${counted(batches, 'batch')}${besides(deadLetters ?? 0)}, ${formatBytes(bytes)}`;
}

function describeHeld({ standings, heldDeadLetters }: Status): string {
  if (standings === null) return 'cannot be read';
  const counts = Object.entries(standings).map(([standing, count]) => `${formatCount(count)} ${standing}`);
  return counts.length === 0 ? 'nothing' : `${counts.join(', ')}${ofThem(heldDeadLetters ?? 0)}`;
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
