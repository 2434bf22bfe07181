import { parquetFormat } from '../../adapters/parquet/format.ts';
import { verifyPipeline } from '../../respond/verify.ts';
import { endCode, withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { formatBytes, formatCount } from '../output.ts';
import type { Register } from '../program.ts';

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
    const onProgress = (batches: number): void => context.output.progress(`${formatCount(batches)} batches checked`);
    const report = await verifyPipeline(ledger, { deep, format: parquetFormat, signal: context.stop, onProgress });
    const checked = `${formatCount(report.batches)} batches, ${formatCount(report.records)} records, ${formatCount(report.controlEntries)} control entries, ${formatCount(report.objects)} objects, ${formatBytes(report.bytes)}`;
    const lines = report.ok
      ? [`ok: ${checked}${deep ? ', every record re-hashed' : ''}`]
      : [
          ...report.problems.map(({ object, reason }) => `TAMPERED ${object}: ${reason}`),
          `${report.problems.length} problems in ${checked}`,
        ];
    context.output.result(report, lines);
    return endCode(context, report.ok ? EXIT.ok : EXIT.tampered);
  });
}
