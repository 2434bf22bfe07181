import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { identifyProcess, isRunning, startDaemon, stopProcess } from '../../../../scripts/services/process.ts';

const SLEEPER = ['-e', 'console.log("up"); setInterval(() => {}, 1000)'];
const DEAF = ['-e', 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)'];

it('gives a process the same identity at each look, and another one to another process', () => {
  expect(identifyProcess(process.pid)).toEqual(identifyProcess(process.pid));
  expect(identifyProcess(process.pid)?.started).not.toBe(identifyProcess(process.ppid)?.started);
});

it('knows no process that has ended', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  const { pid } = child;
  await once(child, 'exit');
  expect(identifyProcess(pid!)).toBeNull();
});

it('starts a process that writes to its log, and ends it', async () => {
  const { identity, logFile } = await startNode(SLEEPER);
  expect(isRunning(identity)).toBe(true);
  expect(await readFile(logFile, 'utf8')).toBe('up\n');
  expect(await stopProcess(identity)).toBe(true);
  expect(isRunning(identity)).toBe(false);
  expect(await stopProcess(identity)).toBe(false);
});

it('kills a process that does not listen to SIGTERM', async () => {
  const { identity } = await startNode(DEAF);
  expect(await stopProcess(identity, 'SIGTERM', 100)).toBe(true);
});

it('never signals a process that only inherited the pid', async () => {
  const { identity } = await startNode(SLEEPER);
  const predecessor = { pid: identity.pid, started: 'another time' };
  expect(isRunning(predecessor)).toBe(false);
  expect(await stopProcess(predecessor, 'SIGKILL')).toBe(false);
  expect(isRunning(identity)).toBe(true);
  await stopProcess(identity, 'SIGKILL');
});

it('names the program that cannot be started', async () => {
  await expect(
    startDaemon({ command: 'no-such-program', arguments: [], cwd: tmpdir(), logFile: await temporaryLog() }),
  ).rejects.toThrow(/no-such-program/);
});

async function temporaryLog(): Promise<string> {
  return join(await temporaryFolder(), 'log');
}

async function startNode(nodeArguments: readonly string[]) {
  const logFile = await temporaryLog();
  const identity = await startDaemon({ command: process.execPath, arguments: nodeArguments, cwd: tmpdir(), logFile });
  await expect.poll(() => readFile(logFile, 'utf8'), { timeout: 5_000 }).toBe('up\n');
  return { identity, logFile };
}
