import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CommanderError, type Command } from 'commander';
import { describe, expect, it } from 'vitest';

import { EXIT } from '../../../src/cli/exit-codes.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { parseConfig } from '../../../src/config/load.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs/ARCHITECTURE.md',
  'docs/formats.md',
  'docs/detection.md',
  'docs/operating/alerts.md',
  'docs/operating/files.md',
  'docs/operating/gate.md',
  'docs/operating/incident.md',
  'docs/operating/kafka.md',
  'docs/operating/keys.md',
  'docs/operating/s3.md',
  'docs/operating/schema.md',
  'docs/reference/dead-letters.md',
];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
const silent = { writeOut: () => undefined, writeErr: () => undefined };
/** The real command line, whose commands do nothing. */
const newProgram = (): Command => buildProgram(() => async () => undefined, silent);
const program = newProgram();

/** The command that words begin with, or undefined. */
function find(words: readonly string[]): Command | undefined {
  let at: Command | undefined = program;
  for (const word of words) {
    if (at.commands.length === 0) break;
    at = at.commands.find((command: Command) => command.name() === word);
    if (at === undefined) return undefined;
  }
  return at;
}

/** Command lines of `headgate` in the shell blocks of a page, one a command. */
function blockLines(page: string): string[] {
  return [...read(page).matchAll(/```sh\n([^]*?)```/g)]
    .flatMap(([, block]) => block!.split(/\n|&&/))
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => /^(npx )?headgate\b/.test(line));
}

/** Command lines of `headgate` within sentences and tables. */
function spanLines(page: string): string[] {
  return [...read(page).matchAll(/`((?:npx )?headgate [^`]+)`/g)].map(([, line]) => line!);
}

/** The words of a command line after the program's name, as a shell splits them. */
function argumentsOf(line: string): string[] {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare!,
  );
  return words.slice(words.indexOf('headgate') + 1);
}

describe('every command line', () => {
  it.each(PAGES.flatMap((page) => blockLines(page).map((line) => [page, line])))(
    'in a shell block of %s is understood as printed: %s',
    async (_, line) => {
      await expect(newProgram().parseAsync(argumentsOf(line), { from: 'user' })).resolves.toBeDefined();
    },
  );

  it.each(spanLines('README.md'))('in a sentence of the README is understood as printed: %s', async (line) => {
    await expect(newProgram().parseAsync(argumentsOf(line), { from: 'user' })).resolves.toBeDefined();
  });

  it('that lacks what it needs would be noticed', async () => {
    expect(blockLines('README.md').length).toBeGreaterThan(7);
    expect(spanLines('README.md').length).toBeGreaterThan(9);
    for (const line of ['headgate hold', 'headgate gate --bogus', 'headgate bogus', 'headgate pull'])
      await expect(newProgram().parseAsync(argumentsOf(line), { from: 'user' }), line).rejects.toThrow(CommanderError);
  });
});

describe('every piece of configuration', () => {
  const blocks = PAGES.flatMap((page) =>
    [...read(page).matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => [page, text!] as const),
  );

  it.each(blocks)('in %s is accepted as printed', (_, text) => {
    const source = text.includes('source:') ? '' : 'source: { files: { topic: t, paths: [data] } }\n';
    // Files that it refers to lie elsewhere.
    const here = text.replace(/\$\{file:[^}]*\}/g, 'x');
    const environment = { KAFKA_PASSWORD: 'x', WEBHOOK_SECRET: 'x', HEADGATE_PASSPHRASE: 'x' };
    expect(() =>
      parseConfig(
        /^pipeline:/m.test(here) ? here : `pipeline: p\ndeployment: d\n${source}${here}`,
        '/x/headgate.yaml',
        environment,
      ),
    ).not.toThrow();
  });

  it('is found', () => {
    expect(blocks.length).toBeGreaterThan(1);
  });
});

describe('the help of a command', () => {
  const everyCommand = (parent: Command): Command[] =>
    parent.commands.flatMap((command) => (command.commands.length === 0 ? [command] : everyCommand(command)));

  it('marks the options that must be given, in the usage line too', () => {
    const demanding = everyCommand(program).filter(({ options }) => options.some(({ mandatory }) => mandatory));
    expect(demanding.map((command) => command.name())).toEqual(
      expect.arrayContaining(['hold', 'resume', 'rollback', 'release', 'condemn']),
    );
    for (const command of demanding) {
      const help = command.helpInformation();
      expect(help, command.name()).toMatch(/^Usage: .* --reason <text> \[options\]/);
      expect(help, command.name()).toMatch(/--reason <text> .*\(required\)/);
    }
  });

  it('ends with every exit code, and so does the reference', () => {
    for (const [name, code] of Object.entries(EXIT))
      expect(read('docs/reference/cli.md'), name).toMatch(new RegExp(`^ {2}${code} +\\S`, 'm'));
  });
});

describe('the documentation', () => {
  it.each(PAGES)('%s names only commands and options that exist', (page) => {
    for (const [line] of read(page).matchAll(/headgate (?:[a-z]+ ?)+(?:--[a-z-]+[^`\n]*)?/g)) {
      const words = line
        .split(/\s+/)
        .slice(1)
        .filter((word) => /^[a-z]+$/.test(word));
      const command = find(words);
      if (command === undefined && !/`|npx|\$/.test(contextOf(page, line))) continue;
      expect(command, `${page}: ${line}`).toBeDefined();
      const options = [...line.matchAll(/--[a-z-]+/g)].map(([option]) => option);
      const known = [...(command?.options ?? []), ...program.options].map(({ long }) => long);
      for (const option of options) expect([...known, '--help'], `${page}: ${line}`).toContain(option);
    }
  });

  it.each(PAGES)('%s links only to files that exist', (page) => {
    for (const [, target] of read(page).matchAll(/\]\(([^)#:]+)\)/g))
      expect(existsSync(join(ROOT, dirname(page), target!)), `${page}: ${target}`).toBe(true);
  });

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const page of PAGES)
      for (const [, script] of read(page).matchAll(/npm run ([a-z:]+)/g))
        expect(Object.keys(scripts), page).toContain(script);
  });
});

/** The characters before a match, to tell a command from prose. */
function contextOf(page: string, line: string): string {
  const text = read(page);
  return text.slice(Math.max(0, text.indexOf(line) - 4), text.indexOf(line));
}
