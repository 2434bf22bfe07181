import type { Finding } from '../../detect/judgement.ts';
import { IntegrityError, type ErrorCode } from '../../errors.ts';
import type { ControlHead } from '../../ledger/control-log.ts';
import { eachLimited } from '../../ledger/each-limited.ts';
import type { ControlState } from '../../ledger/control-state.ts';
import type { BatchLine, HeadLine, Standing } from '../../ledger/snapshot.ts';
import { readEvidence } from '../../ledger/evidence.ts';
import { lineOf } from '../../publish/plan.ts';
import { formatLogId, parseLogId } from '../../record/log-id.ts';
import { decide, findBatch } from '../../respond/decisions.ts';
import { judgementInForce } from '../../respond/judgement-in-force.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { describeUnion, reasonsOf, whySuspect, whyUndecoded } from '../../respond/reasons.ts';
import { currentSnapshot } from '../../respond/refs.ts';
import { parseLimit, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { damageOfBatch, describeDamage, damageOfBatches, placeOf, readable, type Damage } from '../damage.ts';
import { listCauses } from '../dead-letters.ts';
import { EXIT } from '../exit-codes.ts';
import { WHY_OTHER_SCHEMA, WHY_STALE, whyNoBaseline, whySmall } from '../hints.ts';
import { counted, formatCount, type Output } from '../output.ts';
import { onRef, type ActOptions, type RefAct } from './refs.ts';

const READS_AT_ONCE = 16;

/** `headgate quarantine list`: what is held, and why. */
export async function list(
  context: CommandContext,
  ref: string | undefined,
  limitText: string,
): Promise<CommandResult> {
  const limit = parseLimit(limitText);
  return withLedger(context, async (loaded, ledger) => {
    const head = await ledger.control.head();
    const name = ref ?? loaded.config.publish.ref;
    const damaged: Damage[] = [];
    // Before the first publish there is nothing of the published ref; any other name is one that nobody knows.
    const isPublished = head.state.refs[name] !== undefined || name !== loaded.config.publish.ref;
    const lines = isPublished ? await heldLines(ledger, head, name, damaged) : [];
    const reasons = new Map<string, Reason>();
    const lost = await damagedLogs(ledger, head, name, lines.slice(0, limit), damaged);
    await eachLimited(lines.slice(0, limit), READS_AT_ONCE, async (line) => {
      reasons.set(line.digest, await reasonOf(ledger, line, head.state, loaded.config.judge.recordsMin));
    });
    const held = lines.map((line) => {
      const { why = null, losses = [] } = reasons.get(line.digest) ?? {};
      const decision = head.state.decisions[line.digest]?.outcome ?? null;
      const ofLog = decision === null && isWaiting(line.standing) ? (lost.get(line.log) ?? null) : null;
      return { ...line, decision, why: ofLog === null ? why : null, damaged: losses[0]?.code ?? ofLog };
    });
    for (const { digest } of lines) damaged.push(...(reasons.get(digest)?.losses ?? []));
    const rows = held
      .slice(0, limit)
      .map((batch) => [
        batch.digest.slice(0, 12),
        batch.standing,
        `${batch.log} [${batch.start}, ${batch.end})`,
        formatCount(batch.records),
        describeReason(batch, context.output),
      ]);
    const more = held.length > limit ? [`… ${held.length - limit} more (--limit ${held.length} shows all)`] : [];
    const onHold = head.state.holds[name] !== undefined;
    context.output.result({ ref: name, onHold, held, damaged }, [
      ...(rows.length === 0
        ? damaged.length === 0
          ? [
              'nothing is held back',
              ...(loaded.config.mode === 'observe'
                ? [context.output.called('what observe mode let in: headgate quarantine list --published')]
                : []),
            ]
          : []
        : [...context.output.table(['batch', 'standing', 'log and offsets', 'records', 'why'], rows, true), ...more]),
      ...(onHold ? [context.output.called(behindTheHold(name))] : []),
      ...damaged.map((each) => context.output.called(describeDamage(each))),
    ]);
    return damaged.length > 0 ? EXIT.tampered : undefined;
  });
}

function behindTheHold(ref: string): string {
  return `"${ref}" is on hold: what was read since, and after a rollback what it went back from, waits and is not listed before headgate resume (headgate status counts its slots, headgate log LOG lists them)`;
}

function describeReason({ standing, decision, why, damaged }: HeldBatch, output: Output): string {
  if (damaged !== null) return `DAMAGED (${damaged})`;
  if (decision !== null && decision !== standing) return `${decision}, not yet published`;
  // What was found in records is no sentence of ours.
  return isWaiting(standing) ? output.called(why ?? '') : (why ?? '');
}

interface HeldBatch {
  readonly standing: Standing;
  readonly decision: 'released' | 'condemned' | null;
  readonly why: string | null;
  readonly damaged: ErrorCode | null;
}

/**
 * The held batches of a ref, and those that were found suspect and that no publish could take up, for their logs are damaged.
 * @param damaged takes up what cannot be read.
 */
async function heldLines(
  ledger: LedgerContext,
  head: ControlHead,
  ref: string,
  damaged: Damage[],
): Promise<BatchLine[]> {
  const { logs, snapshots } = ledger;
  const { verdicts, decisions } = head.state;
  const snapshot = await snapshots.read(currentSnapshot(head, ref));
  const lines: BatchLine[] = [];
  for (const page of snapshot.held.pages) lines.push(...((await readable(damaged, () => snapshots.page(page))) ?? []));
  const listed = new Set(lines.map(({ digest }) => digest));
  for (const [digest, { outcome, log, slot }] of Object.entries(verdicts)) {
    if (outcome !== 'suspect' || listed.has(digest) || decisions[digest] !== undefined) continue;
    const batch = await readable(damaged, () => logs.readBatch({ log, slot, digest }));
    if (batch !== null) lines.push(lineOf(batch, 'suspect'));
  }
  return lines;
}

/** Codes of the damaged ones among the logs of batches that wait for the next publish: it does not look at them. */
async function damagedLogs(
  { logs, snapshots }: LedgerContext,
  head: ControlHead,
  ref: string,
  lines: readonly BatchLine[],
  damaged: Damage[],
): Promise<ReadonlyMap<string, ErrorCode>> {
  const names = new Set(lines.flatMap(({ log, standing }) => (isWaiting(standing) ? [log] : [])));
  const lost: Damage[] = [];
  const covered = await readable(damaged, async () => {
    const sha256 = head.state.refs[ref];
    return sha256 === undefined ? new Map<string, HeadLine>() : snapshots.heads((await snapshots.read(sha256)).heads);
  });
  if (covered !== null)
    await eachLimited(names, READS_AT_ONCE, async (name) => {
      const log = parseLogId(name);
      if (log === undefined) return;
      const line = covered.get(name);
      const covers = async () => (line === undefined ? null : logs.headAt(log, line.slot, line.digest));
      await readable(lost, async () => logs.head(log, await covers()), name);
    });
  damaged.push(...lost);
  return new Map(lost.map(({ object, code }) => [object, code]));
}

function isWaiting(standing: Standing): boolean {
  return standing === 'small' || standing === 'no-baseline';
}

/** Why a batch is held, and what is lost of it. */
interface Reason {
  readonly why: string | null;
  readonly losses: readonly Damage[];
}

async function reasonOf(
  ledger: LedgerContext,
  line: BatchLine,
  state: ControlState,
  recordsMin: number,
): Promise<Reason> {
  const losses: Damage[] = [];
  // Nothing of it is needed any more.
  if (state.decisions[line.digest]?.outcome === 'condemned' || line.standing === 'condemned')
    return { why: await whyHeld(ledger, { ...line, standing: 'condemned' }, state, recordsMin), losses };
  const batch = await readable(losses, () => ledger.logs.readBatch(line));
  if (batch === null) return { why: null, losses };
  losses.push(...(await damageOfBatches(ledger, [batch])));
  try {
    return { why: losses.length > 0 ? null : await whyHeld(ledger, line, state, recordsMin), losses };
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return { why: null, losses: [damageOfBatch(error, placeOf(batch))] };
  }
}

/** Why a batch is held, in one sentence. */
async function whyHeld(
  ledger: LedgerContext,
  { standing, log, slot, digest, rows }: BatchLine,
  state: ControlState,
  recordsMin: number,
): Promise<string> {
  switch (standing) {
    case 'clean':
    case 'released':
      return '';
    case 'no-baseline': {
      const topic = parseLogId(log)?.topic ?? '';
      const isOlder = state.repinned?.[topic] !== undefined && rows > 0;
      const { schema } = isOlder ? (await ledger.logs.readBatch({ log, slot, digest })).entry : { schema: null };
      if (schema !== null && schema !== state.schemas[topic]) return WHY_OTHER_SCHEMA;
      return whyNoBaseline({ topic, rows }, state, recordsMin);
    }
    case 'small':
      return whySmall(rows, recordsMin);
    case 'failed': {
      const { verdict } = (await ledger.logs.readBatch({ log, slot, digest })).entry;
      return verdict === 'clean' ? WHY_STALE : 'judging it failed';
    }
    case 'condemned':
      return 'condemned by a person';
    case 'suspect': {
      const batch = await ledger.logs.readBatch({ log, slot, digest });
      const { judgement, together } = await judgementInForce(ledger, batch);
      return whySuspect(judgement, together);
    }
  }
}

/** `headgate quarantine show`: one batch. */
export async function show(context: CommandContext, id: string, ref: string | undefined): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const batch = await findBatch(ledger, ref ?? loaded.config.publish.ref, id);
    const { judgement, baseline, seq, together } = await judgementInForce(ledger, batch);
    const { skipped, ...evidence } = await readEvidence(ledger, batch);
    const deadLetterCauses = whyUndecoded(evidence);
    const { entry, digest } = batch;
    const reasons = reasonsOf(judgement);
    const observed = judgement.findings.filter(({ action }) => action === 'observe');
    const union = together > 1 ? `, ${describeUnion(together)}` : '';
    const reason = judgement.reason === null ? '' : ` (${judgement.reason})`;
    const lines = [
      `batch      ${digest}`,
      `log        ${formatLogId(batch.log)} slot ${entry.slot}, offsets [${entry.start}, ${entry.end})`,
      `records    ${formatCount(entry.records)}, of them ${counted(entry.deadLetterRecords, 'dead letter')}`,
      ...listCauses(deadLetterCauses).map((line) => `           ${context.output.called(line)}`),
      `committed  ${entry.time}, ${entry.mode} mode, then ${entry.verdict}${entry.undecided === null ? '' : ` (${entry.undecided})`}`,
      `verdict    ${judgement.outcome}${reason}, score ${judgement.score.toFixed(2)}${seq === null ? '' : `, judged again by control entry ${seq}`}${union}`,
      ...(judgement.failure === undefined
        ? []
        : [`failed     detector ${judgement.failure.detector}: ${judgement.failure.message}`]),
      `baseline   ${baseline ?? 'none'}`,
      `root       ${entry.root}`,
      `data       ${entry.data?.key ?? 'none'}`,
      ...(entry.deadLetters === null ? [] : [`dead       ${entry.deadLetters.key}`]),
      reasons.length === 0 ? 'findings   none' : 'findings',
      ...reasons.map(describeFinding),
      ...(observed.length === 0 ? [] : ['observed only (these rules hold nothing)', ...observed.map(describeFinding)]),
    ];
    context.output.result(
      {
        digest,
        entry,
        judgement,
        judgedBySeq: seq,
        judgedTogether: together,
        reasons,
        baseline,
        skipped,
        deadLetterCauses,
      },
      lines,
    );
    return undefined;
  });
}

