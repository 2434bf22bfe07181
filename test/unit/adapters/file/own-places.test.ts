import { link, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { OwnPlaces, type OwnPlace } from '../../../../src/adapters/file/own-places.ts';
import { PULLED } from '../../../../src/respond/pull/own-files.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

let base: string;
let places: OwnPlaces;

const at = (path: string): string => join(base, path);
const pathOf = (place: OwnPlace | null): string | null => (place === null ? null : place.path.slice(base.length + 1));

async function make(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(at(`${path}/..`), { recursive: true });
    await writeFile(at(path), path);
  }
}

beforeEach(async () => {
  base = await temporaryFolder();
  await make('keys/ingest.pem', 'keys/old.pem', 'keys/data/x', 'store/p/log/0', 'data/x');
  places = new OwnPlaces({
    files: [at('keys/ingest.pem')],
    keyFolders: [at('keys')],
    folders: [at('store')],
    pulled: PULLED,
  });
  await places.look();
});

describe('a place of the pipeline itself', () => {
  const placeOf = async (path: string): Promise<string | null> => pathOf(await places.placeOf(at(path)));

  it('is a key and what lies beside it, but not what lies in a folder beside it', async () => {
    expect(await placeOf('keys/ingest.pem')).toBe('keys');
    expect(await placeOf('keys/old.pem')).toBe('keys');
    expect(await placeOf('keys/data/x')).toBeNull();
    expect(await placeOf('keys-2/x')).toBeNull();
  });

  it('is a folder with all that is below it', async () => {
    expect(await placeOf('store/p/log/0')).toBe('store');
    expect(await placeOf('data/x')).toBeNull();
  });

  it.each(['complete.json', 'manifest.json'])('is what a pull has written, told by its %s', async (name) => {
    const file = 'data/out/flights/2013.csv/0-0123abcd.parquet';
    await make(file, 'data/out/flights/notes.csv');
    expect(await placeOf(file)).toBeNull();
    await make(`data/out/.headgate/${name}`);
    await places.look();
    expect(await placeOf(file)).toBe('data/out');
    expect(await placeOf('data/out/flights/notes.csv')).toBeNull();
  });
});

describe('a file that has been opened', () => {
  const placeOfOpen = async (path: string, opened = path): Promise<string | null> =>
    pathOf(await places.placeOfOpen(at(path), await stat(at(opened))));

  it('is told by itself, whatever name it was opened by', async () => {
    await link(at('keys/ingest.pem'), at('data/a'));
    await link(at('keys/old.pem'), at('data/b'));
    await link(at('data/x'), at('data/c'));
    expect(await placeOfOpen('data/a')).toBe('keys/ingest.pem');
    expect(await placeOfOpen('data/b')).toBe('keys');
    expect(await placeOfOpen('data/c')).toBeNull();
    expect(await placeOfOpen('data/x')).toBeNull();
  });

  it('is a key that has been made since the last look', async () => {
    await make('keys/new.pem');
    await rename(at('keys/new.pem'), at('keys/ingest.pem'));
    await link(at('keys/ingest.pem'), at('data/a'));
    expect(await placeOfOpen('data/a')).toBe('keys/ingest.pem');
  });

  it('is refused where its name leads to another file by now: nobody knows where it lay', async () => {
    for (const opened of ['keys/old.pem', 'store/p/log/0', 'keys/data/x'])
      await expect(placeOfOpen('data/x', opened)).rejects.toMatchObject({
        name: 'UnavailableError',
        code: 'SOURCE_UNAVAILABLE',
        message: `Cannot read "${at('data/x')}": another file has taken its name while it was opened`,
      });
    const opened = await stat(at('data/x'));
    await rm(at('data/x'));
    await expect(places.placeOfOpen(at('data/x'), opened)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });

  it('may be reached through links', async () => {
    await symlink('x', at('data/link'));
    await symlink('../data', at('keys/sub'));
    expect(await placeOfOpen('data/link', 'data/x')).toBeNull();
    expect(await placeOfOpen('keys/sub/x', 'data/x')).toBeNull();
  });
});
