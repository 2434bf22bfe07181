import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it, onTestFinished } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('the npm package', () => {
  it('installs in an empty folder, without install scripts, and runs the demo there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-pack-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT });
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!;
    const { stdout: listing } = await run('tar', ['tzf', tarball], { cwd: folder });
    expect(listing).not.toMatch(/package\/(test|src|scripts|\.services|dist\/scripts|dist\/test)\//);
    await run('npm', ['init', '--yes'], { cwd: folder });
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball}`], { cwd: folder });
    const { stdout } = await run('npx', ['--no-install', 'headgate', 'demo', '--json'], {
      cwd: folder,
      maxBuffer: 2 ** 24,
    });
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ ok: true });
  }, 240_000);
});
