import { describeHaltRules } from '../detect/rules/halt-rules.ts';
import type { ErrorCode } from '../errors.ts';
import { haltRulesBrokenBy } from '../ledger/evidence.ts';
import type { LogHead } from '../ledger/log-head.ts';
import { formatLogId } from '../record/log-id.ts';
import { wayOutOf } from './error-remedies.ts';
import { readHaltNotes, type HaltNote } from './halt-notes.ts';
import type { LedgerContext } from './ledger-context.ts';

/** A partition that is not read on. */
export interface Halt {
  readonly log: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** When it stopped, ISO 8601. */
  readonly since: string;
  /** First offset that is not committed. */
  readonly next: number;
  /** What leads out: a command, or where to read on. */
  readonly wayOut: string;
  /** `log`: the signed log says so. `process`: the process that stopped has noted it; not signed, and may be outdated. */
  readonly source: 'log' | 'process';
}

/**
 * The partitions that have halted: by a rule, as their logs say; for any other reason, as their processes have noted.
 * @param heads of all logs. @param resumed number of the control entry of the last resume; −1 = none
 * @returns by log; of one log, the halt that the log says first
 * Cost: the newest entries of a log that a rule has halted and the evidence of its batch, and one GET a note.
 * @throws IntegrityError, UnavailableError
 */
export async function findHalts(ledger: LedgerContext, heads: readonly LogHead[], resumed: number): Promise<Halt[]> {
  const halts: Halt[] = [];
  for (const head of heads)
    if (head.haltedAt !== null && resumed <= head.haltedAt) halts.push(await haltOfRule(ledger, head));
  const known = new Map(heads.map((head) => [formatLogId(head.log), head]));
  for (const note of await readHaltNotes(ledger)) {
    // No process notes a halt by a rule: the log says it, and it is signed.
    if (note.code === 'RULE' || isOver(note, known.get(note.log))) continue;
    const [, named] = /\(way out: ([^()]*(?:\([^()]*\)[^()]*)*)\)\s*$/.exec(note.message) ?? [];
    const wayOut = named ?? wayOutOf(note.code as ErrorCode);
    halts.push({ ...note, code: note.code as ErrorCode, wayOut, source: 'process' });
  }
  // Stable: what a log says itself stays before what was noted of it.
  return halts.toSorted((a, b) => (a.log === b.log ? 0 : a.log < b.log ? -1 : 1));
}

async function haltOfRule(ledger: LedgerContext, { log, slot, next }: LogHead): Promise<Halt> {
  const name = formatLogId(log);
  // Claims may follow the batch that halted the log.
  const batch = await ledger.logs.newestBatch(log, slot);
  const what = describeHaltRules(batch === null ? [] : await haltRulesBrokenBy(ledger, batch));
  return {
    log: name,
    code: 'RULE',
    message: `${what[0]!.toUpperCase()}${what.slice(1)}; the batch is committed as suspect (headgate quarantine show ${name}@${next - 1} tells more)`,
    since: batch?.entry.time ?? '',
    next,
    wayOut: 'headgate resume --reason TEXT',
    source: 'log',
  };
}

/**
 * A log that has grown since is read on, by whom ever. Where foreign writes were the trouble, it is once an entry follows of
 * the deployment that gave way: none can without a claim of its own.
 */
function isOver({ code, next, yielded }: HaltNote, head: LogHead | undefined): boolean {
  if (head === undefined) return false;
  // At 0 it may not have been known where the log stood: then only who reads on takes the note back.
  if (code !== 'FOREIGN_WRITER') return next > 0 && head.next > next;
  return yielded !== undefined && head.slot > yielded.slot && head.deployment === yielded.deployment;
}
