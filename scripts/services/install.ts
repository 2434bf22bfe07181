import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceContext } from './context.ts';
import { readJson, writeWhole } from './files.ts';

/** One thing that is downloaded or built once and kept. */
export interface Installation {
  /** Name without spaces, e.g. `kafka`. */
  readonly name: string;
  /** Everything that decides what is installed: a change of it installs anew, beside the old one. */
  readonly version: string;
  /** For people, where the version says nothing to them; by default name and version. */
  readonly title?: string;
  /** What the first time costs, for the progress line, e.g. `about 6 min`. */
  readonly cost: string;
}

/** Folder of an installation. */
export function installFolder(context: ServiceContext, { name, version }: Installation): string {
  return join(context.folder, 'install', `${name}-${version}`);
}

/** True when the installation was finished: its stamp is written last. */
export async function isInstalled(context: ServiceContext, installation: Installation): Promise<boolean> {
  const stamp = await readJson(stampFile(context, installation));
  return (
    typeof stamp === 'object' && stamp !== null && (stamp as { version?: unknown }).version === installation.version
  );
}

/**
 * Runs `work` into an empty folder unless an earlier run finished it; an interrupted one is thrown away and redone.
 * @param work fills the folder that it is given, and throws unless everything is there.
 */
export async function installOnce(
  context: ServiceContext,
  installation: Installation,
  work: (folder: string, logFile: string) => Promise<void>,
): Promise<void> {
  if (await isInstalled(context, installation)) return;
  const title = installation.title ?? `${installation.name} ${installation.version}`;
  context.report(`  ${title}: installing (${installation.cost} the first time)`);
  const startedMs = performance.now();
  const folder = installFolder(context, installation);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await work(folder, join(context.folder, 'logs', `install-${installation.name}.log`));
  const seconds = (performance.now() - startedMs) / 1_000;
  const stamp = {
    version: installation.version,
    seconds: Math.round(seconds * 10) / 10,
    finished: new Date().toISOString(),
  };
  await writeWhole(stampFile(context, installation), `${JSON.stringify(stamp, null, 2)}\n`);
  context.report(`  ${title}: installed in ${seconds.toFixed(1)} s`);
}

function stampFile(context: ServiceContext, installation: Installation): string {
  return join(installFolder(context, installation), 'installed.json');
}
