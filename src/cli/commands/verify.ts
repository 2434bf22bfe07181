import { parquetFormat } from '../../adapters/parquet/format.ts';
import { verifyPipeline } from '../../respond/verify.ts';
import { endCode, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { counted, formatBytes } from '../output.ts';
import type { Register } from '../register.ts';

/** `headgate verify`. */
export const registerVerify: Register = (program, runner) => {
  program
    .command('verify')
    .description('check signatures, chains, roots and objects of the whole pipeline; exit 2 and names what is wrong')
    .option('--deep', 'also decode every file and recompute every record’s leaf')
    .action(({ deep = false }: { deep?: boolean }) => runner()((context) => verify(context, deep)));
};

async function verify(context: CommandContext, deep: boolean): Promise<CommandResult> {
  return withLedger(context, async (_loaded, ledger) => {
    const onProgress = (batches: number): void => context.output.progress(`${counted(batches, 'batch')} checked`);
    const report = await verifyPipeline(ledger, { deep, format: parquetFormat, signal: context.stop, onProgress });
    const checked = `${counted(report.batches, 'batch')}, ${counted(report.records, 'record')}, ${counted(report.controlEntries, 'control entry')}, ${counted(report.objects, 'object')}, ${formatBytes(report.bytes)}`;
    const lines = report.ok
      ? [`ok: ${checked}${deep ? ', every record re-hashed' : ''}`]
      : [
          ...report.problems.map(({ object, reason }) => `TAMPERED ${object}: ${reason}`),
          `${counted(report.problems.length, 'problem')} in ${checked}`,
        ];
    context.output.result(report, lines);
    return endCode(context, report.ok ? EXIT.ok : EXIT.tampered);
  });
}
