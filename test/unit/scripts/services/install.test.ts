import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { createContext, type ServiceContext } from '../../../../scripts/services/context.ts';
import { installFolder, installOnce, isInstalled } from '../../../../scripts/services/install.ts';

const THING = { name: 'thing', version: '1', cost: 'nothing' };

it('installs once, and says so', async () => {
  const lines: string[] = [];
  const context = await temporaryContext(lines);
  let runs = 0;
  const install = (): Promise<void> =>
    installOnce(context, THING, async (folder) => {
      runs++;
      await writeFile(join(folder, 'program'), 'x');
    });
  expect(await isInstalled(context, THING)).toBe(false);
  await install();
  await install();
  expect(runs).toBe(1);
  expect(await isInstalled(context, THING)).toBe(true);
  expect(lines).toEqual([
    '  thing 1: installing (nothing the first time)',
    expect.stringMatching(/^ {2}thing 1: installed in \d+\.\d s$/),
  ]);
});

it('throws a half install away and redoes it', async () => {
  const context = await temporaryContext();
  const half = installOnce(context, THING, async (folder) => {
    await writeFile(join(folder, 'half'), 'x');
    throw new Error('network');
  });
  await expect(half).rejects.toThrow('network');
  expect(await isInstalled(context, THING)).toBe(false);
  await installOnce(context, THING, (folder) => writeFile(join(folder, 'whole'), 'x'));
  expect((await readdir(installFolder(context, THING))).sort()).toEqual(['installed.json', 'whole']);
});

it('installs another version beside the first', async () => {
  const context = await temporaryContext();
  await installOnce(context, THING, () => Promise.resolve());
  expect(await isInstalled(context, { ...THING, version: '2' })).toBe(false);
});

it.each(['', '{', 'null', '"1"', '{"version":"0"}'])('does not believe a stamp that reads %j', async (stamp) => {
  const context = await temporaryContext();
  await installOnce(context, THING, () => Promise.resolve());
  await writeFile(join(installFolder(context, THING), 'installed.json'), stamp);
  expect(await isInstalled(context, THING)).toBe(false);
});

async function temporaryContext(lines: string[] = []): Promise<ServiceContext> {
  const folder = await temporaryFolder();
  return createContext({ folder, report: (line) => lines.push(line) });
}
