import type { Command } from 'commander';

import { buildProgram } from '../src/cli/program.ts';
import { printJsonSchema } from '../src/config/json-schema.ts';
import { printDefaults } from '../src/config/print.ts';
import { ERROR_CODES, type ErrorCode } from '../src/errors.ts';
import { ERROR_REMEDIES } from '../src/respond/error-remedies.ts';

/** Path (from the repository's root) → text of every generated file. */
export function generatedFiles(): Map<string, string> {
  return new Map([
    ['config/default.yaml', printDefaults()],
    ['config/schema.json', printJsonSchema()],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/cli.md', cliPage()],
  ]);
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, meaning]) => {
    const { unharmed, mend } = ERROR_REMEDIES[code as ErrorCode];
    return `| \`${code}\` | ${meaning} | ${unharmed} | ${mend} |`;
  });
  return `# Error codes\n\nGenerated from \`src/errors.ts\` and \`src/respond/error-remedies.ts\` (\`npm run generate\`). Every error carries one of these codes; with \`--json\` it is the field \`error.code\`. A partition that has halted is tried again when its process is started again.\n\n| code | meaning | what is unharmed | how to mend it |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function cliPage(): string {
  let overview = '';
  const program = buildProgram(() => async () => undefined, {
    writeOut: (text) => (overview += text),
    getOutHelpWidth: () => HELP_WIDTH,
  });
  program.outputHelp();
  const parts = [...commandsOf(program)].map(({ name, command }) => `## ${name}\n\n${block(helpOf(command))}\n`);
  return `# Command line\n\nGenerated from the commands themselves (\`npm run generate\`).\n\n${block(overview)}\n\n${parts.join('\n')}`;
}

const HELP_WIDTH = 120;

function block(text: string): string {
  return `\`\`\`\n${text.trimEnd()}\n\`\`\``;
}

function helpOf(command: Command): string {
  return command.configureHelp({ ...command.configureHelp(), helpWidth: HELP_WIDTH }).helpInformation();
}

function* commandsOf(parent: Command, prefix = 'headgate'): Generator<{ name: string; command: Command }> {
  for (const command of parent.commands) {
    const name = `${prefix} ${command.name()}`;
    if (command.commands.length === 0) yield { name, command };
    else yield* commandsOf(command, name);
  }
}
