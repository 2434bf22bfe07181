import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it, onTestFinished } from 'vitest';

import { headgate, headgateJson, MAIN, type CommandOptions } from '../support/cli.ts';
import { orders, TestPipeline } from '../support/pipeline.ts';
import { describeShutOut, giveAway, isOtherUser, plainUser } from '../support/shut-out.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/* What a container is to the program, without one: a user that has no name, and a configuration it cannot write beside. */

interface Bundle {
  readonly dsseEnvelope: { readonly payload: string };
}

/** A pipeline whose configuration cannot be written beside; `var` is a volume. @param settings more of the configuration */
async function contained(settings: string): Promise<CommandOptions> {
  const pipeline = await TestPipeline.open(
    ['--files', 'data-*.ndjson', '--pipeline', 'shop', '--store', './var/store'],
    settings,
  );
  await pipeline.write('data-1.ndjson', orders(2_000));
  const { folder } = pipeline;
  await mkdir(join(folder, 'var'));
  await giveAway(join(folder, 'var'), join(folder, 'keys'));
  await chmod(join(folder, 'keys'), 0o500);
  await chmod(folder, 0o555);
  onTestFinished(async () => {
    for (const path of [folder, join(folder, 'keys')]) await chmod(path, 0o755);
  });
  return { cwd: folder, ...(plainUser === undefined ? {} : { uid: plainUser }), env: { HOME: '/' } };
}

describe('headgate as a user without a name, where there is one to be, on a read-only configuration', () => {
  it('commits, decides and verifies, and remembers in its state folder what it has seen', async () => {
    const options = await contained('stateFolder: ./var/state\nbatch: { recordsMax: 1000 }');
    expect(await headgateJson(['run', '--once'], options)).toMatchObject({ records: 2_000, batches: 2 });
    await headgateJson(['hold', '--reason', 'test'], options);
    expect(await headgateJson(['verify', '--deep'], options)).toMatchObject({ ok: true, records: 2_000 });
    expect(await readdir(join(options.cwd, 'var', 'state', 'marks'))).toHaveLength(1);
    const control = join(options.cwd, 'var', 'store', 'shop', 'control');
    const actors = await Promise.all(
      (await readdir(control)).map(async (name) => {
        const bundle = JSON.parse(await readFile(join(control, name), 'utf8')) as Bundle;
        const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8')) as {
          predicate: { by: string };
        };
        return statement.predicate.by;
      }),
    );
    expect(actors.length).toBeGreaterThan(1);
    for (const by of actors) expect(by).toMatch(isOtherUser ? /^uid-54321@./ : /^.+@./);
  }, 60_000);

  it('says which folder it cannot write to and how to mend it, with the exit code of a wrong configuration', async () => {
    const options = await contained('batch: { recordsMax: 1000 }');
    for (const command of [['run', '--once'], ['status']]) {
      const { code, stderr, stdout } = await headgate(command, options);
      const marks = join(options.cwd, '.headgate', 'marks');
      expect(`${stdout}${stderr}`).toMatch(
        new RegExp(
          `folder "${marks}" cannot be written: "${options.cwd}" ${describeShutOut()}(${isOtherUser ? marks : options.cwd}), or set stateFolder`,
        ),
      );
      expect(code).toBe(78);
    }
  }, 60_000);
});

describe('headgate on the path, as the image has it', () => {
  it('says headgate in its hints', async () => {
    const folder = await temporaryFolder();
    await symlink(MAIN, join(folder, 'headgate'));
    const called = promisify(execFile)('headgate', ['status'], {
      cwd: folder,
      env: { PATH: `${folder}:${process.env['PATH']}`, NODE_OPTIONS: '--enable-source-maps' },
    });
    await expect(called).rejects.toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/\(mend: headgate init, or --config FILE\)\n$/) as string,
    });
  }, 60_000);
});
