import { describe, expect, it } from 'vitest';

import { ownPaths } from '../../../src/config/own-files.ts';
import { faultsOf, FILES, parse } from './configuration.ts';

const base = (path: string): string => FILES.replace("'*.ndjson'", JSON.stringify(path));
const taken = (name: string): string =>
  `/source/files/paths/0: takes in "${name}", which belongs to this pipeline itself; wanted a folder of the data’s own, or a pattern such as data/*.ndjson`;

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
    ['./keys/more/x.ndjson', 'keys'],
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

  it('is compared with the store of its own pipeline', () => {
    const text = base('gate/orders/log').replace('pipeline: p', 'pipeline: orders');
    expect(faultsOf('store: { url: gate }', { base: text })).toEqual([
      taken('gate/orders/log/t/0/00000000000000000000'),
    ]);
  });

  it('is looked at although other settings are wrong', () => {
    expect(faultsOf('mode: x\nkeys: { ingest: 5 }\nstore: { url: s3://bucket }', { base: base('*.json') })).toEqual([
      '/mode: is "x", wanted one of enforce, observe',
      '/keys/ingest: is 5, wanted a text',
      taken('trust.json'),
    ]);
  });
});

describe('what belongs to a pipeline', () => {
  const pathsOf = (text: string) => ownPaths(parse(text).config, '/folder/headgate.yaml');

  it('is its keys with what lies beside them, its trust root, its configuration, and its store', () => {
    expect(pathsOf('')).toEqual({
      files: [
        '/folder/keys/ingest.pem',
        '/folder/keys/publisher.pem',
        '/folder/keys/approver.pem',
        '/folder/trust.json',
        '/folder/headgate.yaml',
      ],
      folders: ['/folder/keys', '/folder/store', '/folder/store/p'],
    });
  });

  it('is no folder that the configuration itself lies in, but the part of the pipeline', () => {
    expect(pathsOf('keys: { ingest: i, publisher: ../b, approver: /c/d }\nstore: { url: .. }')).toEqual({
      files: ['/folder/i', '/b', '/c/d', '/folder/trust.json', '/folder/headgate.yaml'],
      folders: ['/c', '/p'],
    });
  });

  it('is no folder where the store is none', () => {
    expect(pathsOf('store: { url: s3://bucket }').folders).toEqual(['/folder/keys']);
  });
});
