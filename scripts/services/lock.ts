import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceContext } from './context.ts';
import { identifyProcess, isRunning, type ProcessIdentity } from './process.ts';

/** Runs `work` while no other process installs, starts or stops services in the same folder; waits for its turn.
 * A lock whose owner has ended is taken over. */
export async function withServicesLock<Result>(context: ServiceContext, work: () => Promise<Result>): Promise<Result> {
  const file = join(context.folder, 'lock');
  await mkdir(context.folder, { recursive: true });
  const own = JSON.stringify(identifyProcess(process.pid));
  let told = false;
  while (!(await tryLock(file, own))) {
    context.signal.throwIfAborted();
    if (!told) context.report(`  waiting: another process is starting or stopping these services (${file})`);
    told = true;
    await sleep(500);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function tryLock(file: string, own: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(own);
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = await readOwner(file);
  if (owner === 'unknown' || (owner !== null && isRunning(owner))) return false;
  // Of several that take over an abandoned lock, the last rename wins, and each looks again before it believes.
  const claim = `${file}.${process.pid}`;
  await writeFile(claim, own);
  await rename(claim, file);
  await sleep(200);
  return (await readFile(file, 'utf8').catch(() => '')) === own;
}

/** Owner of the lock; null when the file does not name one; `unknown` while its owner is still writing it. */
async function readOwner(file: string): Promise<ProcessIdentity | null | 'unknown'> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      const owner: unknown = JSON.parse(await readFile(file, 'utf8'));
      return owner as ProcessIdentity | null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'unknown';
      await sleep(50);
    }
  }
  return null;
}
