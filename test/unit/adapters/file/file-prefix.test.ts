import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { restoreStanding } from '../../../../src/adapters/file/file-prefix.ts';
import { NDJSON, positionOf } from './reading.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-prefix-'));
});

afterEach(() => rm(folder, { recursive: true }));

describe('restoring where a file was left', () => {
  it('halts at a record above a cap that was lowered since', async () => {
    const path = join(folder, 'a.ndjson');
    const bytes = Buffer.from(`a\n${'x'.repeat(101)}\nb\n`);
    await writeFile(path, bytes);
    const file = await open(path);
    try {
      const position = positionOf(bytes, bytes.length);
      const restore = (recordBytesMax: number) =>
        restoreStanding(file, path, { ...NDJSON, recordBytesMax }, 3, position);
      expect(await restore(101)).toMatchObject({ byte: bytes.length, offset: 3, unbroken: 0 });
      await expect(restore(100)).rejects.toMatchObject({
        code: 'SIZE_EXCEEDED',
        message: expect.stringContaining('record 1, at byte 2, is longer than 100 bytes'),
      });
    } finally {
      await file.close();
    }
  });
});
