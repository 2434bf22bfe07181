import { parquetFormat } from '../../adapters/parquet/format.ts';
import { openLedgerOf, type OpenedLedger } from '../../compose/ledger.ts';
import { IntegrityError } from '../../errors.ts';
import { verifyPipeline, type VerifyReport } from '../../respond/verify.ts';
import { endCode, load, tellRetry, type CommandContext, type CommandResult } from '../context.ts';
import { ofThem } from '../dead-letters.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, formatBytes } from '../output.ts';

/** `headgate verify`. */
export async function verify(context: CommandContext, deep: boolean): Promise<CommandResult> {
  const loaded = await load(context);
  await using ledger = await openLedgerOf(loaded, tellRetry(context));
  const atMark = await problemAtMark(ledger);
  const onProgress = (batches: number): void => context.output.progress(`${counted(batches, 'batch')} checked`);
  const found = await verifyPipeline(ledger, { deep, format: parquetFormat, signal: context.stop, onProgress });
  const isNew = atMark !== null && found.problems.every(({ object }) => object !== atMark.object);
  const report = isNew ? { ...found, ok: false, problems: [atMark, ...found.problems] } : found;
  const checked = `${counted(report.batches, 'batch')}, ${counted(report.records, 'record')}${ofThem(report.deadLetters)}, ${counted(report.controlEntries, 'control entry')}, ${counted(report.objects, 'object')}, ${formatBytes(report.bytes)}`;
  const lines = report.ok
    ? [`ok: ${checked}${deep ? ', every record re-hashed' : ''}`]
    : [
        ...report.problems.map(({ object, reason }) => `TAMPERED ${object}: ${reason}`),
        `${counted(report.problems.length, 'problem')} in ${checked}`,
      ];
  context.output.result(report, [...lines, ...report.warnings.map((warning) => `  warning: ${warning}`)]);
  return endCode(context, report.ok ? EXIT.ok : EXIT.tampered);
}

/** What the store's head has against what this machine saw last: one finding among others, not the end of the search. */
async function problemAtMark({ marks, control }: OpenedLedger): Promise<VerifyReport['problems'][number] | null> {
  try {
    await marks.check(control, await control.head());
    return null;
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return { object: error.object, code: error.code, reason: error.reason };
  }
}
