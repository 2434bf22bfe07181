import { access, constants } from 'node:fs/promises';
import type { ServiceContext } from './context.ts';
import { installFolder, installOnce, isInstalled, type Installation } from './install.ts';
import type { ProgramAddress, Service, ServiceStatus } from './service.ts';
import type { Tool } from './toolchain.ts';

/** What differs between the programs that tests call. */
export interface ProgramPlan {
  readonly name: string;
  /** Environment variable that names a program to use instead. */
  readonly variable: string;
  readonly installation: Installation;
  readonly toolsToInstall: readonly Tool[];
  /** Path of the program inside its installation folder. */
  path(folder: string): string;
  /** Fills `folder`, which is empty. */
  install(context: ServiceContext, folder: string, logFile: string): Promise<void>;
}

/** A program without a process: to start it is to say where it is. */
export function installedProgram(plan: ProgramPlan): Service<ProgramAddress> {
  const path = (context: ServiceContext): string => plan.path(installFolder(context, plan.installation));
  return {
    name: plan.name,
    find(environment) {
      const named = environment[plan.variable];
      return named === undefined || named === '' ? null : { path: named };
    },
    tools: async (context) => ((await isInstalled(context, plan.installation)) ? [] : plan.toolsToInstall),
    install: (context) =>
      installOnce(context, plan.installation, async (folder, logFile) => {
        await plan.install(context, folder, logFile);
        await access(plan.path(folder), constants.X_OK);
      }),
    async start(context) {
      await access(path(context), constants.X_OK);
      return { path: path(context) };
    },
    stop: () => Promise.resolve(false),
    async status(context): Promise<ServiceStatus> {
      if (!(await isInstalled(context, plan.installation))) return { state: 'not installed', detail: '' };
      return { state: 'installed', detail: path(context) };
    },
  };
}
