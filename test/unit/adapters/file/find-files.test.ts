import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { FileFinder } from '../../../../src/adapters/file/find-files.ts';
import { Layout } from '../../../../src/ledger/layout.ts';
import { assertKey } from '../../../../src/ports/object-key.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { NOTHING_OWN } from './reading.ts';

let base: string;

beforeEach(async () => {
  base = await temporaryFolder();
});

async function make(...names: readonly (string | Buffer)[]): Promise<void> {
  for (const name of names) {
    const path = Buffer.concat([Buffer.from(`${base}/`), Buffer.from(name)]);
    await mkdir(dirname(path.toString()), { recursive: true });
    await writeFile(path, '{}\n');
  }
}

async function find(...paths: readonly string[]): Promise<{ ids: string[]; refused: string[]; faults: string[] }> {
  const { files, refused, faults } = await new FileFinder(paths, base, 'stdin-1', NOTHING_OWN).find();
  return {
    ids: files.map(({ id }) => id),
    refused: refused.map(({ id }) => id),
    faults: faults.map(({ path, message }) => `${path} ${message}`),
  };
}

describe('the paths of a file source', () => {
  it('name files, folders with all that is in them, and globs, in the order of their ids', async () => {
    await make(
      'a.csv',
      'data/2.csv',
      'data/sub/1.csv',
      'data/notes.txt',
      'glob/1.csv',
      'glob/2.txt',
      'glob/deep/3.csv',
    );
    expect(await find('a.csv')).toMatchObject({ ids: ['a.csv'], faults: [] });
    expect((await find('data')).ids).toEqual(['data/2.csv', 'data/notes.txt', 'data/sub/1.csv']);
    expect((await find('./data/')).ids).toEqual(['data/2.csv', 'data/notes.txt', 'data/sub/1.csv']);
    expect((await find('glob/*.csv')).ids).toEqual(['glob/1.csv']);
    expect((await find('glob/**/*.csv')).ids).toEqual(['glob/1.csv', 'glob/deep/3.csv']);
    expect((await find('{a,b}.csv', 'data/?.csv')).ids).toEqual(['a.csv', 'data/2.csv']);
    expect((await find(join(base, 'glob/*.csv'))).ids).toEqual(['glob/1.csv']);
  });

  it('name each file once, however often it is given', async () => {
    await make('a.csv', 'b.csv');
    expect((await find('a.csv', './a.csv', '*.csv', '.', join(base, 'a.csv'))).ids).toEqual(['a.csv', 'b.csv']);
  });

  it('leave out hidden files, below folders and globs, but not those that are named', async () => {
    await make('.hidden', '.git/config', 'a/.tmp', 'a/b');
    expect((await find('.', '**', 'a/*')).ids).toEqual(['a/b']);
    expect((await find('.hidden', 'a/.tmp')).ids).toEqual(['.hidden', 'a/.tmp']);
  });

  it('may name nothing by a glob, but not by a plain path (C2)', async () => {
    expect(await find('*.csv')).toMatchObject({ ids: [], faults: [] });
    expect(await find('*.csv', 'gone.csv', 'gone/')).toMatchObject({
      ids: [],
      faults: [
        `/source/files/paths/1 names "gone.csv", which does not exist below ${base}`,
        `/source/files/paths/2 names "gone/", which does not exist below ${base}`,
      ],
    });
  });

  it('may have slashes too many, but must not be a pattern that nothing could match', async () => {
    await make('a/b.csv');
    expect(await find('a//*.csv', './!')).toMatchObject({
      ids: ['a/b.csv'],
      faults: ['/source/files/paths/1 names "./!", which is no pattern that a file could match'],
    });
  });

  it('must name files or folders (C3)', async () => {
    const { faults } = await find('/dev/null');
    expect(faults).toEqual([
      '/source/files/paths/0 names "/dev/null", which is neither a file nor a folder (a pipe is read as standard input, "-")',
    ]);
  });

  it('take a name with special characters as it is, if there is such a file', async () => {
    await make('a[1].csv', '{x}/y*.csv', 'b\\c.csv');
    expect((await find('a[1].csv', '{x}', 'b\\c.csv')).ids).toEqual(['a[1].csv', 'b\\c.csv', '{x}/y*.csv']);
  });

  it('may mean standard input, which is new in every run', async () => {
    await make('a.csv');
    const { files } = await new FileFinder(['-', 'a.csv', '-'], base, 'stdin-7', NOTHING_OWN).find();
    expect(files).toEqual([
      { id: 'a.csv', path: join(base, 'a.csv') },
      { id: 'stdin-7', path: null },
    ]);
  });

  it('name a file that links lead to once, by its shortest name', async () => {
    await make('data/2013.csv', 'data/sub/x.csv');
    await symlink('2013.csv', join(base, 'data/latest.csv'));
    await symlink('..', join(base, 'data/sub/circle'));
    await symlink('data', join(base, 'alias'));
    await symlink('nowhere', join(base, 'data/dangling.csv'));
    expect((await find('.')).ids).toEqual(['data/2013.csv', 'data/sub/x.csv']);
    expect((await find('data/**')).ids).toEqual(['data/2013.csv', 'data/sub/x.csv']);
    expect((await find('alias')).ids).toEqual(['alias/2013.csv', 'alias/sub/x.csv']);
    expect((await find('data/latest.csv')).ids).toEqual(['data/latest.csv']);
  });

  it('keep the name by which a file was found before', async () => {
    await make('long-name.csv');
    const finder = new FileFinder(['*.csv'], base, 'stdin-1', NOTHING_OWN);
    await finder.find();
    await symlink('long-name.csv', join(base, 'a.csv'));
    expect((await finder.find()).files.map(({ id }) => id)).toEqual(['long-name.csv']);
  });

  it('keep the name of a file that was moved and left a link behind', async () => {
    await make('data/x.csv', 'archive/old.csv');
    const finder = new FileFinder(['data', 'archive'], base, 'stdin-1', NOTHING_OWN);
    await finder.find();
    await rename(join(base, 'data/x.csv'), join(base, 'archive/x.csv'));
    await symlink('../archive/x.csv', join(base, 'data/x.csv'));
    expect((await finder.find()).files.map(({ id }) => id)).toEqual(['archive/old.csv', 'data/x.csv']);
  });

  it('may lead out of the base folder', async () => {
    const other = await mkdtemp(`${base}-other-`);
    try {
      await writeFile(join(other, 'x.csv'), 'a\n');
      const { ids } = await find(other, '../*-other-*/*.csv');
      expect(ids).toEqual([`../${other.split('/').at(-1)}/x.csv`]);
    } finally {
      await rm(other, { recursive: true });
    }
  });

  it('name files whose names hold line breaks, in folders as in globs', async () => {
    const names = [
      'data/a\nb',
      'data/\r\n',
      'data/x\u2028\u2029y',
      'data/sub\n/c\nd.csv',
      'data/🦆\n💀',
      'data/\udbff\udfff',
    ];
    await make(...names);
    for (const path of ['.', 'data', 'data/**', '**'])
      expect(await find(path)).toEqual({ ids: [...names].sort(), refused: [], faults: [] });
    expect((await find('data/*/c*.csv')).ids).toEqual(['data/sub\n/c\nd.csv']);
    expect((await find('data/a?b', 'data/[\n]*')).ids).toEqual(['data/a\nb']);
    expect((await find('data/a\nb')).ids).toEqual(['data/a\nb']);
  });

  it('refuse a name that is not UTF-8, each by itself, and go on with the others', async () => {
    const bad = Buffer.from([0x62, 0x61, 0x64, 0xff]);
    await make(bad, Buffer.from([0x62, 0x61, 0x64, 0xfe]), 'bad\ufffd', 'bad\\xFF-not', 'good');
    await mkdir(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xe9])]));
    await writeFile(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xe9]), Buffer.from('/in')]), '');
    for (const path of ['.', '**']) {
      const { ids, refused, faults } = await find(path);
      expect(ids).toEqual(['bad\\xFF-not', 'bad\ufffd', 'good']);
      expect(refused.toSorted()).toEqual(['\\xE9/in', 'bad\\xFE', 'bad\\xFF']);
      expect(faults).toEqual([]);
    }
  });

  it('refuse a folder that cannot be looked into, and go on with the others', async () => {
    await make('data/a', 'data/locked/b', 'data/open/c');
    await chmod(base, 0o755);
    await chmod(join(base, 'data/locked'), 0o000);
    const isRoot = process.geteuid?.() === 0;
    // No folder is locked to root.
    if (isRoot) process.seteuid!(65_534);
    try {
      for (const path of ['data', 'data/**']) {
        const { ids, refused, faults } = await find(path);
        expect({ ids, refused, faults }).toEqual({
          ids: ['data/a', 'data/open/c'],
          refused: ['data/locked'],
          faults: [],
        });
      }
    } finally {
      if (isRoot) process.seteuid!(0);
      await chmod(join(base, 'data/locked'), 0o755);
    }
  });

  it('find a folder of 5,000 files in well under a second', async () => {
    await mkdir(join(base, 'many'));
    await Promise.all(Array.from({ length: 5_000 }, (_, i) => writeFile(join(base, 'many', `${i}.csv`), '')));
    const begin = performance.now();
    expect((await find('many')).ids).toHaveLength(5_000);
    expect(performance.now() - begin).toBeLessThan(5_000);
  });
});

