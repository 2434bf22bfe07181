import {
  appendFile,
  mkdir,
  open as openFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { FileReader } from '../../../../src/adapters/file/file-reader.ts';
import { fileTrouble } from '../../../../src/adapters/file/file-trouble.ts';
import type { FileLayout } from '../../../../src/adapters/file/record-buffer.ts';
import type { SourcePosition } from '../../../../src/record/chunk.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { ALL, CSV, hastyClock, NDJSON, NOTHING_OWN, positionOf, readValues } from './reading.ts';

/* A file may only grow: everything else halts it. */

const CHANGED = { name: 'HaltError', code: 'SOURCE_CHANGED' };
let path: string;
let opened: FileReader[];

beforeEach(async () => {
  path = join(await temporaryFolder(), 'a.txt');
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((reader) => reader.rest()));
});

async function open(
  options: { readonly layout?: FileLayout; readonly once?: boolean } = {},
  offset = 0,
  position: SourcePosition | null = null,
): Promise<FileReader> {
  const reader = await FileReader.open(
    { path, layout: NDJSON, own: NOTHING_OWN, once: true, clock: hastyClock(), readBytes: 16, ...options },
    offset,
    position,
  );
  opened.push(reader);
  return reader;
}

/** A process that goes on behind the first `byte` bytes of `before`, of which `records` are ingested, with what is there now. */
function restart(
  before: string,
  byte: number,
  records: number,
  options: { readonly layout?: FileLayout; readonly once?: boolean } = {},
): Promise<FileReader> {
  return open(options, records, positionOf(Buffer.from(before), byte));
}

/** A process that has read everything and follows the file. */
async function follow(text: string): Promise<FileReader> {
  await writeFile(path, text);
  const reader = await open({ once: false });
  await readValues(reader);
  return reader;
}

describe('the ingested part of a file', () => {
  const before = 'first\nsecond\nthird\n';

  it.each([
    ['an edited byte', 'first\nsEcond\nthird\n', 'have SHA-256'],
    ['an edited line break', 'first second\nthird\n', 'have SHA-256'],
    ['a line less at its begin', 'second\nthird\n', 'have SHA-256'],
    ['a shorter file', 'first\nsec', 'it now ends at byte 9, it was ingested up to byte 13'],
    ['an empty file', '', 'it now ends at byte 0, it was ingested up to byte 13'],
  ])('halts another process with %s', async (_, now, message) => {
    await writeFile(path, now);
    await expect(restart(before, 13, 2)).rejects.toMatchObject({
      ...CHANGED,
      message: expect.stringContaining(message),
    });
  });

  it('may be followed by anything', async () => {
    await writeFile(path, 'first\nsecond\nother\nfourth\n');
    expect(await readValues(await restart(before, 13, 2), 2)).toEqual(['other', 'fourth']);
  });

  it('halts a process that reads it as another number of records', async () => {
    const text = 'a;b\n"1\n2";3\n4;5\n';
    await writeFile(path, text);
    const layout: FileLayout = { ...CSV, delimiter: ';' };
    expect(await readValues(await restart(text, 12, 1, { layout }), 1)).toEqual(['4;5']);
    const fault = restart(text, 12, 1, { layout: NDJSON });
    await expect(fault).rejects.toMatchObject({ ...CHANGED, message: expect.stringContaining('ingested: 3, not 1') });
  });

  it('halts a process that follows it when it becomes shorter', async () => {
    const reader = await follow(before);
    await truncate(path, 13);
    expect(await reader.hasChanged()).toBe(true);
    await expect(reader.read({ offset: 3, ...ALL })).rejects.toMatchObject(CHANGED);
  });

  it('halts a process that follows it when it was emptied and written anew', async () => {
    const reader = await follow(before);
    await writeFile(path, 'something else that is longer than it was\n');
    await expect(reader.read({ offset: 3, ...ALL })).rejects.toMatchObject(CHANGED);
  });

  it('halts a process that follows it when another file takes its place', async () => {
    const reader = await follow(before);
    await writeFile(`${path}.new`, 'first\nsEcond\nthird\n');
    await rename(`${path}.new`, path);
    expect(await reader.hasChanged()).toBe(true);
    await expect(reader.read({ offset: 3, ...ALL })).rejects.toMatchObject(CHANGED);
  });

  it('halts a process that follows it when it is edited and does not grow', async () => {
    const reader = await follow(before);
    const file = await openFile(path, 'r+');
    await file.write('F', 0);
    await file.close();
    await utimes(path, new Date(), new Date(Date.now() + 5_000));
    await expect(reader.read({ offset: 3, ...ALL })).rejects.toMatchObject(CHANGED);
  });

  it('halts a process that is reading it when it becomes shorter than what was read', async () => {
    await writeFile(path, before.repeat(10));
    const reader = await open();
    await reader.read({ offset: 0, ...ALL });
    await truncate(path, 3);
    await expect(readValues(reader, 2)).rejects.toMatchObject(CHANGED);
    await expect(readValues(reader, 2)).rejects.toMatchObject(CHANGED);
  });

  it('may be touched, copied and moved back', async () => {
    const reader = await follow(before);
    await utimes(path, new Date(), new Date(Date.now() + 5_000));
    expect(await reader.read({ offset: 3, ...ALL })).toBeNull();
    await writeFile(`${path}.new`, `${before}fourth\n`);
    await rename(`${path}.new`, path);
    expect(await readValues(reader, 3)).toEqual(['fourth']);
  });
});

