import { chmod, chown, mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { headgate, headgateJson } from '../support/cli.ts';
import { orders, TestPipeline } from '../support/pipeline.ts';

/* What a container is to the program, without one: a user that has no name, and a configuration it cannot write beside. */

/** A user that no machine names. */
const UID = 54_321;
const isRoot = process.getuid?.() === 0;

interface Bundle {
  readonly dsseEnvelope: { readonly payload: string };
}

/** A pipeline whose configuration cannot be written beside; `var` is a volume. @param settings more of the configuration */
async function contained(settings: string): Promise<{ cwd: string; uid: number; env: Record<string, string> }> {
  const pipeline = await TestPipeline.open(
    ['--files', 'data-*.ndjson', '--pipeline', 'shop', '--store', './var/store'],
    settings,
  );
  await pipeline.write('data-1.ndjson', orders(2_000));
  const { folder } = pipeline;
  await mkdir(join(folder, 'var'));
  for (const name of ['var', 'keys', ...(await readdir(join(folder, 'keys'))).map((key) => join('keys', key))])
    await chown(join(folder, name), UID, UID);
  await chmod(join(folder, 'keys'), 0o500);
  await chmod(folder, 0o555);
  return { cwd: folder, uid: UID, env: { HOME: '/' } };
}

describe.skipIf(!isRoot)('headgate as a user without a name, on a read-only configuration', () => {
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
    for (const by of actors) expect(by).toMatch(/^uid-54321@./);
  }, 60_000);

  it('says which folder it cannot write to and how to mend it, with the exit code of a wrong configuration', async () => {
    const options = await contained('batch: { recordsMax: 1000 }');
    for (const command of [['run', '--once'], ['status']]) {
      const { code, stderr, stdout } = await headgate(command, options);
      const marks = join(options.cwd, '.headgate', 'marks');
      expect(`${stdout}${stderr}`).toContain(
        `folder "${marks}" cannot be written: "${options.cwd}" belongs to user 0, this process is user 54321 (EACCES) (mend: run it as user 0, or as root mkdir -p ${marks} && chown -R 54321 ${marks}, or set stateFolder`,
      );
      expect(code).toBe(78);
    }
  }, 60_000);
});
