import type { Finding } from '../../detect/judgement.ts';
import { eachLimited } from '../../ledger/each-limited.ts';
import type { ControlState } from '../../ledger/control-state.ts';
import type { BatchLine } from '../../ledger/snapshot.ts';
import { readEvidence } from '../../ledger/evidence.ts';
import { formatLogId, parseLogId } from '../../record/log-id.ts';
import { decide, findBatch } from '../../respond/decisions.ts';
import { judgementInForce } from '../../respond/judgement-in-force.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { describeUnion, reasonsOf, whySuspect } from '../../respond/reasons.ts';
import { currentSnapshot } from '../../respond/refs.ts';
import { parseLimit, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { whyNoBaseline, whySmall } from '../hints.ts';
import { counted, formatCount, table } from '../output.ts';
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
    const lines: BatchLine[] = [];
    // Before the first publish there is nothing of the published ref; any other name is one that nobody knows.
    if (head.state.refs[name] !== undefined || name !== loaded.config.publish.ref) {
      const snapshot = await ledger.snapshots.read(currentSnapshot(head, name));
      for await (const line of ledger.snapshots.batches(snapshot.held)) lines.push(line);
    }
    const shown = lines.slice(0, limit);
    const reasons = new Map<string, string>();
    await eachLimited(shown, READS_AT_ONCE, async (line) => {
      reasons.set(line.digest, await whyHeld(ledger, line, head.state, loaded.config.judge.recordsMin));
    });
    const held = lines.map((line) => ({
      ...line,
      decision: head.state.decisions[line.digest]?.outcome ?? null,
      why: reasons.get(line.digest) ?? null,
    }));
    const rows = held.slice(0, limit).map(({ digest, standing, log, start, end, records, decision, why }) => [
      digest.slice(0, 12),
      standing,
      `${log} [${start}, ${end})`,
      formatCount(records),
      decision === null || decision === standing
        ? // What was found in records is no sentence of ours.
          standing === 'no-baseline' || standing === 'small'
          ? context.output.called(why ?? '')
          : (why ?? '')
        : `${decision}, not yet published`,
    ]);
    const more = held.length > limit ? [`… ${held.length - limit} more (--limit ${held.length} shows all)`] : [];
    context.output.result(
      { ref: name, held },
      rows.length === 0
        ? ['nothing is held back']
        : [...table([['batch', 'standing', 'log and offsets', 'records', 'why'], ...rows]), ...more],
    );
    return undefined;
  });
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
    case 'no-baseline':
      return whyNoBaseline({ topic: parseLogId(log)?.topic ?? '', rows }, state, recordsMin);
    case 'small':
      return whySmall(rows, recordsMin);
    case 'failed':
      return 'judging it failed';
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
    const { skipped } = await readEvidence(ledger, batch);
    const { entry, digest } = batch;
    const reasons = reasonsOf(judgement);
    const observed = judgement.findings.filter(({ action }) => action === 'observe');
    const union = together > 1 ? `, ${describeUnion(together)}` : '';
    const reason = judgement.reason === null ? '' : ` (${judgement.reason})`;
    const lines = [
      `batch      ${digest}`,
      `log        ${formatLogId(batch.log)} slot ${entry.slot}, offsets [${entry.start}, ${entry.end})`,
      `records    ${formatCount(entry.records)}, of them ${counted(entry.deadLetterRecords, 'dead letter')}`,
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
      { digest, entry, judgement, judgedBySeq: seq, judgedTogether: together, reasons, baseline, skipped },
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
      ({ digest, log, slot }) =>
        `${outcome} ${digest.slice(0, 12)} (${log} slot ${slot}); the next publish carries it out`,
    ),
  );
  return undefined;
}
