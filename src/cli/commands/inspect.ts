import { RequestError } from '../../errors.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import { formatLogId, parseLogId } from '../../record/log-id.ts';
import { currentSnapshot, resolveSnapshot } from '../../respond/refs.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { formatBytes, formatCount, table } from '../output.ts';
import type { Register } from '../program.ts';

/** `headgate status`, `log`, `show`: looking without touching. */
export const registerInspect: Register = (program, runner) => {
  program
    .command('status')
    .description('what is published, held and in force')
    .action(() => runner()(status));
  program
    .command('log')
    .argument('[log]', 'a partition log, CLUSTER/TOPIC/PARTITION; without it the control log')
    .description('what was decided, or what was read from one partition, newest first')
    .option('-n, --limit <count>', 'entries to show', '20')
    .action((log: string | undefined, { limit }: { limit: string }) =>
      runner()((context) => showLog(context, log, limit)),
    );
  program
    .command('show')
    .argument('<id>', 'a ref, a snapshot, or control entry number N')
    .description('one snapshot or control entry')
    .action((id: string) => runner()((context) => show(context, id)));
};

async function status(context: CommandContext): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const { config } = loaded;
    const { ref } = config.publish;
    const head = await ledger.control.head();
    const { state } = head;
    const sha256 = state.refs[ref] ?? null;
    const snapshot = sha256 === null ? null : await ledger.snapshots.read(sha256);
    const standings: Record<string, number> = {};
    if (snapshot !== null)
      for await (const { standing } of ledger.snapshots.batches(snapshot.held))
        standings[standing] = (standings[standing] ?? 0) + 1;
    const logs = [];
    const covered = snapshot === null ? new Map<string, never>() : await ledger.snapshots.heads(snapshot.heads);
    for await (const log of ledger.logs.list()) {
      const line = covered.get(formatLogId(log));
      const at = await ledger.logs.head(log, line === undefined ? null : await ledger.logs.headAt(log, line.slot));
      logs.push({
        log: formatLogId(log),
        next: at!.next,
        slots: at!.slot + 1,
        epoch: at!.epoch,
        unpublishedSlots: at!.slot - (line?.slot ?? -1),
        halted: at!.haltedAt !== null && (state.resumed[ref] ?? -1) <= at!.haltedAt,
      });
    }
    const report = {
      pipeline: config.pipeline,
      mode: config.mode,
      store: ledger.store.location,
      ref,
      snapshot: sha256,
      records: snapshot?.records ?? 0,
      bytes: snapshot?.bytes ?? 0,
      batches: snapshot?.batches.count ?? 0,
      held: snapshot?.held.count ?? 0,
      standings,
      onHold: state.holds[ref] !== undefined,
      baselines: state.baselines,
      candidates: state.candidates,
      schemas: state.schemas,
      falseAlarmBudget: config.judge.falseAlarmBudget,
      controlEntries: nextSeq(head),
      newestEntry: head.newest?.entry.time ?? null,
      logs,
    };
    const heldText = Object.entries(standings)
      .map(([standing, count]) => `${formatCount(count)} ${standing}`)
      .join(', ');
    const lines = [
      `pipeline  ${config.pipeline} (${config.mode} mode), store ${report.store}`,
      sha256 === null
        ? `${ref}      not published yet`
        : `${ref}      ${sha256.slice(0, 12)}: ${formatCount(report.records)} records in ${formatCount(report.batches)} batches, ${formatBytes(report.bytes)}${report.onHold ? '; ON HOLD' : ''}`,
      `held      ${report.held === 0 ? 'nothing' : heldText}`,
      ...Object.keys({ ...state.schemas, ...state.baselines }).map(
        (topic) =>
          `topic     ${topic}: baseline ${state.baselines[topic]?.slice(0, 12) ?? (state.candidates[topic] === undefined ? 'none' : `none, candidate ${state.candidates[topic].slice(0, 12)} waits for approval`)}, schema ${state.schemas[topic]?.slice(0, 12) ?? 'none'}`,
      ),
      `control   ${formatCount(report.controlEntries)} entries, newest ${report.newestEntry ?? 'never'}`,
      `logs      ${formatCount(logs.length)}`,
      ...table(
        logs
          .slice(0, 50)
          .map(({ log, next, slots, unpublishedSlots, halted }) => [
            `  ${log}`,
            `next offset ${formatCount(next)}`,
            `${formatCount(slots)} slots`,
            unpublishedSlots > 0 ? `${unpublishedSlots} not covered` : '',
            halted ? 'HALTED by a rule' : '',
          ]),
      ),
      ...(logs.length > 50 ? [`  … ${logs.length - 50} more`] : []),
    ];
    context.output.result(report, lines);
    return undefined;
  });
}

