import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { FakeS3 } from '../../../support/fake-s3.ts';
import { runHere, runUntil } from '../../../support/in-process.ts';
import { ANY_ACCOUNT, useS3Account } from '../../../support/s3-store.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const LOG = 'file/shop/a.ndjson@0';
const REFUSED = { status: 503, code: 'SlowDown' };

let server: FakeS3;
let folder: string;

beforeEach(async () => {
  server = await FakeS3.open();
  useS3Account(ANY_ACCOUNT);
  folder = await temporaryFolder();
  await writeFile(join(folder, 'a.ndjson'), Array.from({ length: 600 }, (_, id) => `{"id":${id}}\n`).join(''));
  const answers = ['--files', 'a.ndjson', '--pipeline', 'shop', '--store', 's3://bucket/prefix'];
  expect((await runHere(folder, 'init', '.', ...answers)).code).toBe(0);
  const path = join(folder, 'headgate.yaml');
  const store = `store:\n  endpoint: ${server.endpoint}\n  forcePathStyle: true\n  requestTimeoutMs: 1000`;
  const schema = '\ntopics: { shop: { schema: [{ path: id, type: string }] } }\n';
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(/^store:/m, store));
  expect((await runHere(folder, 'run', '--once')).code).toBe(0);
  await writeFile(path, `${text.replace(/^store:/m, store)}${schema}`);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
});

const slots = (): string[] => [...server.objects.keys()].filter((key) => /\/control\/[^/]+$/.test(key)).toSorted();
const told = (stdout: string): unknown => (JSON.parse(stdout) as { error: unknown }).error;

describe('what a person decides, told to stop', () => {
  it.each([
    ['hold', '--reason', 'x'],
    ['rollback', '--reason', 'x'],
    ['quarantine', 'condemn', LOG, '--reason', 'x'],
    ['quarantine', 'release', LOG, '--reason', 'x'],
    ['baseline', 'learn', '--held'],
    ['baseline', 'learn', '--files', 'a.ndjson'],
    ['schema', 'pin', '--reason', 'x'],
  ])(
    'while the store takes nothing, by %s %s %s: ends at once, and does nothing when the store is back',
    async (...args) => {
      const before = slots();
      const stop = new AbortController();
      server.answer = ({ method }) => (method === 'PUT' ? REFUSED : null);
      const running = runUntil(stop.signal, folder, ...args, '--json');
      const puts = () => server.requests.filter(({ method }) => method === 'PUT').length;
      const had = puts();
      await expect.poll(puts, { timeout: 20_000 }).toBeGreaterThan(had + 1);
      const stoppedMs = performance.now();
      stop.abort();
      const { code, stdout } = await running;
      expect(performance.now() - stoppedMs).toBeLessThan(3_000);
      expect([code, told(stdout)]).toEqual([
        143,
        { code: 'STOPPED', message: 'Stopped: nothing was signed, and the same call may be made again' },
      ]);
      server.answer = () => null;
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(slots()).toEqual(before);
    },
  );

  it.each([
    ['though the answer is lost', true],
    ['nowhere, as far as anyone can see, for 20 s', false],
  ])(
    'when its entry was sent, and arrives %s, finds out what became of it',
    async (_, isStored) => {
      const before = slots();
      const stop = new AbortController();
      server.answer = ({ method, key, body }) => {
        if (method !== 'PUT' || !/\/control\/[^/]+$/.test(key)) return null;
        if (isStored) server.objects.set(key, body);
        stop.abort();
        return { status: 500, code: 'InternalError' };
      };
      const { code, stdout } = await runUntil(stop.signal, folder, 'hold', '--reason', 'x', '--json');
      if (isStored) {
        server.answer = () => null;
        expect([code, JSON.parse(stdout)]).toEqual([0, { ref: 'main', held: true, unchanged: false }]);
        expect(slots()).toHaveLength(before.length + 1);
      } else {
        expect(code).toBe(4);
        expect(told(stdout)).toMatchObject({
          code: 'STORE_UNCERTAIN',
          message: expect.stringContaining('headgate log tells') as string,
        });
      }
    },
    60_000,
  );
});
