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
import { counted, formatBytes, formatCount, type Output } from '../output.ts';

const LOGS_SHOWN_MAX = 50;
const READS_AT_ONCE = 16;
/** Batches that no snapshot lists for good, whose objects are looked for: a request or three each. */
const CHECKED_MAX = 500;
/** List pages of the dataset that are read: with 64, some 60,000 batches. */
const PAGES_READ_MAX = 64;

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
  const { standings, waiting } = await readHeld(ledger, snapshot, damage);
  await readPages(ledger, snapshot, damage);
  const covered = unknown === null ? null : await readable(damage, () => coveredHeads(ledger, snapshot));
  const isOpen = ({ digest }: { readonly digest: string }): boolean => state.decisions[digest]?.outcome !== 'condemned';
  const { heads, batches, count } = await readHeads(ledger, { covered, isOpen }, damage);
  const damagedLogs = new Set(damage.map(({ object }) => object));
  const held = waiting.filter((line) => isOpen(line) && !damagedLogs.has(line.log));
  const checked = [...batches, ...held].slice(0, CHECKED_MAX);
  damage.push(...(await damageOfBatches(ledger, await readBatches(ledger, checked, damage))));
  for (const { log, code, message } of new Set(unjudgedLogs(ledger.layout, state, ref).values()))
    if (!damagedLogs.has(log)) damage.push({ object: log, code, message, wayOut: 'headgate resume --reason TEXT' });
  const known = { damage, covered, resumed: state.resumed[ref] ?? -1 };
  const { logs, halts } = await describeLogs(ledger, heads, known);
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
    /** Batches whose objects were looked for, of those that still wait for a publish. */
    checked: { batches: checked.length, of: count + held.length },
    logs,
  };
}

/** How many held batches stand where (null where a page cannot be read), and those of them that the next publish looks at. */
async function readHeld(
  { snapshots }: LedgerContext,
  snapshot: Snapshot | null,
  damage: Damage[],
): Promise<{ readonly standings: Record<string, number> | null; readonly waiting: readonly BatchLine[] }> {
  const standings: Record<string, number> = {};
  const waiting: BatchLine[] = [];
  let isWhole = true;
  for (const page of snapshot?.held.pages ?? []) {
    const lines = await readable(damage, () => snapshots.page(page));
    isWhole &&= lines !== null;
    for (const line of lines ?? []) {
      standings[line.standing] = (standings[line.standing] ?? 0) + 1;
      if (line.standing === 'small' || line.standing === 'no-baseline') waiting.push(line);
    }
  }
  return { standings: isWhole ? standings : null, waiting };
}

/** The list pages of the dataset, as far as they are few: only damage of them is of interest. */
async function readPages({ snapshots }: LedgerContext, snapshot: Snapshot | null, damage: Damage[]): Promise<void> {
  for (const page of snapshot?.batches.pages.slice(-PAGES_READ_MAX) ?? [])
    await readable(damage, () => snapshots.page(page));
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
 *   which batches are meant
 */
async function readHeads(
  ledger: LedgerContext,
  { covered, isOpen }: { readonly covered: Covered | null; readonly isOpen: (batch: NewBatch) => boolean },
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
 * @param known `resumed`: number of the control entry of the last resume, −1 = none
 */
async function describeLogs(
  ledger: LedgerContext,
  heads: readonly FoundHead[],
  known: { readonly damage: readonly Damage[]; readonly covered: Covered | null; readonly resumed: number },
) {
  const { damage, covered, resumed } = known;
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
      ['log', 'next', 'slots', 'published', 'state'],
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
