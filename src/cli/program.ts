import { readFileSync } from 'node:fs';

import { Command, Help, type Option, type OutputConfiguration } from 'commander';

import { GROUPS } from './command-line.ts';
import { describeExitCodes } from './exit-codes.ts';
import type { Runner } from './register.ts';

/**
 * The whole command line; a line that it cannot parse throws a CommanderError.
 * @param run makes a runner for a configuration path.
 * @param write where help and the parser's own complaints go; by default standard output and error.
 */
export function buildProgram(run: (configPath: string | null) => Runner, write: OutputConfiguration = {}): Command {
  const program = new Command('headgate')
    .description(
      'Stands between a stream and a training set: hashes, judges, quarantines and signs every batch before it is published.',
    )
    .version(version(), '-V, --version', 'print the version')
    .option('-c, --config <file>', 'configuration file (default: headgate.yaml, or $HEADGATE_CONFIG)')
    .option('--json', 'print results as JSON, also errors')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput(write)
    .configureHelp({ optionDescription: describeOption, commandUsage: describeUsage })
    .addHelpText(
      'after',
      `\nExit codes:\n${describeExitCodes()
        .map((line) => `  ${line}\n`)
        .join('')}`,
    );
  const runner = (): Runner => run((program.opts()['config'] as string | undefined) ?? null);
  for (const register of GROUPS) register(program, runner);
  for (const command of everyCommand(program)) {
    command
      .exitOverride()
      .option('--json', 'print results as JSON, also errors')
      .option('-c, --config <file>', 'configuration file');
    command.hook('preAction', (_, action) => {
      const { config } = action.opts();
      if (config !== undefined) program.setOptionValue('config', config);
    });
  }
  return program;
}

const HELP = new Help();

/** An option that must be given says so. */
function describeOption(option: Option): string {
  return `${HELP.optionDescription(option)}${option.mandatory ? ' (required)' : ''}`;
}

/** The usage line names the options that must be given. */
function describeUsage(command: Command): string {
  const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
  return HELP.commandUsage(command).replace('[options]', [...required, '[options]'].join(' '));
}

function* everyCommand(parent: Command): Generator<Command> {
  for (const command of parent.commands) {
    if (command.commands.length === 0) yield command;
    else yield* everyCommand(command);
  }
}

function version(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string }).version;
    } catch {
      continue;
    }
  }
  return 'unknown';
}
