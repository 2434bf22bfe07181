import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';

import { buildProgram } from '../../../src/cli/program.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs/ARCHITECTURE.md',
  'docs/formats.md',
  'docs/detection.md',
  'docs/operating/kafka.md',
];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
const program = buildProgram(() => async () => undefined);

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
