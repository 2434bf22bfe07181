import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { ERROR_CODES } from '../../../src/errors.ts';
import { ROOT, sourceFiles, withoutComments } from './source-files.ts';

const CODES = Object.keys(ERROR_CODES);

describe('every error code', () => {
  it('is thrown somewhere', () => {
    const sources = sourceFiles('src', 'workers').filter(({ path }) => path !== 'src/errors.ts');
    const text = sources.map((file) => withoutComments(file.text)).join('\n');
    expect(CODES.filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });

  it('stands in the reference with its meaning, what is unharmed and how to mend it, and nothing else does', () => {
    const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
    const rows = page.split('\n').flatMap((line) => {
      const [, code, ...cells] = /^\| `([A-Z_]+)` \|/.test(line) ? line.split('|').map((cell) => cell.trim()) : [];
      return code === undefined ? [] : [{ code: code.slice(1, -1), cells: cells.slice(0, -1) }];
    });
    expect(rows.map(({ code }) => code)).toEqual(CODES);
    const isTold = (cell: string): boolean => /^[A-Z].{8,}[.]$/.test(cell);
    const silent = rows.filter(({ cells }) => cells.length !== 3 || !cells.every(isTold));
    expect(silent).toEqual([]);
  });

  it('is mended by commands that there are', () => {
    const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
    const commands = readFileSync(join(ROOT, 'docs/reference/cli.md'), 'utf8');
    const named = [...page.matchAll(/`(headgate(?: [a-z]+)+)/g)].map(([, command]) => command!);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((command) => !commands.includes(`## ${command}\n`))).toEqual([]);
  });

  it('has a meaning that is a sentence', () => {
    for (const meaning of Object.values(ERROR_CODES)) expect(meaning).toMatch(/^[A-Z].*[.]$/);
  });
});

describe('every error message', () => {
  it('begins with a capital and ends without a full stop', () => {
    const message =
      /new (?:(?:Config|Halt|Conflict|Unavailable|Uncertain|NotFound|Request)Error\(|IntegrityError\(\s*'[A-Z_]+',\s*[^,'"`]+,)\s*(?:'[A-Z_]+',\s*)?(['`])((?:(?!\1).)*)\1/g;
    expect(sourceFiles('src').flatMap(({ text }) => [...text.matchAll(message)]).length).toBeGreaterThan(100);
    const wrong = sourceFiles('src', 'workers').flatMap(({ path, text }) =>
      [...text.matchAll(message)]
        .map(([, , words]) => words!)
        .filter((words) => !/^[A-Z$]/.test(words) || words.endsWith('.'))
        .map((words) => `${path}: ${words}`),
    );
    expect(wrong).toEqual([]);
  });
});
