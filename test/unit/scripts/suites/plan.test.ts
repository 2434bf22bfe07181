import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discoverFolders, planSuites } from '../../../../scripts/suites/plan.ts';

const CHECKS = ['typecheck', 'lint', 'format', 'unused', 'build'];
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'headgate-plan-'));
  for (const file of [
    'unit/a/b.test.ts',
    'integration/c.test.ts',
    'long/d.test.ts',
    'novel/e.test.ts',
    'contract/f.test.ts',
    'support/g.ts',
    'h.test.ts',
  ]) {
    await mkdir(dirname(join(root, 'test', file)), { recursive: true });
    await writeFile(join(root, 'test', file), '');
  }
});

afterAll(() => rm(root, { recursive: true, force: true }));

describe('discoverFolders', () => {
  it('finds the folders that hold tests at any depth, the quick ones first and the long ones last', () => {
    expect(discoverFolders(root)).toEqual(['unit', 'contract', 'integration', 'novel', 'long']);
  });
});

describe('planSuites', () => {
  it('runs the checks, then every folder but the long one', () => {
    expect(names([], false)).toEqual([...CHECKS, 'unit', 'contract', 'integration', 'novel']);
  });

  it('adds the long folder when it is asked for it, by --full or by name', () => {
    expect(names([], true).at(-1)).toBe('long');
    expect(names(['long'], false)).toEqual(['long']);
  });

  it('runs only what is named, in its own order', () => {
    expect(names(['integration', 'lint'], false)).toEqual(['lint', 'integration']);
  });

  it('refuses a name that is none, and lists those that are', () => {
    expect(() => names(['unit', 'unti'], false)).toThrow(
      'Cannot run "unti": the suites are typecheck, lint, format, unused, build, unit, contract, integration, novel, long',
    );
  });

  it('gives services to every folder that is not known to do without', () => {
    const suites = planSuites(root, { names: [], full: true });
    expect(suites.filter((suite) => suite.needsServices).map((suite) => suite.name)).toEqual([
      'contract',
      'integration',
      'novel',
      'long',
    ]);
  });
});

function names(wanted: string[], full: boolean): string[] {
  return planSuites(root, { names: wanted, full }).map((suite) => suite.name);
}
