import { appendFile, link, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { FileSource, type FileSourceOptions } from '../../../../src/adapters/file/file-source.ts';
import type { ReadResult } from '../../../../src/ports/record-source.ts';
import type { LogId } from '../../../../src/record/log-id.ts';
import { PULLED } from '../../../../src/respond/pull/own-files.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { ALL, positionOf, valuesOf } from './reading.ts';

const RESCAN_MS = 2_000;
let base: string;
let clock: ManualClock;
let opened: FileSource[];

beforeEach(async () => {
  base = await temporaryFolder();
  clock = new ManualClock();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((source) => source[Symbol.asyncDispose]()));
});

async function joined(options: Partial<FileSourceOptions> = {}): Promise<FileSource> {
  const stdin = { stdinId: 'stdin-1', openStdin: () => process.stdin };
  const defaults = { topic: 't', paths: ['.'], base, format: 'ndjson', once: true, clock } as const;
  const source = new FileSource({ ...defaults, ...stdin, ...options });
  opened.push(source);
  await source.join();
  return source;
}

const logOf = (partition: string): LogId => ({ cluster: 'file', topic: 't', partition });
const partitionsOf = (source: FileSource): string[] => source.assignment()!.logs.map(({ partition }) => partition);

/** Polls once for everything in `offsets`; a poll that waits is not kept waiting. */
async function poll(source: FileSource, offsets: Readonly<Record<string, number>>): Promise<readonly ReadResult[]> {
  const requests = Object.entries(offsets).map(([partition, offset]) => ({ log: logOf(partition), offset, ...ALL }));
  const abort = new AbortController();
  const result = source.poll(requests, 60_000, abort.signal);
  setTimeout(() => abort.abort(), 100).unref();
  return result;
}

/** What a poll brought, in short. */
function brief(results: readonly ReadResult[]): unknown[] {
  return results.map((result) => {
    const { partition } = result.log;
    if (result.kind === 'records') return [partition, valuesOf(result.chunk)];
    return result.kind === 'drained' ? [partition, result.ended ? 'ended' : 'drained'] : [partition, result.error];
  });
}