describe('the ids of files', () => {
  const layout = new Layout('pipeline');
  const keyOf = (partition: string): string => layout.slot({ cluster: 'file', topic: 't', partition }, 0);
  const long = 'x'.repeat(296);
  const names = [
    '../x',
    '..%2Fx',
    '%2E%2E/x',
    '.../x',
    'x',
    './x',
    'a/b',
    'a%2Fb',
    'a\\b',
    'A',
    'a',
    'Data.csv',
    'data.csv',
    'é',
    'e\u0301',
    '漢字/🦆.ndjson',
    ' ',
    'a b',
    'a\nb',
    '-',
    '~',
    '%',
    '',
    `${long}.a`,
    `${long}.b`,
    long,
    `${long}~`,
    '0',
    '00',
    'con',
    'a:b',
    'a*b',
  ];

  it('give keys that are safe', () => {
    for (const name of names) expect(() => assertKey(keyOf(name))).not.toThrow();
  });

  it('give each name keys of its own, also names that differ in case or in composition only', () => {
    expect(new Set(names.map(keyOf)).size).toBe(names.length);
  });

  it('never leave their place in the store, whatever the name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
        const key = keyOf(name);
        assertKey(key);
        expect(key).toMatch(/^pipeline\/log\/file\/t\/[^/]{1,200}\/0{20}$/);
      }),
    );
  });

  it('stay distinct', () => {
    const name = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        if (Buffer.from(a).equals(Buffer.from(b))) return;
        expect(keyOf(a)).not.toBe(keyOf(b));
      }),
    );
  });
});
