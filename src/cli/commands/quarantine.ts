import { findBatch, decide } from '../../respond/decisions.ts';
import { currentSnapshot } from '../../respond/refs.ts';
import { readEvidence } from '../../publish/rejudge.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted, formatCount, table } from '../output.ts';
import type { Register } from '../program.ts';
import { formatLogId } from '../../record/log-id.ts';
import { onRef, type RefAct } from './refs.ts';

/** `headgate quarantine …`. */
export const registerQuarantine: Register = (program, runner) => {
  const quarantine = program.command('quarantine').description('batches that are held back');
  quarantine
    .command('list')
    .description('batches that are held back, and why')
    .option('--ref <name>', 'ref (default: the published one)')
    .action(({ ref }: { ref?: string }) => runner()((context) => list(context, ref)));
  quarantine
    .command('show')
    .argument('<batch>', 'digest or its first digits, or LOG@OFFSET')
    .description('one batch: its verdict, its reasons, its evidence')
    .option('--ref <name>', 'ref (default: the published one)')
    .action((batch: string, { ref }: { ref?: string }) => runner()((context) => show(context, batch, ref)));
  for (const [name, outcome, description] of [
    ['release', 'released', 'let a held batch into the dataset'],
    ['condemn', 'condemned', 'keep a batch out of the dataset for good'],
  ] as const) {
    quarantine
      .command(name)
      .argument('<batch...>', 'digests or their first digits, or LOG@OFFSET')
      .description(`${description}; signed, and carried out by the publisher`)
      .requiredOption('--reason <text>', 'why; it is signed')
      .option('--ref <name>', 'ref (default: the published one)')
      .action((batches: string[], options: { reason: string; ref?: string }) =>
        runner()((context) => onRef(context, options, (act) => decideAll(act, batches, outcome))),
      );
  }
};

async function list(context: CommandContext, ref: string | undefined): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const head = await ledger.control.head();
    const name = ref ?? loaded.config.publish.ref;
    const held = [];
    if (head.state.refs[name] !== undefined) {
      const snapshot = await ledger.snapshots.read(currentSnapshot(head, name));
      for await (const line of ledger.snapshots.batches(snapshot.held))
        held.push({ ...line, decision: head.state.decisions[line.digest]?.outcome ?? null });
    }
    const rows = held.map((line) => [
      line.digest.slice(0, 12),
      line.standing,
      line.log,
      `[${line.start}, ${line.end})`,
      formatCount(line.records),
      line.decision === null || line.decision === line.standing ? '' : `${line.decision}, not yet published`,
    ]);
    context.output.result(
      { ref: name, held },
      rows.length === 0
        ? ['nothing is held back']
        : table([['batch', 'standing', 'log', 'offsets', 'records', ''], ...rows]),
    );
    return undefined;
  });
}

async function show(context: CommandContext, id: string, ref: string | undefined): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const batch = await findBatch(ledger, ref ?? loaded.config.publish.ref, id);
    const { judgement, skipped } = await readEvidence(ledger, batch);
    const { entry, digest } = batch;
    const findings = judgement.findings.map(
      (finding) =>
        `  ${finding.hard ? 'hard' : `p = ${finding.pValue.toPrecision(2)}`}  ${finding.family}/${finding.detector}: ${finding.sentence}${finding.detail.length > 0 ? ` (${finding.detail.slice(0, 5).join(', ')})` : ''}`,
    );
    const lines = [
      `batch      ${digest}`,
      `log        ${formatLogId(batch.log)} slot ${entry.slot}, offsets [${entry.start}, ${entry.end})`,
      `records    ${formatCount(entry.records)}, of them ${counted(entry.deadLetterRecords, 'dead letter')}`,
      `verdict    ${entry.verdict}${entry.undecided === null ? '' : ` (${entry.undecided})`}, score ${judgement.score.toFixed(2)}, ${entry.mode} mode, committed ${entry.time}`,
      `baseline   ${entry.baseline ?? 'none'}`,
      `root       ${entry.root}`,
      `data       ${entry.data?.key ?? 'none'}`,
      ...(entry.deadLetters === null ? [] : [`dead       ${entry.deadLetters.key}`]),
      findings.length === 0 ? 'findings   none' : 'findings',
      ...findings,
    ];
    context.output.result({ digest, entry, judgement, skipped }, lines);
    return undefined;
  });
}

async function decideAll(
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
