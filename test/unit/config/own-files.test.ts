import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { isDynamicPattern } from 'tinyglobby';
import { describe, expect, it } from 'vitest';

import { FileFinder } from '../../../src/adapters/file/find-files.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { ownPaths } from '../../../src/config/own-files.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { NOTHING_OWN } from '../adapters/file/reading.ts';
import { errorOf, faultsOf, FILES, parse } from './configuration.ts';

const base = (path: string): string => FILES.replace("'*.ndjson'", JSON.stringify(path));
const taken = (name: string): string =>
  `/source/files/paths/0: takes in "${name}", which belongs to this pipeline itself; wanted a folder of the data’s own, or a pattern such as data/*.ndjson`;

/** What is wrong with the configuration `text` that lies at `path`; nothing is a fine answer. */
function faultsIn(text: string, path: string): string[] {
  try {
    parseConfig(text, path, {});
    return [];
  } catch {
    return errorOf(() => parseConfig(text, path, {})).faults.map((fault) => `${fault.path}: ${fault.message}`);
  }
}

describe('a source of files', () => {
  it.each([
    ['.', 'keys/ingest.pem'],
    ['/', 'keys/ingest.pem'],
    ['..', 'keys/ingest.pem'],
    ['../folder', 'keys/ingest.pem'],
    ['keys', 'keys/ingest.pem'],
    ['keys/publisher.pem', 'keys/publisher.pem'],
    ['**', 'keys/ingest.pem'],
    ['./**/*', 'keys/ingest.pem'],
    ['*/*.pem', 'keys/ingest.pem'],
    ['*', 'trust.json'],
    ['*.json', 'trust.json'],
    ['*.{json,ndjson}', 'trust.json'],
    ['./headgate.yaml', 'headgate.yaml'],
    ['store', 'store/p/log/t/0/00000000000000000000'],
    ['store/p/data', 'store/p/data/t/0/0-1.parquet'],
    ['st*/**/*.json', 'store/p/evidence/t/0/0-1.json'],
    ['store/x/*.ndjson', 'store'],
    ['keys/*.ndjson', 'keys'],
    ['keys/[a-c]*', 'keys/approver.pem'],
    ['keys/[x-z]*', 'keys'],
    ['@(keys|data)/*.pem', 'keys/ingest.pem'],
    ['+(k|e|y|s)/in!(x).pem', 'keys/ingest.pem'],
    ['k{eys,ills}/{a..z}ngest.pem', 'keys/ingest.pem'],
    ['**/*.@(json|ndjson)', 'trust.json'],
    ['trust.j[[:alpha:]]on', 'trust.json'],
    ['.head*/marks/*', '.headgate/marks/0.json'],
    ['.headgate/x.ndjson', '.headgate'],
  ])('that takes in keys, trust root, configuration or store is refused: %s', (path, name) => {
    expect(faultsOf('', { base: base(path) })).toEqual([taken(name)]);
  });

  it.each([
    'data',
    './data/',
    '*.ndjson',
    '**/*.ndjson',
    'data/**',
    '../elsewhere',
    '-',
    'x.json',
    'a[1].json',
    '**/*.csv',
    '!(*.json|*.yaml)',
    'keys/more/x.ndjson',
    'keys/more/*.ndjson',
    'keys/*/*.ndjson',
    'keys-2/*',
    '*{',
    '(',
  ])('may read %s', (path) => {
    expect(parse('', { base: base(path) }).config.source.files!.paths).toEqual([path]);
  });

  it('may read a folder in which all of that lies below a hidden one', () => {
    const text =
      'trust: .gate/trust.json\nkeys: { ingest: .gate/i, publisher: .gate/p, approver: .gate/a }\nstore: { url: .gate/store }';
    expect(parse(text, { base: base('data') }).config.trust).toBe('.gate/trust.json');
    expect(faultsOf(text, { base: base('.') })).toEqual([taken('headgate.yaml')]);
  });

  it('takes in the state of this machine where that is not hidden', () => {
    expect(faultsOf('stateFolder: data/state', { base: base('data') })).toEqual([taken('data/state/marks/0.json')]);
  });

  it('is compared with what belongs to the pipeline as it will be looked up', async () => {
    const folder = await temporaryFolder();
    const own = ['keys/ingest.pem', 'keys/publisher.pem', 'keys/approver.pem', 'trust.json', 'headgate.yaml'];
    const stored = ['log/t/0/00000000000000000000', 'data/t/0/0-1.parquet', 'evidence/t/0/0-1.json'];
    const names = [...own, ...stored.map((name) => `store/p/${name}`), '.headgate/marks/0.json'];
    for (const name of names) {
      await mkdir(join(folder, name, '..'), { recursive: true });
      await writeFile(join(folder, name), '');
    }
    const pieces = '* ** ? keys ingest .pem .json trust store p s / / . .. \\ { , } @( !( +( | ) [ ^ ] a - z !'.split(
      ' ',
    );
    const part = fc.constantFrom(...pieces);
    const pattern = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(pattern, async (path) => {
        fc.pre(isDynamicPattern(path) && !/^[/]|[.][.]/.test(path));
        const { files } = await new FileFinder([path], folder, 'stdin', NOTHING_OWN).find();
        const found = names.find((name) => files.some(({ id }) => id === name));
        const text = base(path);
        const faults = faultsIn(text, join(folder, 'headgate.yaml'));
        if (found !== undefined) expect(faults).toEqual([taken(found)]);
        else for (const fault of faults) expect(fault).toMatch(/takes in "(store|keys|.headgate)"/);
      }),
      { numRuns: 1_000, examples: [['*//'], ['**//*.pem'], ['./!']] },
    );
  });

  it('is compared with the store of its own pipeline', () => {
    const text = base('gate/orders/log').replace('pipeline: p', 'pipeline: orders');
    expect(faultsOf('store: { url: gate }', { base: text })).toEqual([
      taken('gate/orders/log/t/0/00000000000000000000'),
    ]);
  });

  it('is looked at although other settings are wrong', () => {
    expect(faultsOf('mode: x\nkeys: { ingest: 5 }\nstore: { url: s3://bucket }', { base: base('*.json') })).toEqual([
      '/mode: is "x", wanted one of enforce, observe',
      '/keys/ingest: is 5, wanted a text or null',
      taken('trust.json'),
    ]);
  });
});

describe('what belongs to a pipeline', () => {
  const pathsOf = (text: string) => ownPaths(parse(text).config, '/folder/headgate.yaml');

  it('is its keys with what lies beside them, its trust root, its configuration, its store, and what it remembers of that', () => {
    expect(pathsOf('')).toEqual({
      files: [
        '/folder/keys/ingest.pem',
        '/folder/keys/publisher.pem',
        '/folder/keys/approver.pem',
        '/folder/trust.json',
        '/folder/headgate.yaml',
      ],
      keyFolders: ['/folder/keys'],
      folders: ['/folder/store', '/folder/.headgate', '/folder/store/p', '/folder/.headgate/marks'],
    });
  });

  it('is no folder that the configuration itself lies in, but the part of the pipeline', () => {
    expect(pathsOf('keys: { ingest: i, publisher: ../b, approver: /c/d }\nstore: { url: .. }\nstateFolder: .')).toEqual(
      {
        files: ['/folder/i', '/b', '/c/d', '/folder/trust.json', '/folder/headgate.yaml'],
        keyFolders: ['/c'],
        folders: ['/p', '/folder/marks'],
      },
    );
  });

  it('is no folder where the store is none', () => {
    expect(pathsOf('store: { url: s3://bucket }').folders).toEqual(['/folder/.headgate', '/folder/.headgate/marks']);
  });
});