describe('a last line without a line break', () => {
  const text = 'a\nlast';

  it('is a record in one pass, and goes on as the same when it gets its line break', async () => {
    for (const now of ['a\nlast', 'a\nlast\n', 'a\nlast\r\n']) {
      await writeFile(path, now);
      const reader = await restart(text, 6, 2);
      expect(await reader.read({ offset: 2, ...ALL })).toBeNull();
      expect(reader.ended).toBe(true);
    }
    await writeFile(path, 'a\nlast\nnext\n');
    expect(await readValues(await restart(text, 6, 2), 2)).toEqual(['next']);
  });

  it.each(['a\nlaster', 'a\nlaster\n', 'a\nlast \n', 'a\nlast\rx\n'])('has changed in %j', async (now) => {
    await writeFile(path, now);
    const reader = await restart(text, 6, 2);
    await expect(readValues(reader, 2)).rejects.toMatchObject({
      ...CHANGED,
      message: expect.stringContaining('record 1, which was ingested without a line break, has changed'),
    });
  });

  it('is left where it was when half a line break is there', async () => {
    await writeFile(path, 'a\nlast\r');
    const reader = await restart(text, 6, 2);
    expect(await readValues(reader, 2)).toEqual([]);
    expect([reader.ended, reader.unread]).toEqual([true, { byte: 2, bytes: 5 }]);
  });

  it('waits for its line break when the file is followed, also in two pieces', async () => {
    await writeFile(path, text);
    const reader = await restart(text, 6, 2, { once: false });
    expect(await readValues(reader, 2)).toEqual([]);
    await appendFile(path, '\r');
    expect(await readValues(reader, 2)).toEqual([]);
    await appendFile(path, '\nnext\n');
    expect(await readValues(reader, 2)).toEqual(['next']);
  });

  it('has changed when a quoted CSV field goes on behind it', async () => {
    await writeFile(path, 'h\n"last\nand more"\n');
    const reader = await restart('h\n"last', 7, 1, { layout: CSV });
    await expect(readValues(reader, 1)).rejects.toMatchObject(CHANGED);
  });

  it('has changed when a quoted CSV field goes on behind its line break', async () => {
    await writeFile(path, 'h\n"last\nand more"\n');
    const reader = await restart('h\n"last\n', 8, 1, { layout: CSV });
    await expect(readValues(reader, 1)).rejects.toMatchObject(CHANGED);
  });
});

describe('a file that cannot be read', () => {
  it('halts a run that reads what is there', async () => {
    const reader = await open();
    await expect(reader.read({ offset: 0, ...ALL })).rejects.toMatchObject({
      name: 'HaltError',
      code: 'SOURCE_UNAVAILABLE',
      message: expect.stringContaining('it is not there'),
    });
  });

  it('is waited for by a run that follows it', async () => {
    await writeFile(path, 'a\nb\n');
    const reader = await restart('a\nb\n', 2, 1, { once: false });
    await rm(path);
    expect(await readValues(reader, 1)).toEqual([]);
    await writeFile(path, 'a\nb\n');
    expect(await readValues(reader, 1)).toEqual(['b']);
  });

  it('is compared when it comes back, if it was gone when the process began', async () => {
    const gone = await restart('a\nb\n', 2, 1, { once: false });
    expect(await readValues(gone, 1)).toEqual([]);
    await writeFile(path, 'A\nb\n');
    await expect(gone.read({ offset: 1, ...ALL })).rejects.toMatchObject(CHANGED);
  });

  it.each([true, false])('is named when it is a folder (C3; one pass: %s)', async (once) => {
    await mkdir(path);
    const reader = await open({ once });
    await expect(reader.read({ offset: 0, ...ALL })).rejects.toMatchObject({
      name: 'HaltError',
      code: 'SOURCE_UNAVAILABLE',
      message: `Cannot read "${path}": it is a folder, wanted a file (way out: mend it and run again)`,
    });
  });

  it('is tried again when it is followed and its links lead nowhere for now', async () => {
    await symlink(path, path);
    const reader = await open({ once: false });
    await expect(reader.read({ offset: 0, ...ALL })).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'SOURCE_UNAVAILABLE',
    });
    await rm(path);
    await writeFile(path, 'a\n');
    expect(await readValues(reader)).toEqual(['a']);
  });

  it.each([
    ['EACCES', true, 'HaltError', 'permission is denied'],
    ['EACCES', false, 'UnavailableError', 'permission is denied'],
    ['EPERM', true, 'HaltError', 'permission is denied'],
    ['ENAMETOOLONG', true, 'HaltError', 'its path is too long'],
    ['ENOTDIR', true, 'HaltError', 'a part of its path is no folder'],
    ['ENXIO', false, 'HaltError', 'it is no regular file'],
    ['EIO', true, 'UnavailableError', 'i/o error'],
    ['EMFILE', true, 'UnavailableError', 'i/o error'],
  ])('for %s (one pass: %s) is a %s that says why', (code, once, name, why) => {
    const trouble = fileTrouble('/data/x.csv', Object.assign(new Error('i/o error'), { code }), once);
    expect(trouble).toMatchObject({ name, code: 'SOURCE_UNAVAILABLE', fields: { cause: code } });
    expect(trouble.message).toContain(why);
  });
});
