import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { lastLines, runCommand, runStep } from '../../../../scripts/services/command.ts';

describe('runCommand', () => {
  it('gives the exit code and both outputs', async () => {
    const script = 'console.log("out"); console.error("err"); process.exitCode = 3';
    const { code, output } = await runCommand(process.execPath, ['-e', script]);
    expect(code).toBe(3);
    expect(output.split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('gives no exit code for a program that does not exist', async () => {
    const { code, output } = await runCommand('no-such-program', []);
    expect(code).toBeNull();
    expect(output).toContain('ENOENT');
  });

  it('kills the command and its children at the time limit', async () => {
    const child =
      'require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" })';
    // The grandchild holds the output open: without the kill of the whole group this would never end.
    const { code, seconds } = await runCommand(process.execPath, ['-e', `${child}; setInterval(() => {}, 1000)`], {
      timeoutMs: 500,
    });
    expect(code).toBeNull();
    expect(seconds).toBeLessThan(10);
  });

  it('ends with the signal, and does not start after it', async () => {
    const abort = new AbortController();
    const running = runCommand('sleep', ['60'], { signal: abort.signal });
    abort.abort();
    expect((await running).code).toBeNull();
    expect(await runCommand('true', [], { signal: abort.signal })).toMatchObject({ code: null, output: 'Interrupted' });
  });

  it('writes all output to the log file as well', async () => {
    const logFile = join(await temporaryFolder(), 'folder', 'log');
    await runCommand('echo', ['one'], { logFile });
    await runCommand('echo', ['two'], { logFile });
    expect(await readFile(logFile, 'utf8')).toBe('one\ntwo\n');
  });
});

describe('runStep', () => {
  it('fails with the command, its exit code and the end of its output', async () => {
    const script = 'for (let i = 1; i <= 50; i++) console.log(`line ${i}`); process.exitCode = 7';
    const step = runStep('count', process.execPath, ['-e', script]);
    await expect(step).rejects.toThrow(/^Cannot count: `.*` ended with 7\nline 21\n[^]*line 50$/);
  });
});

describe('lastLines', () => {
  it.each([
    ['', 3, ''],
    ['a\nb\nc\n', 2, 'b\nc'],
    ['a\n\n\n', 5, 'a'],
  ])('of %j, %i are %j', (text, count, expected) => expect(lastLines(text, count)).toBe(expected));
});
