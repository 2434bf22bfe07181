import { IntegrityError } from '../../errors.ts';
import { eachLimited } from '../../ledger/each-limited.ts';
import type { BatchLine } from '../../ledger/snapshot.ts';
import { judgementInForce } from '../../respond/judgement-in-force.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { whySuspect } from '../../respond/reasons.ts';
import { currentSnapshot } from '../../respond/refs.ts';
import { parseLimit, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { describeDamage, readable, type Damage } from '../damage.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, formatCount } from '../output.ts';

const READS_AT_ONCE = 16;

/** `headgate quarantine list --published`: batches of the dataset that were not judged clean, and why they are in it. */
export async function listPublished(
  context: CommandContext,
  ref: string | undefined,
  limitText: string,
): Promise<CommandResult> {
  const limit = parseLimit(limitText);
  return withLedger(context, async (loaded, ledger) => {
    const head = await ledger.control.head();
    const name = ref ?? loaded.config.publish.ref;
    const damaged: Damage[] = [];
    const isPublished = head.state.refs[name] !== undefined || name !== loaded.config.publish.ref;
    const lines = isPublished ? await unclean(ledger, currentSnapshot(head, name), damaged) : [];
    const reasons = new Map<string, string>();
    await eachLimited(lines.slice(0, limit), READS_AT_ONCE, async (line) => {
      const why = await readable(damaged, () => whyPublished(ledger, line, loaded.config.judge.recordsMin));
      if (why !== null) reasons.set(line.digest, why);
    });
    const published = lines.map((line) => ({
      ...line,
      decision: head.state.decisions[line.digest]?.outcome ?? null,
      why: reasons.get(line.digest) ?? null,
    }));
    const rows = published
      .slice(0, limit)
      .map(({ digest, standing, log, start, end, records, decision, why }) => [
        digest.slice(0, 12),
        standing,
        `${log} [${start}, ${end})`,
        formatCount(records),
        decision === 'condemned' ? 'condemned, not yet taken out' : (why ?? 'DAMAGED'),
      ]);
    const more = lines.length > limit ? [`… ${lines.length - limit} more (--limit ${lines.length} shows all)`] : [];
    const { output } = context;
    output.result({ ref: name, published, damaged }, [
      ...(rows.length > 0
        ? [
            ...output.table(['batch', 'standing', 'log and offsets', 'records', 'why'], rows, true),
            ...more,
            output.called(
              `${counted(lines.length, 'batch')} of the dataset not judged clean: headgate quarantine condemn BATCH --reason TEXT takes one out`,
            ),
          ]
        : damaged.length === 0
          ? ['every published batch was judged clean']
          : []),
      ...damaged.map((each) => output.called(describeDamage(each))),
    ]);
    return damaged.length > 0 ? EXIT.tampered : undefined;
  });
}

/** The batches of a snapshot that were not judged clean. @param damaged takes up what cannot be read. */
async function unclean({ snapshots }: LedgerContext, sha256: string, damaged: Damage[]): Promise<BatchLine[]> {
  const found: BatchLine[] = [];
  for (const page of (await snapshots.read(sha256)).batches.pages)
    for (const line of (await readable(damaged, () => snapshots.page(page))) ?? [])
      if (line.standing !== 'clean') found.push(line);
  return found;
}

/** Why a batch is in the dataset that was not judged clean, in one sentence. @throws IntegrityError */
async function whyPublished(ledger: LedgerContext, line: BatchLine, recordsMin: number): Promise<string> {
  switch (line.standing) {
    case 'clean':
      return '';
    case 'released':
      return 'released by a person';
    case 'no-baseline':
      return 'read in observe mode before there was a baseline';
    case 'small':
      return `read in observe mode: ${formatCount(line.rows)} of the ${formatCount(recordsMin)} records that judging takes`;
    case 'failed':
      return 'read in observe mode: judging it failed';
    case 'suspect': {
      const { judgement, together } = await judgementInForce(ledger, await ledger.logs.readBatch(line));
      return `read in observe mode: ${whySuspect(judgement, together)}`;
    }
    case 'condemned':
      throw new IntegrityError('CHAIN_BROKEN', line.digest, `Cannot explain "${line.digest}": it is condemned`);
  }
}
