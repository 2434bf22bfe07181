import { describeHaltRules } from '../detect/rules/halt-rules.ts';
import { HaltError } from '../errors.ts';
import { haltRulesBrokenBy } from '../ledger/evidence.ts';
import type { LogHead } from '../ledger/log-head.ts';
import type { WriterContext } from '../ledger/partition-writer.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';

/**
 * The error of a partition that rules have halted; a later process, which reads of the halt in the log, tells the same.
 * @param next first offset after the batch that broke them. @param rules names of those that were broken
 */
export function ruleHalt(log: LogId, next: number, rules: readonly string[]): HaltError {
  const where = formatLogId(log);
  return new HaltError(
    'RULE',
    `Cannot go on with "${where}": ${describeHaltRules(rules)}; the batch is committed as suspect, and headgate quarantine show ${where}@${next - 1} tells more (way out: headgate resume --reason TEXT)`,
  );
}

/**
 * Refuses to go on behind a batch that broke a rule with action halt, until someone resumes: no entry may follow it before.
 * @param resumedSeq number of the control entry of the newest resume; −1 = none
 * @throws HaltError RULE; UnavailableError
 */
export async function assertNotHalted(
  writers: WriterContext,
  { log, slot, haltedAt, next }: LogHead,
  resumedSeq: () => Promise<number>,
): Promise<void> {
  if (haltedAt === null || (await resumedSeq()) > haltedAt) return;
  const batch = await writers.logs.newestBatch(log, slot);
  throw ruleHalt(log, next, batch === null ? [] : await haltRulesBrokenBy(writers, batch));
}