function describeFinding({ hard, action, pValue, family, detector, sentence, detail }: Finding): string {
  const weight = action === 'observe' ? 'rule' : hard ? 'hard' : `p = ${pValue.toPrecision(2)}`;
  const examples = detail.length > 0 ? ` (${detail.slice(0, 5).join(', ')})` : '';
  return `  ${weight}  ${family}/${detector}: ${sentence}${examples}`;
}

/** `headgate quarantine release` and `condemn`. @param batches digests or their first digits, or LOG@OFFSET */
export function decideAll(
  context: CommandContext,
  batches: readonly string[],
  outcome: 'released' | 'condemned',
  options: ActOptions,
): Promise<CommandResult> {
  return onRef(context, options, (act) => decideEach(act, batches, outcome));
}

async function decideEach(
  { context, ledger, ref, actor }: RefAct,
  batches: readonly string[],
  outcome: 'released' | 'condemned',
): Promise<CommandResult> {
  const decisions = [];
  for (const batch of batches) decisions.push(await decide(ledger, ref, batch, outcome, actor, context.kill));
  context.output.result(
    { ref, decisions },
    decisions.map(
      ({ digest, log, slot, unchanged }) =>
        `${outcome}${unchanged ? ' already' : ''} ${digest.slice(0, 12)} (${log} slot ${slot})${unchanged ? '' : '; the next publish carries it out'}`,
    ),
  );
  return undefined;
}
