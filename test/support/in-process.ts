import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';

import { DiskStore } from '../../src/adapters/disk/store.ts';
import type { CommandResult } from '../../src/cli/context.ts';
import { exitCodeOf } from '../../src/cli/exit-codes.ts';
import { Output } from '../../src/cli/output.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { HeadgateError } from '../../src/errors.ts';
import type { CommandOutput } from './cli.ts';
import { TestLedger, type TestLedgerOptions } from './ledger.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Runs one command line in this process, from its sources: for tests that look into it or plan what happens meanwhile. */
export function runHere(folder: string, ...args: string[]): Promise<CommandOutput> {
  return runUntil(new AbortController().signal, folder, ...args);
}

/** The same, until `stop` tells it to end. Nothing ends it by force. */
export async function runUntil(stop: AbortSignal, folder: string, ...args: string[]): Promise<CommandOutput> {
  const [out, err] = [new TextSink(), new TextSink()];
  const output = new Output(out, err, args.includes('--json'));
  const never = new AbortController().signal;
  let result: CommandResult;
  try {
    const program = buildProgram((configPath) => async (work) => {
      output.nameConfig(configPath);
      result = await work({
        output,
        called: { program: 'headgate', demo: 'headgate demo' },
        environment: {},
        folder,
        configPath,
        stop,
        kill: never,
        interrupted: () => false,
        limitDrain: () => undefined,
      });
    });
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    output.error(error);
    result = exitCodeOf(error);
  }
  return { code: result ?? 0, stdout: out.text, stderr: err.text };
}

/** A folder with a configuration, and the ledger that it leads to, which tests fill by themselves. */
export async function openFolder(
  options: Pick<TestLedgerOptions, 'prepared' | 'clock'> = {},
): Promise<{ readonly folder: string; readonly test: TestLedger }> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'store'));
  const test = await TestLedger.open({ ...options, store: await DiskStore.open(join(folder, 'store')) });
  const { document } = test.trust;
  await writeFile(join(folder, 'trust.json'), JSON.stringify(document));
  await writeFile(
    join(folder, 'headgate.yaml'),
    `pipeline: ${document.pipeline}\ndeployment: here\nstore: { url: ./store }\nsource: { files: { topic: orders, paths: [./data.ndjson] } }\n`,
  );
  return { folder, test };
}

class TextSink extends Writable {
  text = '';

  override _write(part: Buffer, _encoding: string, done: () => void): void {
    this.text += part.toString('utf8');
    done();
  }
}