describe('a one-pass file source', () => {
  it('makes a partition of each file, in the order of their paths', async () => {
    await mkdir(join(base, 'b'));
    for (const name of ['b/2.ndjson', 'a.ndjson', 'b/10.ndjson', 'Z.ndjson']) await writeFile(join(base, name), '{}\n');
    const source = await joined();
    expect(partitionsOf(source)).toEqual(['Z.ndjson', 'a.ndjson', 'b/10.ndjson', 'b/2.ndjson']);
    expect(source.assignment()).toMatchObject({ token: 1, retained: true });
    expect(source.label(logOf('b/2.ndjson'))).toBe('b/2.ndjson');
    expect(await source.bounds()).toMatchObject({ earliest: 0 });
  });

  it('reads file after file, several small ones in one poll', async () => {
    for (const name of ['a', 'b', 'c']) await writeFile(join(base, name), `${name}1\n${name}2\n`);
    const source = await joined();
    expect(brief(await poll(source, { c: 0, a: 0, b: 0 }))).toEqual([
      ['a', ['a1', 'a2']],
      ['b', ['b1', 'b2']],
      ['c', ['c1', 'c2']],
    ]);
    expect(brief(await poll(source, { a: 2, b: 2, c: 2 }))).toEqual([
      ['a', 'ended'],
      ['b', 'ended'],
      ['c', 'ended'],
    ]);
  });

  it('does not begin a file before the one before it is read', async () => {
    await writeFile(join(base, 'a'), 'a1\na2\na3\n');
    await writeFile(join(base, 'b'), 'b1\n');
    const source = await joined({ readBytes: 3 });
    expect(brief(await poll(source, { a: 0, b: 0 }))).toEqual([['a', ['a1']]]);
    expect(brief(await poll(source, { a: 1, b: 0 }))).toEqual([['a', ['a2']]]);
    expect(brief(await poll(source, { a: 2, b: 0 }))).toEqual([
      ['a', ['a3']],
      ['b', ['b1']],
    ]);
  });

  it('ends at once where there is nothing', async () => {
    await writeFile(join(base, 'empty'), '');
    const source = await joined();
    expect(brief(await poll(source, { empty: 0 }))).toEqual([['empty', 'ended']]);
    await rm(join(base, 'empty'));
    expect(partitionsOf(await joined())).toEqual([]);
  });

  it('halts a file that is gone before it is read, and goes on with the others', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    await writeFile(join(base, 'b'), 'b1\n');
    const source = await joined();
    await rm(join(base, 'a'));
    expect(brief(await poll(source, { a: 0, b: 0 }))).toEqual([
      ['a', expect.objectContaining({ name: 'HaltError', code: 'SOURCE_UNAVAILABLE' })],
      ['b', ['b1']],
    ]);
  });

  it('halts a file whose name is not UTF-8, and goes on with the others', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0x62, 0xff])]), 'b1\n');
    await writeFile(join(base, 'a\nb'), 'a1\n');
    const source = await joined({ paths: ['**'] });
    expect(partitionsOf(source)).toEqual(['a\nb', 'b\\xFF']);
    expect(brief(await poll(source, { 'a\nb': 0, 'b\\xFF': 0 }))).toEqual([
      ['a\nb', ['a1']],
      ['b\\xFF', expect.objectContaining({ name: 'HaltError', code: 'SOURCE_UNAVAILABLE' })],
    ]);
    await expect(source.witness(logOf('b\\xFF'))).rejects.toThrow('its name is not UTF-8');
    expect(await source.witness(logOf('a\nb'))).toBeNull();
  });

  it('halts a file whose links go round in a circle since', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined();
    await rm(join(base, 'a'));
    await symlink(join(base, 'a'), join(base, 'a'));
    expect(brief(await poll(source, { a: 0 }))).toEqual([
      ['a', expect.objectContaining({ message: expect.stringContaining('its links go round in a circle') })],
    ]);
  });

  it('restores a position, and halts when what was ingested has changed', async () => {
    await writeFile(join(base, 'a'), 'a1\na2\na3\n');
    const source = await joined();
    await source.restore(logOf('a'), 1, positionOf(Buffer.from('a1\na2\n'), 3));
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', ['a2', 'a3']]]);
    await expect(source.restore(logOf('a'), 1, positionOf(Buffer.from('A1\n'), 3))).rejects.toMatchObject({
      name: 'HaltError',
      code: 'SOURCE_CHANGED',
    });
  });

  it('never begins a partition that is not its own', async () => {
    const source = await joined();
    await source.restore(logOf('unknown'), 3, null);
    expect(brief(await poll(source, { unknown: 3 }))).toEqual([['unknown', 'ended']]);
  });

  it('splits CSV at its delimiter, and gives each chunk the header', async () => {
    await writeFile(join(base, 'a.csv'), 'x;y\n1;"2\n3"\n');
    const source = await joined({ format: 'csv', delimiter: ';' });
    const [result] = await poll(source, { 'a.csv': 0 });
    expect(result).toMatchObject({
      kind: 'records',
      chunk: { count: 1, csvHeader: new Uint8Array(Buffer.from('x;y')) },
    });
  });
});

describe('last lines of CSV without a line break', () => {
  it('are watched side by side: many files take no longer than one', async () => {
    for (const name of ['a', 'b', 'c']) await writeFile(join(base, name), 'x,y\n1,2');
    const source = await joined({ format: 'csv' });
    const offsets = { a: 0, b: 0, c: 0 };
    const drained = Object.keys(offsets).map((name) => [name, 'drained']);
    expect(brief(await poll(source, offsets))).toEqual(drained);
    await clock.advance(4_999);
    expect(brief(await poll(source, offsets))).toEqual(drained);
    await clock.advance(1);
    expect(brief(await poll(source, offsets))).toEqual(Object.keys(offsets).map((name) => [name, ['1,2']]));
  });
});

