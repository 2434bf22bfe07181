import { existsSync } from 'node:fs';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { sha256Hex } from '../../../src/record/sha256.ts';
import { headgate, type CommandOutput } from '../cli.ts';
import { CRASH_PLAN, type CrashPlan, type CrashPoint } from './plan.ts';

const PRELOAD = new URL('../../../dist/test/support/crash/preload.js', import.meta.url);
/** Exit code of a process that was killed, as {@link headgate} reports it. */
export const KILLED = 137;

/** A folder with a pipeline on which the built command is run, watched. */
export class Stage {
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #services: boolean;

  /** @param services whether its commands use Kafka, S3 and Redis. */
  constructor(folder: string, env: Readonly<Record<string, string>> = {}, services = false) {
    this.folder = folder;
    this.#env = env;
    this.#services = services;
  }

  /** Makes the stage's folder a copy of a prepared one, as if the pipeline had always been here. */
  async become(prepared: string, pipeline: string): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await cp(prepared, this.folder, { recursive: true });
    // What this machine has seen of a store is kept under the store's address.
    const marks = join(this.folder, '.headgate', 'marks');
    if (existsSync(join(marks, markName(prepared, pipeline))))
      await rename(join(marks, markName(prepared, pipeline)), join(marks, markName(this.folder, pipeline)));
  }

  /** Runs a command to its end. */
  run(args: readonly string[]): Promise<CommandOutput> {
    return headgate(args, { cwd: this.folder, env: this.#env });
  }

  /** Runs a command to its end and has every step written down. @param log absolute */
  rehearse(args: readonly string[], log: string): Promise<CommandOutput> {
    return this.#watched(args, { log, point: null });
  }

  /** Runs a command that is killed at a point. @throws {Error} if it was not: then the case would show nothing */
  async cut(args: readonly string[], point: CrashPoint): Promise<CommandOutput> {
    const output = await this.#watched(args, { log: null, point });
    if (output.code !== KILLED)
      throw new Error(
        `headgate ${args.join(' ')} ended with ${output.code} and never came to pass ${point.pass} ${point.side} "${point.step}"\n${output.stdout}${output.stderr}`,
      );
    return output;
  }

  #watched(args: readonly string[], plan: Omit<CrashPlan, 'services'>): Promise<CommandOutput> {
    if (!existsSync(PRELOAD))
      throw new Error(`Cannot watch headgate: "${fileURLToPath(PRELOAD)}" is missing (mend: npm run build)`);
    const whole: CrashPlan = { ...plan, services: this.#services };
    const env = { ...this.#env, NODE_OPTIONS: `--import=${PRELOAD.href}`, [CRASH_PLAN]: JSON.stringify(whole) };
    return headgate(args, { cwd: this.folder, env });
  }
}

function markName(folder: string, pipeline: string): string {
  return `${sha256Hex(Buffer.from(`${join(folder, 'store')}\n${pipeline}`, 'utf8')).slice(0, 32)}.json`;
}
