import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { ROOT, sourceFiles, type SourceFile } from './source-files.ts';

/*
 * Who may know whom. The wings are pure and know the outside world as ports; adapters know ports and nothing of the
 * wings; one part, compose/, knows both. What is not named here is forbidden.
 */

/** Parts of src that may be imported for more than their types. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  'src/errors.ts': [],
  'src/record': ['src/errors.ts'],
  'src/ports': ['src/errors.ts', 'src/record'],
  'src/observe': [],
  'src/detect': ['src/errors.ts', 'src/record'],
  'src/ledger': ['src/errors.ts', 'src/record', 'src/ports'],
  'src/ingest': ['src/errors.ts', 'src/record', 'src/ports'],
  'src/publish': ['src/errors.ts', 'src/record', 'src/ports', 'src/ledger', 'src/detect'],
  'src/respond': ['src/errors.ts', 'src/record', 'src/ports', 'src/ledger', 'src/detect', 'src/publish'],
  'src/fsck': ['src/errors.ts', 'src/record', 'src/ports'],
  'src/config': ['src/errors.ts', 'src/record'],
  'src/adapters': ['src/errors.ts', 'src/record', 'src/ports'],
  'src/cli': [
    'src/errors.ts',
    'src/record',
    'src/observe',
    'src/config',
    'src/compose',
    'src/ledger',
    'src/ingest',
    'src/publish',
    'src/respond',
    'src/fsck',
    'src/adapters/system',
  ],
  'src/compose': [
    'src/errors.ts',
    'src/record',
    'src/ports',
    'src/observe',
    'src/config',
    'src/adapters',
    'src/detect',
    'src/ledger',
    'src/ingest',
    'src/publish',
    'src/respond',
    'src/fsck',
  ],
  workers: ['src/compose', 'src/errors.ts'],
};

/** Parts whose types may be imported as well. */
const MAY_NAME: Readonly<Record<string, readonly string[]>> = {
  'src/ingest': ['src/detect', 'src/ledger'],
  'src/cli': ['src/detect', 'src/ports'],
  workers: ['src/ports'],
};

/** Where one file may do what its part may not, and why. An entry that is no longer needed fails. */
const EXCEPTIONS: readonly (readonly [from: string, to: string, why: string])[] = [
  ['src/ingest/commit-batch.ts', 'src/ledger', 'the straight line from a judged batch to its slot'],
  ['src/ingest/judge-batch.ts', 'src/detect', 'the straight line from a batch to its verdict'],
  ['src/ingest/partition.ts', 'src/ledger', 'the straight line from a partition log to a position'],
  ['src/ingest/pinned-schema.ts', 'src/ledger', 'reads the schema that the control log has pinned'],
  ['src/ingest/rule-halt.ts', 'src/ledger', 'reads which rules halted a partition'],
  ['src/ingest/rule-halt.ts', 'src/detect', 'reads which rules halted a partition'],
  ['src/ingest/topics.ts', 'src/ledger', 'reads what the control log says of a topic'],
  ['src/ingest/topics.ts', 'src/detect', 'prepares the baseline that is in force'],
  ['src/ledger/evidence.ts', 'src/detect', 'reads the evidence of a verdict for ingest and respond alike'],
  [
    'src/config/meaning-topics.ts',
    'src/detect/rules',
    'rules that cannot work are refused at the start, not at the first batch',
  ],
  ['src/adapters/console-alert/console-alert-channel.ts', 'src/observe', 'strips what could control the terminal'],
  ['src/cli/commands/init.ts', 'src/adapters/keys', 'makes keys before there is anything to compose'],
  ['src/cli/commands/verify.ts', 'src/adapters/parquet', 'verifies folders and stores without a configuration'],
  ['workers/encode.ts', 'src/adapters', 'a thread that only encodes must load nothing else'],
  ['workers/encode.ts', 'src/ledger/data', 'a thread that only encodes must load nothing else'],
];

/** Packages, and the only places that may know them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-s3': ['src/adapters/s3'],
  'apache-arrow': ['src/ledger/data', 'src/ports/file-format.ts', 'src/adapters/parquet'],
  bullmq: ['src/adapters/bullmq'],
  commander: ['src/cli'],
  ioredis: ['src/adapters/bullmq'],
  kafkajs: ['src/adapters/kafkajs'],
  'parquet-wasm': ['src/adapters/parquet'],
  'simple-statistics': ['src/detect'],
  tinyglobby: ['src/adapters/file', 'src/config/own-files.ts'],
  typebox: ['src/config', 'src/detect', 'src/ledger', 'src/publish', 'src/respond'],
  yaml: ['src/config'],
};

const files = sourceFiles('src', 'workers');

const isIn = (path: string, part: string): boolean => path === part || path.startsWith(`${part}/`);

/** The part that a file belongs to: for adapters and the wings a folder, else the file itself. */
function partOf(path: string): string | undefined {
  return Object.keys(MAY_USE).find((part) => isIn(path, part));
}