describe('what belongs to the pipeline itself', () => {
  let own: NonNullable<FileSourceOptions['own']>;

  beforeEach(async () => {
    for (const folder of ['gate/keys', 'gate/store/p/log', 'data'])
      await mkdir(join(base, folder), { recursive: true });
    const trust = join(base, 'gate/trust.json');
    own = {
      files: [join(base, 'gate/keys/ingest.pem'), trust],
      keyFolders: [gate('keys')],
      folders: [gate('store')],
      pulled: PULLED,
    };
    for (const name of [
      'gate/keys/ingest.pem',
      'gate/keys/old.pem',
      'gate/store/p/log/0',
      'gate/store/p/log/1',
      'data/x',
    ])
      await writeFile(join(base, name), `${name}\n`);
    await writeFile(trust, '{}\n');
  });

  const gate = (name: string): string => join(base, 'gate', name);
  const refusal = (id: string, words: string) => [
    id,
    expect.objectContaining({
      name: 'HaltError',
      code: 'SOURCE_UNAVAILABLE',
      message: `Cannot read "${id}": it leads ${words}, which belongs to this pipeline itself (way out: mend it and run again)`,
    }),
  ];

  /** What reading everything from the beginning brings. */
  const readAll = async (source: FileSource) => {
    const offsets = Object.fromEntries(partitionsOf(source).map((partition) => [partition, 0]));
    const results = await poll(source, offsets);
    return brief(results);
  };

  it.each([['.'], ['**'], ['gate', 'data']])(
    'is refused by name, each folder once, and the rest is read: %s',
    async (...paths) => {
      expect(await readAll(await joined({ own, paths }))).toEqual([
        ['data/x', ['data/x']],
        refusal('gate/keys', `into "${gate('keys')}"`),
        refusal('gate/store', `into "${gate('store')}"`),
        refusal('gate/trust.json', `to "${gate('trust.json')}"`),
      ]);
    },
  );

  it('is refused through links, to files and to folders, also those that are made later', async () => {
    await symlink(gate('keys/ingest.pem'), join(base, 'data/a'));
    await symlink('../gate/keys/old.pem', join(base, 'data/old.pem'));
    await symlink(gate('store/p'), join(base, 'data/c'));
    await symlink('..', join(base, 'data/d'));
    await rm(gate('trust.json'));
    await symlink(gate('trust.json'), join(base, 'data/e'));
    const source = await joined({ own, paths: ['data'], once: false });
    expect(await readAll(source)).toEqual([
      refusal('data/a', `into "${gate('keys')}"`),
      refusal('data/c', `into "${gate('store')}"`),
      refusal('data/d/gate/keys', `into "${gate('keys')}"`),
      refusal('data/old.pem', `into "${gate('keys')}"`),
      ['data/x', ['data/x']],
    ]);
    await writeFile(gate('trust.json'), '{}\n');
    await clock.advance(RESCAN_MS);
    await poll(source, {});
    expect(brief(await poll(source, { 'data/e': 0 }))).toEqual([refusal('data/e', `to "${gate('trust.json')}"`)]);
  });

  it.each([
    ['a link', (path: string) => symlink(gate('keys/old.pem'), path), () => `into "${gate('keys')}"`],
    ['another name of the file', (path: string) => link(gate('trust.json'), path), () => `to "${gate('trust.json')}"`],
    ['another name of a key', (path: string) => link(gate('keys/old.pem'), path), () => `into "${gate('keys')}"`],
  ])('is refused where %s takes the place of a file that was found', async (_, replace, words) => {
    const source = await joined({ own, paths: ['data'] });
    await rm(join(base, 'data/x'));
    await replace(join(base, 'data/x'));
    const [result] = await poll(source, { 'data/x': 0 });
    expect(result).toMatchObject({
      kind: 'halt',
      error: { message: expect.stringContaining(`it leads ${words()}, which belongs to this pipeline itself`) },
    });
  });

  it('is no folder below that of the keys', async () => {
    await mkdir(gate('keys/data'));
    await writeFile(gate('keys/data/x'), 'x\n');
    expect(await readAll(await joined({ own, paths: ['gate/keys/data'] }))).toEqual([['gate/keys/data/x', ['x']]]);
    expect(await readAll(await joined({ own, paths: ['gate/keys'] }))).toEqual([
      refusal('gate/keys', `into "${gate('keys')}"`),
      ['gate/keys/data/x', ['x']],
    ]);
  });

  it('is what a pull has written, the folder named once, by whatever links it is reached', async () => {
    for (const name of ['0/0-0123abcd', '0/9-0123abcd', '1/0-0123abcd']) {
      await mkdir(join(base, `data/out/t/${name}/..`), { recursive: true });
      await writeFile(join(base, `data/out/t/${name}.parquet`), 'PAR1');
    }
    await mkdir(join(base, 'data/out/.headgate'));
    await writeFile(join(base, 'data/out/.headgate/complete.json'), '{}');
    await symlink('out/t/0/0-0123abcd.parquet', join(base, 'data/link'));
    const pulled = (id: string): string =>
      `Cannot read "${id}": it leads to what was pulled into "${join(base, 'data/out')}", and what was published is not read again (way out: mend it and run again)`;
    expect(await readAll(await joined({ own, paths: ['data'] }))).toEqual([
      ...['data/link', 'data/out'].map((id) => [id, expect.objectContaining({ message: pulled(id) })]),
      ['data/x', ['data/x']],
    ]);
  });

  it('is no name that only begins alike', async () => {
    await mkdir(gate('store-2'));
    await writeFile(gate('store-2/x'), 'x\n');
    expect(await readAll(await joined({ own, paths: ['gate/store-2'] }))).toEqual([['gate/store-2/x', ['x']]]);
  });
});

