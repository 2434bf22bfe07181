import { resolve } from 'node:path';

import { openTarget } from '../../compose/local-folder.ts';
import { assertPullable } from '../../compose/pull-place.ts';
import { IntegrityError, RequestError } from '../../errors.ts';
import { gate, type GateReport } from '../../respond/gate.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { pull } from '../../respond/pull.ts';
import { listFiles } from '../../respond/pull/snapshot-files.ts';
import { resolveSnapshot } from '../../respond/refs.ts';
import { endCode, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { besides } from '../dead-letters.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, formatBytes, formatCount, type Output } from '../output.ts';

/** `headgate gate`. */
export async function askGate(
  context: CommandContext,
  ref: string,
  maxAge: string | undefined,
): Promise<CommandResult> {
  const maxAgeMs = maxAge === undefined ? null : parseDuration(maxAge);
  try {
    return await withLedger(context, async (_loaded, ledger) => {
      const report = await gate(ledger, { ref, maxAgeMs, signal: context.stop });
      context.output.result(report, gateLines(report, context.output));
      return endCode(context, gateCode(report));
    });
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    context.output.result(
      { verdict: 'tampered', ref, problems: [{ object: error.object, code: error.code, reason: error.reason }] },
      [`TAMPERED ${error.object}: ${error.reason}`],
    );
    return EXIT.tampered;
  }
}

function gateCode({ verdict }: GateReport): number {
  return { pass: EXIT.ok, refused: EXIT.refused, tampered: EXIT.tampered, stale: EXIT.stale }[verdict];
}

function gateLines(report: GateReport, output: Output): string[] {
  const what =
    report.snapshot === null
      ? `"${report.ref}"`
      : `"${report.ref}" at ${report.snapshot.slice(0, 12)}, ${counted(report.records, 'record')} in ${counted(report.batches, 'batch')}${besides(report.deadLetters)}`;
  const head = report.verdict === 'pass' ? `pass: ${what}` : `${report.verdict.toUpperCase()}: ${what}`;
  return [
    head,
    ...report.problems.map(({ object, reason }) => `  ${object}: ${reason}`),
    ...report.reasons.map((reason) => `  ${reason}`),
    ...report.warnings.map((warning) => output.called(`  warning: ${warning}`)),
  ];
}

/** `headgate pull`. */
export async function pullRef(
  context: CommandContext,
  ref: string,
  dir: string | undefined,
  { list = false, ungated = false }: { list?: boolean; ungated?: boolean },
): Promise<CommandResult> {
  if (dir === '')
    throw new RequestError(
      'REQUEST_INVALID',
      'Cannot pull: the target folder is empty (mend: name a folder; "." is the current one)',
    );
  return withLedger(context, async (loaded, ledger) => {
    if (dir !== undefined && !list) await assertPullable(loaded, resolve(context.folder, dir));
    const snapshot = ungated ? await resolveSnapshot(ledger, ref) : await gated(context, ledger, ref);
    if (typeof snapshot === 'number') return snapshot;
    if (list) {
      const files = await listFiles(ledger, snapshot);
      context.output.result(
        { snapshot, files },
        context.output.table(
          ['sha256', 'bytes', 'version', 'address'],
          files.map(({ sha256, bytes, versionId, uri }) => [sha256, String(bytes), versionId ?? '-', uri]),
        ),
      );
      return endCode(context);
    }
    if (dir === undefined)
      throw new RequestError(
        'REQUEST_INVALID',
        'Cannot pull: no target folder is given (headgate pull REF DIR, or --list)',
      );
    const target = openTarget(resolve(context.folder, dir));
    const report = await pull(ledger, snapshot, target, context.stop, (done, of) =>
      context.output.progress(`${formatCount(done)} of ${counted(of, 'file')}`),
    );
    const summary = `${counted(report.records, 'record')} in ${counted(report.files, 'file')}${besides(report.deadLetters)}, ${formatBytes(report.bytes)}: ${formatCount(report.downloaded)} downloaded, ${formatCount(report.kept)} kept, ${formatCount(report.removed)} removed`;
    const line = report.complete
      ? `pulled ${snapshot.slice(0, 12)} into ${dir}: ${summary}`
      : `interrupted: ${dir} is as it was; ${formatCount(report.downloaded)} of ${counted(report.files, 'file')} set aside for the next pull`;
    context.output.result(report, [line]);
    return endCode(context, report.complete ? EXIT.ok : EXIT.interrupted);
  });
}

/** The snapshot that the gate has let pass, not the one that the ref may name by now; the exit code if it did not. */
async function gated(context: CommandContext, ledger: LedgerContext, ref: string): Promise<string | number> {
  const report = await gate(ledger, { ref, maxAgeMs: null, signal: context.stop });
  if (report.verdict !== 'pass' || report.snapshot === null) {
    context.output.result(report, gateLines(report, context.output));
    return gateCode(report);
  }
  for (const warning of report.warnings) context.output.note(`warning: ${warning}`);
  return report.snapshot;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `24h`, `7d` → ms. @throws RequestError */
function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot read duration "${text}": wanted a number with ms, s, m, h or d, e.g. 24h`,
    );
  return Number(amount) * UNITS[unit]!;
}