/** Imports that leave their part, each with the exception that allows it, if one does. */
function* crossings(): Generator<{ readonly line: string; readonly isAllowed: boolean; readonly exception: number }> {
  for (const { path, imports } of files) {
    const part = partOf(path);
    // The public library names what is public; house/public-surface.test.ts pins it.
    if (path === 'src/index.ts') continue;
    for (const { target, isType, isPackage } of imports) {
      if (isPackage || (part !== undefined && part !== 'src/adapters' && isIn(target, part))) continue;
      if (part === 'src/adapters' && isIn(target, path.split('/').slice(0, 3).join('/'))) continue;
      const allowed = [...(MAY_USE[part ?? ''] ?? []), ...(isType ? (MAY_NAME[part ?? ''] ?? []) : [])];
      const exception = EXCEPTIONS.findIndex(([from, to]) => from === path && isIn(target, to));
      const line = `${path} → ${target}`;
      yield { line, isAllowed: allowed.some((each) => isIn(target, each)), exception };
    }
  }
}

describe('the table of the house in the architecture', () => {
  const page = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
  const [, house = ''] = /## The house\n([^]*?)\n## /.exec(page) ?? [];
  const namesIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!).toSorted();
  const short = (parts: readonly string[] = []): string[] =>
    parts
      // Is not built yet.
      .filter((part) => part !== 'src/fsck' && part !== 'src/errors.ts')
      .map((part) => part.replace('src/', ''))
      .toSorted();

  it('says what is held here, of every part', () => {
    const rows = house.split('\n').filter((line) => line.startsWith('| `'));
    const told = rows.map((row) => {
      const [, part = '', , uses = '', names = ''] = row.split('|');
      return [namesIn(part)[0], namesIn(uses), namesIn(names)];
    });
    const parts = Object.keys(MAY_USE).filter((part) => part !== 'src/fsck');
    const held = parts.map((part) => [part.replace('src/', ''), short(MAY_USE[part]), short(MAY_NAME[part])]);
    const byName = ([a]: readonly unknown[], [b]: readonly unknown[]): number => String(a).localeCompare(String(b));
    expect(told.toSorted(byName)).toEqual(held.toSorted(byName));
  });
});

describe('imports', () => {
  it('go only where the house lets them', () => {
    const forbidden = [...crossings()].filter(({ isAllowed, exception }) => !isAllowed && exception < 0);
    expect(forbidden.map(({ line }) => line)).toEqual([]);
  });

  it('need every exception that is made', () => {
    const used = new Set([...crossings()].filter(({ isAllowed }) => !isAllowed).map(({ exception }) => exception));
    expect(EXCEPTIONS.filter((_, i) => !used.has(i))).toEqual([]);
  });

  it('are of parts that are known', () => {
    const unknown = files.filter(({ path }) => path !== 'src/index.ts' && partOf(path) === undefined);
    expect(unknown.map(({ path }) => path)).toEqual([]);
  });

  it('of packages stay in the places of each', () => {
    const astray = files.flatMap(({ path, imports }) =>
      imports
        .filter(({ target, isPackage }) => isPackage && !target.startsWith('node:'))
        .filter(({ target }) => PACKAGES[target]?.some((place) => isIn(path, place)) !== true)
        .map(({ target }) => `${path} → ${target}`),
    );
    expect(astray).toEqual([]);
  });

  it('make no circle', () => {
    expect(circles(files)).toEqual([]);
  });

  it('name the file, with its extension', () => {
    const known = new Set(files.map(({ path }) => path));
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter(({ target, isPackage }) => !isPackage && !known.has(target))
        .map(({ target }) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });
});

/** Every circle of imports as a text. Those of types count: what names each other cannot be understood one after the other. */
function circles(all: readonly SourceFile[]): string[] {
  const byPath = new Map(all.map((file) => [file.path, file]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push([...trail.slice(at), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const { target } of byPath.get(path)?.imports ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of all) visit(path, []);
  return found;
}
