import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { FakeS3 } from '../../../support/fake-s3.ts';
import { runHere, runUntil } from '../../../support/in-process.ts';
import { ANY_ACCOUNT, useS3Account } from '../../../support/s3-store.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

let server: FakeS3;
let folder: string;

beforeEach(async () => {
  server = await FakeS3.open();
  useS3Account(ANY_ACCOUNT);
  folder = await temporaryFolder();
  await writeFile(join(folder, 'a.ndjson'), '{"id":1}\n');
  const answers = ['--files', 'a.ndjson', '--pipeline', 'shop', '--store', 's3://bucket/prefix'];
  expect((await runHere(folder, 'init', '.', ...answers)).code).toBe(0);
  const path = join(folder, 'headgate.yaml');
  const store = `store:\n  endpoint: ${server.endpoint}\n  forcePathStyle: true\n  requestTimeoutMs: 1000`;
  await writeFile(path, (await readFile(path, 'utf8')).replace(/^store:/m, store));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
});

/** Sends the head and nothing else, for ever. */
async function* silence(): AsyncGenerator<Buffer> {
  await new Promise(() => undefined);
  yield Buffer.alloc(0);
}

it.each([
  ['refuses', { status: 503, code: 'SlowDown' }],
  [
    'is silent',
    {
      status: 200,
      get body() {
        return silence();
      },
    },
  ],
])(
  'a service whose S3 %s ends at once when it is told to, and the next run reads the rest',
  async (_, answer) => {
    await appendFile(join(folder, 'headgate.yaml'), '\nbatch: { ageMaxMs: 200 }\n');
    const stop = new AbortController();
    const running = runUntil(stop.signal, folder, 'run');
    const wrote = (part: string): boolean => [...server.objects.keys()].some((key) => key.includes(part));
    await expect.poll(() => wrote('/hint/heads/'), { timeout: 20_000 }).toBe(true);
    server.answer = () => answer;
    await appendFile(join(folder, 'a.ndjson'), '{"id":2}\n');
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const stoppedMs = performance.now();
    stop.abort();
    const { code, stderr } = await running;
    expect(performance.now() - stoppedMs).toBeLessThan(5_000);
    expect([code, stderr]).toEqual([4, expect.stringContaining('Stopped while the store could not be used') as string]);
    server.answer = () => null;
    const { stdout } = await runHere(folder, 'run', '--once', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ records: 1, halted: [], damaged: [] });
  },
  60_000,
);

it('a service whose S3 refused reads for seconds, and answers again, still writes what it has when it is told to stop', async () => {
  await appendFile(join(folder, 'headgate.yaml'), '\nbatch: { ageMaxMs: 60000 }\npublish: { intervalMs: 100 }\n');
  await runHere(folder, 'run', '--once');
  await appendFile(join(folder, 'a.ndjson'), '{"id":2}\n');
  const stop = new AbortController();
  const running = runUntil(stop.signal, folder, 'run', '--json');
  let reads = 0;
  let isAway = false;
  server.answer = ({ method, key }) => {
    if (method === 'PUT' || key.includes('/probe/')) return null;
    reads++;
    return isAway ? { status: 503, code: 'SlowDown' } : null;
  };
  const readsBeyond = (count: number) => expect.poll(() => reads, { timeout: 20_000 }).toBeGreaterThan(count);
  await readsBeyond(60);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  isAway = true;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  isAway = false;
  await readsBeyond(reads + 10);
  stop.abort();
  const { code, stdout } = await running;
  expect([code, JSON.parse(stdout)]).toEqual([
    0,
    expect.objectContaining({ records: 1, snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) as string }),
  ]);
}, 60_000);

it('signs nothing under a clock that is more than a day off that of its S3, and doctor fails there', async () => {
  server.date = new Date(Date.now() - 400 * 86_400_000);
  const { code, stdout } = await runHere(folder, 'run', '--once', '--json');
  expect([code, stdout]).toEqual([5, expect.stringContaining('"code":"CLOCK_WRONG"') as string]);
  expect([...server.objects.keys()].filter((key) => /\/(log|control)\//.test(key))).toEqual([]);
  const doctor = await runHere(folder, 'doctor');
  expect(doctor.stdout).toMatch(/^FAIL {2}clock .*the store's says/m);
  server.date = new Date(Date.now() - 600_000);
  expect((await runHere(folder, 'doctor')).stdout).toMatch(
    /^WARN {2}clock .* (599|60\d) s ahead of the store's \(mend: /m,
  );
  expect((await runHere(folder, 'run', '--once')).code).toBe(0);
});