describe('a file source that follows', () => {
  const following = { once: false } as const;

  it('gives new records new offsets as files grow', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined(following);
    expect(brief(await poll(source, { a: 0 }))).toEqual([['a', ['a1']]]);
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', 'drained']]);
    await appendFile(join(base, 'a'), 'a2\na3-is-not-complete');
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', 'drained']]);
    await clock.advance(RESCAN_MS);
    const [result] = await poll(source, { a: 1 });
    expect(result).toMatchObject({ kind: 'records', chunk: { from: 1, nextOffset: 2 } });
  });

  it('finds new files, which join what was its own all the time', async () => {
    await writeFile(join(base, 'b'), 'b1\n');
    const source = await joined(following);
    const before = source.assignment()!;
    await writeFile(join(base, 'a'), 'a1\n');
    expect(brief(await poll(source, { b: 0 }))).toEqual([['b', ['b1']]]);
    await clock.advance(RESCAN_MS);
    expect(await poll(source, { b: 1 })).toEqual([]);
    const after = source.assignment()!;
    expect(after).toMatchObject({ token: before.token + 1, retained: true });
    expect(partitionsOf(source)).toEqual(['a', 'b']);
    expect(brief(await poll(source, { a: 0, b: 1 }))).toEqual([
      ['a', ['a1']],
      ['b', 'drained'],
    ]);
  });

  it('keeps its assignment while nothing new is found', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined(following);
    const before = source.assignment();
    await clock.advance(RESCAN_MS);
    expect(brief(await poll(source, { a: 0 }))).toEqual([['a', ['a1']]]);
    expect(source.assignment()).toBe(before);
  });

  it('gives what it read once more to a caller who lost it', async () => {
    await writeFile(join(base, 'a'), 'a1\na2\n');
    const source = await joined(following);
    for (let i = 0; i < 3; i++) expect(brief(await poll(source, { a: 0 }))).toEqual([['a', ['a1', 'a2']]]);
    expect(brief(await poll(source, { a: 2 }))).toEqual([['a', 'drained']]);
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', ['a2']]]);
    expect(brief(await poll(source, { a: 2 }))).toEqual([['a', 'drained']]);
  });

  it('takes a file that disappears for drained, and finds it again', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined(following);
    await poll(source, { a: 0 });
    await poll(source, { a: 1 });
    await rename(join(base, 'a'), join(base, '.hidden'));
    await clock.advance(RESCAN_MS);
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', 'drained']]);
    await rename(join(base, '.hidden'), join(base, 'a'));
    await appendFile(join(base, 'a'), 'a2\n');
    await clock.advance(RESCAN_MS);
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', ['a2']]]);
  });

  it('halts a file that was replaced while it followed it', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined(following);
    await poll(source, { a: 0 });
    await poll(source, { a: 1 });
    await writeFile(join(base, '.new'), 'other\n');
    await rename(join(base, '.new'), join(base, 'a'));
    await clock.advance(RESCAN_MS);
    expect(brief(await poll(source, { a: 1 }))).toEqual([['a', expect.objectContaining({ code: 'SOURCE_CHANGED' })]]);
  });

  it('goes on with the others when one cannot be read for now, and says so when there is nothing else', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    await writeFile(join(base, 'b'), 'b1\n');
    const source = await joined(following);
    await rm(join(base, 'a'));
    await symlink(join(base, 'a'), join(base, 'a'));
    expect(brief(await poll(source, { a: 0, b: 0 }))).toEqual([['b', ['b1']]]);
    await expect(poll(source, { a: 0, b: 1 })).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'SOURCE_UNAVAILABLE',
    });
  });

  it('forgives a configured file that is removed while it runs', async () => {
    await writeFile(join(base, 'a'), 'a1\n');
    const source = await joined({ ...following, paths: ['a'] });
    await rm(join(base, 'a'));
    await clock.advance(RESCAN_MS);
    expect(brief(await poll(source, { a: 0 }))).toEqual([['a', 'drained']]);
    await expect(joined({ ...following, paths: ['a'] })).rejects.toMatchObject({ name: 'ConfigError' });
  });

  it('waits as long as it is told when nothing is there', async () => {
    await writeFile(join(base, 'a'), '');
    const source = await joined(following);
    const results = source.poll([{ log: logOf('a'), offset: 0, ...ALL }], 500, new AbortController().signal);
    await expect.poll(() => clock.sleeping).toEqual([500]);
    await clock.advance(500);
    expect(brief(await results)).toEqual([['a', 'drained']]);
  });
});
