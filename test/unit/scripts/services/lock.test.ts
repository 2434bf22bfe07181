import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { createContext, type ServiceContext } from '../../../../scripts/services/context.ts';
import { withServicesLock } from '../../../../scripts/services/lock.ts';
import { identifyProcess } from '../../../../scripts/services/process.ts';

it('lets one in at a time and leaves nothing behind', async () => {
  const context = await temporaryContext();
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await sleep(20);
    inside--;
  };
  await Promise.all([
    withServicesLock(context, work),
    withServicesLock(context, work),
    withServicesLock(context, work),
  ]);
  expect(most).toBe(1);
  expect(await readdir(context.folder)).toEqual([]);
});

it('opens again after work that failed', async () => {
  const context = await temporaryContext();
  await expect(withServicesLock(context, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withServicesLock(context, () => Promise.resolve('yes'))).toBe('yes');
});

it.each([
  ['a process that has ended', JSON.stringify({ pid: process.pid, started: 'long ago' })],
  ['nobody', ''],
])('takes over the lock of %s', async (_, owner) => {
  const context = await temporaryContext();
  await writeFile(join(context.folder, 'lock'), owner);
  expect(await withServicesLock(context, () => Promise.resolve('in'))).toBe('in');
});

it('waits for a process that runs, says so once, and gives up when it is told to', async () => {
  const lines: string[] = [];
  const abort = new AbortController();
  const context = { ...(await temporaryContext(lines)), signal: abort.signal };
  await writeFile(join(context.folder, 'lock'), JSON.stringify(identifyProcess(process.ppid)));
  const waiting = withServicesLock(context, () => Promise.resolve('in'));
  setTimeout(() => abort.abort(new Error('enough')), 700);
  await expect(waiting).rejects.toThrow('enough');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('another process');
});

async function temporaryContext(lines: string[] = []): Promise<ServiceContext> {
  const folder = await temporaryFolder();
  return createContext({ folder, report: (line) => lines.push(line) });
}