async function showLog(context: CommandContext, name: string | undefined, limitText: string): Promise<CommandResult> {
  const limit = Number(limitText);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot show "${limitText}" entries: wanted a whole number of at least 1`,
    );
  return withLedger(context, async (_loaded, ledger) => {
    if (name === undefined) {
      const end = nextSeq(await ledger.control.head());
      const entries = [];
      for (let seq = end - 1; seq >= Math.max(0, end - limit); seq--) entries.push((await ledger.control.read(seq))!);
      const rows = entries.map(({ entry, keyId }) => [
        String(entry.seq),
        entry.time,
        entry.kind,
        about(entry),
        entry.by,
        ledger.trust.nameOf(keyId),
        'reason' in entry ? entry.reason : '',
      ]);
      context.output.result(
        { entries: entries.map(({ entry, digest, keyId }) => ({ ...entry, digest, keyId })) },
        table(rows),
      );
      return undefined;
    }
    const log = parseLogId(name);
    const head = log === undefined ? null : await ledger.logs.head(log);
    if (log === undefined || head === null)
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot show log "${name}": there is none (headgate status lists them)`,
      );
    const entries = [];
    for (let slot = head.slot; slot >= Math.max(0, head.slot - limit + 1); slot--)
      entries.push((await ledger.logs.read(log, slot))!);
    const rows = entries.map(({ entry, digest }) => [
      String(entry.slot),
      entry.time,
      entry.kind,
      entry.kind === 'batch' || entry.kind === 'gap' ? `[${entry.start}, ${entry.end})` : '',
      entry.kind === 'batch'
        ? `${formatCount(entry.records)} records, ${entry.verdict}${entry.undecided === null ? '' : ` (${entry.undecided})`}`
        : `epoch ${entry.epoch}`,
      digest.slice(0, 12),
    ]);
    context.output.result({ entries: entries.map(({ entry, digest }) => ({ ...entry, digest })) }, table(rows));
    return undefined;
  });
}

function about(
  entry: { readonly kind: string } & Partial<Record<'ref' | 'topic' | 'snapshot' | 'to', string>> & {
      readonly batch?: { readonly log: string; readonly slot: number };
    },
): string {
  if (entry.batch !== undefined) return `${entry.batch.log} slot ${entry.batch.slot}`;
  const target = entry.snapshot ?? entry.to;
  return `${entry.ref ?? entry.topic ?? ''}${target === undefined ? '' : ` → ${target.slice(0, 12)}`}`;
}

async function show(context: CommandContext, id: string): Promise<CommandResult> {
  return withLedger(context, async (_loaded, ledger) => {
    const head = await ledger.control.head();
    if (/^\d{1,5}$/.test(id) && head.state.refs[id] === undefined) {
      const verified = await ledger.control.read(Number(id));
      if (verified === null)
        throw new RequestError(
          'REQUEST_INVALID',
          `Cannot show control entry ${id}: the newest is ${nextSeq(head) - 1}`,
        );
      context.output.result(
        { ...verified.entry, digest: verified.digest, keyId: verified.keyId },
        JSON.stringify(verified.entry, null, 2).split('\n'),
      );
      return undefined;
    }
    const sha256 = head.state.refs[id] === undefined ? await resolveSnapshot(ledger, id) : currentSnapshot(head, id);
    const snapshot = await ledger.snapshots.read(sha256);
    context.output.result({ sha256, ...snapshot }, [
      `snapshot  ${sha256}`,
      `parent    ${snapshot.parent ?? 'none'}`,
      `records   ${formatCount(snapshot.records)} in ${formatCount(snapshot.batches.count)} batches, ${formatBytes(snapshot.bytes)}`,
      `held      ${formatCount(snapshot.held.count)} batches`,
      `root      ${snapshot.batches.root}`,
      `control   up to entry ${snapshot.controlSeq}`,
    ]);
    return undefined;
  });
}
