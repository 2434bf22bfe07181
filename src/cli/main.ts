#!/usr/bin/env node
import { CommanderError } from 'commander';

import { HeadgateError, RequestError } from '../errors.ts';
import { calledAs } from './called-as.ts';
import type { CommandContext, CommandResult } from './context.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { Output } from './output.ts';
import { buildProgram } from './program.ts';

// The SDK's advice about Node versions is for our release notes, not for every command's standard error.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
process.exitCode = await main(process.argv.slice(2));

/** Runs one command line; returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  // A reader that goes away (`headgate log | head`) is no error (matrix C6).
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.unavailable),
  );
  const stop = new AbortController();
  const kill = new AbortController();
  let interrupted = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    interrupted ||= signal === 'SIGINT';
    if (stop.signal.aborted) kill.abort();
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const folder = process.cwd();
  const called = calledAs({ npmEvent: process.env['npm_lifecycle_event'], script: process.argv[1], folder });
  const output = new Output(process.stdout, process.stderr, wantsJson(argv), called.program);
  let result: CommandResult;
  const run =
    (configPath: string | null) =>
    async (work: (context: CommandContext) => Promise<CommandResult>): Promise<void> => {
      output.nameConfig(configPath);
      const limitDrain = (timeoutMs: number): void =>
        stop.signal.addEventListener('abort', () => setTimeout(() => kill.abort(), timeoutMs).unref());
      const context = {
        output,
        called,
        environment: process.env,
        folder,
        configPath,
        stop: stop.signal,
        kill: kill.signal,
        interrupted: () => interrupted,
        limitDrain,
      };
      result = await work(context);
    };
  try {
    // What the parser complains of is reported below, in the shape that was asked for.
    const write = { outputError: () => undefined, ...(output.json ? { writeErr: () => undefined } : {}) };
    await buildProgram(run, write).parseAsync(argv, { from: 'user' });
    return result ?? EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return endOfParsing(error, output);
    if (interrupted) return EXIT.interrupted;
    output.error(error as Error);
    return error instanceof HeadgateError ? exitCodeOf(error) : EXIT.unavailable;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** True when --json is given: before the line is parsed, because a line that cannot be parsed is told in JSON too. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json');
}

/** The exit code of a line that led to no command: help and version were asked for, or it cannot be parsed. */
function endOfParsing({ exitCode, code, message }: CommanderError, output: Output): number {
  if (exitCode === 0) return EXIT.ok;
  // Without a command, people were shown the help already.
  if (code !== 'commander.help' || output.json) {
    const why =
      code === 'commander.help' ? 'it names no command' : message.replace(/^error: |\.$/g, '').replaceAll('\n', ' ');
    output.error(
      new RequestError('REQUEST_INVALID', `Cannot use this command line: ${why} (--help shows what there is)`),
    );
  }
  return EXIT.usage;
}
