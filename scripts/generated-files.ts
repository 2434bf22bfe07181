import type { Command } from 'commander';

import { buildProgram } from '../src/cli/program.ts';
import { printJsonSchema } from '../src/config/json-schema.ts';
import { printDefaults } from '../src/config/print.ts';
import { ERROR_CODES } from '../src/errors.ts';

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
  const rows = Object.entries(ERROR_CODES).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`);
  return `# Error codes\n\nGenerated from \`src/errors.ts\` (\`npm run generate\`). Every error carries one of these codes; with \`--json\` it is the field \`error.code\`.\n\n| code | meaning |\n| --- | --- |\n${rows.join('\n')}\n`;
}

function cliPage(): string {
  const program = buildProgram(() => async () => undefined);
  program.configureHelp({ helpWidth: 120 });
  const parts = [...commandsOf(program)].map(
    ({ name, command }) => `## ${name}\n\n\`\`\`\n${command.helpInformation().trimEnd()}\n\`\`\`\n`,
  );
  return `# Command line\n\nGenerated from the commands themselves (\`npm run generate\`).\n\n\`\`\`\n${program.helpInformation().trimEnd()}\n\`\`\`\n\n${parts.join('\n')}`;
}

function* commandsOf(parent: Command, prefix = 'headgate'): Generator<{ name: string; command: Command }> {
  for (const command of parent.commands) {
    const name = `${prefix} ${command.name()}`;
    if (command.commands.length === 0) yield { name, command: command.configureHelp({ helpWidth: 120 }) };
    else yield* commandsOf(command, name);
  }
}
