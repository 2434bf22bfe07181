import type { Command } from 'commander';

import type { CommandContext, CommandResult } from './context.ts';

/** Runs a command's work with its context; commands call it from their actions. */
export type Runner = (work: (context: CommandContext) => Promise<CommandResult>) => Promise<void>;

/** Adds one group of commands. `runner` is asked for at the time of the call, when the options are parsed. */
export type Register = (program: Command, runner: () => Runner) => void;
