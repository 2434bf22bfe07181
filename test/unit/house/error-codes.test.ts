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

  it('stands in the reference, and nothing else does', () => {
    const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
    expect([...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code)).toEqual(CODES);
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
