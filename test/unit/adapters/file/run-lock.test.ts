import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { beforeEach, describe, expect, it } from 'vitest';

import { RunLock } from '../../../../src/adapters/file/run-lock.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const clock = new ManualClock(Date.UTC(2026, 0, 2));
let folder: string;

beforeEach(async () => {
  folder = join(await temporaryFolder(), 'state');
  await mkdir(folder);
});

function acquire(name = 'orders', into = folder): Promise<RunLock> {
  return RunLock.acquire({ folder: into, names: ['store', 'p', name], about: `read the files of "${name}"` }, clock);
}

/** Takers that look a moment apart are in each other's way the most. */
async function acquireAfter(turns: number): Promise<RunLock> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
  return acquire();
}

/** Path of the lock's socket, while it is held. */
async function lockFile(): Promise<string> {
  const [name, ...others] = await readdir(folder);
  expect(others).toEqual([]);
  return join(folder, name!);
}

describe('the lock of a run', () => {
  it('is given once, and says who has it', async () => {
    await using held = await acquire();
    expect(held).toBeDefined();
    await expect(acquire()).rejects.toMatchObject({
      name: 'ConflictError',
      code: 'ALREADY_RUNNING',
      message: `Cannot read the files of "orders": another run (pid ${process.pid}, since 2026-01-02T00:00:00.000Z) is at it (way out: let it end, or stop it)`,
    });
  });

  it('is given again when it is free, and leaves nothing behind', async () => {
    for (let i = 0; i < 3; i++) {
      await using held = await acquire();
      expect(held).toBeDefined();
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('can be asked by every user, or one that is dead would lock out all but its own', async () => {
    await using held = await acquire();
    expect(held).toBeDefined();
    expect((await stat(await lockFile())).mode & 0o222).toBe(0o222);
  });

  it('is of one work only', async () => {
    await using first = await acquire('orders');
    await using second = await acquire('returns');
    expect([first, second]).toHaveLength(2);
  });

  it('is taken over from a process that was killed', async () => {
    await using before = await acquire();
    const path = await lockFile();
    await before[Symbol.asyncDispose]();
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
    const other = spawn(process.execPath, ['-e', script]);
    await once(other.stdout, 'data');
    await expect(acquire()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    other.kill('SIGKILL');
    await once(other, 'close');
    expect(await readdir(folder)).toHaveLength(1);
    await using held = await acquire();
    await expect(acquire()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    expect(held).toBeDefined();
  });

  it('is given to exactly one of six that want it at once, also from a process that was killed', async () => {
    await using before = await acquire();
    const path = await lockFile();
    await before[Symbol.asyncDispose]();
    for (let round = 0; round < 12; round++) {
      const other = spawn(process.execPath, [
        '-e',
        `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
      ]);
      await once(other, 'close');
      expect(await readdir(folder)).toHaveLength(1);
      const takers = await Promise.allSettled(Array.from({ length: 6 }, (_, turns) => acquireAfter(turns)));
      const locks = takers.filter((taker) => taker.status === 'fulfilled');
      const refusals = takers.filter((taker) => taker.status === 'rejected').map(({ reason }) => reason as unknown);
      expect(locks).toHaveLength(1);
      expect(refusals).toEqual(Array.from({ length: 5 }, () => expect.objectContaining({ code: 'ALREADY_RUNNING' })));
      expect(await readdir(folder)).toHaveLength(1);
      await locks[0]!.value[Symbol.asyncDispose]();
      expect(await readdir(folder)).toEqual([]);
    }
  }, 30_000);

  it('is let go while somebody who asked for the holder stays connected', async () => {
    const held = await acquire();
    const asking = connect({ path: await lockFile(), allowHalfOpen: true });
    await once(asking, 'data');
    asking.pause();
    await held[Symbol.asyncDispose]();
    await using again = await acquire();
    expect(again).toBeDefined();
    asking.destroy();
  });

  it('is taken over from a file that is no socket', async () => {
    await using before = await acquire();
    const path = await lockFile();
    await before[Symbol.asyncDispose]();
    await writeFile(path, 'left by something else');
    await using held = await acquire();
    await expect(acquire()).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    expect(held).toBeDefined();
  });

  it.each([
    ['says nothing', '', 'which gives no answer'],
    ['says too much', 'x'.repeat(1_000), 'which cannot be understood'],
    ['lies', '{"pid":"\u001b[2J"}\n', 'which cannot be understood'],
  ])('is not taken from a holder that %s', async (_, answer, words) => {
    await using before = await acquire();
    const path = await lockFile();
    await before[Symbol.asyncDispose]();
    const holder = createServer((socket) => {
      socket.on('error', () => undefined);
      if (answer !== '') socket.end(answer);
    });
    holder.listen(path);
    await once(holder, 'listening');
    await expect(acquire()).rejects.toThrow(`another run (${words}) is at it`);
    holder.close();
  });

  it('lies in a folder whose path is too long for sockets where the system has another way to it', async () => {
    const long = join(folder, 'x'.repeat(120));
    await mkdir(long);
    for (let round = 0; round < 3; round++) {
      await using held = await acquire('long', long);
      await expect(acquire('long', long)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
      expect(held).toBeDefined();
      expect(await readdir(long)).toHaveLength(process.platform === 'linux' ? 1 : 0);
    }
    expect(await readdir(long)).toEqual([]);
  });

  it('clears away what a process left that died before it listened', async () => {
    const held = await acquire();
    const name = (await lockFile()).replace(/[0-9a-f]+[.]lock$/, '');
    await held[Symbol.asyncDispose]();
    await writeFile(`${name}old.bind`, '');
    await utimes(`${name}old.bind`, 1, 1);
    await writeFile(`${name}new.bind`, '');
    await (await acquire())[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([basename(`${name}new.bind`)]);
  });

  it('is held elsewhere where the folder cannot have it', async () => {
    await writeFile(join(folder, 'file'), '');
    for (const none of [join(folder, 'file/below'), join(folder, 'gone'), '/proc/state', '/proc/1/state']) {
      await using other = await acquire(none, none);
      await expect(acquire(none, none)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
      expect(other).toBeDefined();
    }
  });
});
