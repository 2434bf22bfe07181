import { RequestError } from '../../errors.ts';
import { nextSeq } from '../../ledger/control-log.ts';
import { parseLogId } from '../../record/log-id.ts';
import { newestEntries } from '../../respond/newest-entries.ts';
import { currentSnapshot, resolveSnapshot } from '../../respond/refs.ts';
import { parseLimit, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { ofThem } from '../dead-letters.ts';
import { counted, formatBytes, formatCount } from '../output.ts';

/** `headgate log`: entries of one log, newest first. */
export async function showLog(
  context: CommandContext,
  name: string | undefined,
  limitText: string,
): Promise<CommandResult> {
  const limit = parseLimit(limitText);
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
        context.output.table(['entry', 'time', 'kind', 'about', 'by', 'key', 'reason'], rows),
      );
      return undefined;
    }
    const log = parseLogId(name);
    const entries = log === undefined ? [] : await newestEntries(ledger, log, limit);
    if (entries.length === 0)
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot show log "${name}": there is none (headgate status lists them)`,
      );
    const rows = entries.map(({ entry, digest }) => [
      String(entry.slot),
      entry.time,
      entry.kind,
      entry.kind === 'batch' || entry.kind === 'gap' ? `[${entry.start}, ${entry.end})` : '',
      entry.kind === 'batch'
        ? `${counted(entry.records, 'record')}${ofThem(entry.deadLetterRecords)}, ${entry.verdict}${entry.undecided === null ? '' : ` (${entry.undecided})`}`
        : `epoch ${entry.epoch}`,
      digest.slice(0, 12),
    ]);
    context.output.result(
      { entries: entries.map(({ entry, digest }) => ({ ...entry, digest })) },
      context.output.table(['slot', 'time', 'kind', 'offsets', 'what', 'digest'], rows),
    );
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

/** `headgate show`: one snapshot or control entry. */
export async function show(context: CommandContext, id: string): Promise<CommandResult> {
  return withLedger(context, async (_loaded, ledger) => {
    const head = await ledger.control.head();
    if (head.state.refs[id] === undefined && isEntryNumber(id, nextSeq(head))) {
      const verified = await ledger.control.read(Number(id));
      if (verified === null)
        throw new RequestError(
          'REQUEST_INVALID',
          `Cannot show control entry ${id}: ${head.newest === null ? 'there are none yet' : `the newest is ${head.newest.entry.seq}`}`,
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
      `records   ${formatCount(snapshot.records)} in ${counted(snapshot.batches.count, 'batch')}, ${formatBytes(snapshot.bytes)}`,
      `held      ${counted(snapshot.held.count, 'batch')}`,
      `root      ${snapshot.batches.root}`,
      `control   up to entry ${snapshot.controlSeq}`,
    ]);
    return undefined;
  });
}

/** Six digits and more may begin the id of a snapshot as well; then an entry that exists goes before. */
function isEntryNumber(id: string, end: number): boolean {
  return /^\d{1,5}$/.test(id) || (/^\d{6,15}$/.test(id) && Number(id) < end);
}
