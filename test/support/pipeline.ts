import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { headgate, headgateJson, startHeadgate, type CommandOutput, type RunningCommand } from './cli.ts';

/** A folder with a pipeline in it, driven by the built command as a user would. */
export class TestPipeline {
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.#env = env;
  }

  /** Sets one up; it is removed when the current test has finished. @param settings YAML that replaces the `alerts:` of the generated file. */
  static async open(
    init: readonly string[],
    settings = '',
    env: Readonly<Record<string, string>> = {},
  ): Promise<TestPipeline> {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-pipeline-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const pipeline = new TestPipeline(folder, env);
    const { code, stderr } = await pipeline.run('init', '.', ...init);
    if (code !== 0) throw new Error(`headgate init ended with ${code}: ${stderr}`);
    const path = join(folder, 'headgate.yaml');
    await writeFile(path, `${(await readFile(path, 'utf8')).replace(/^alerts:[^]*$/m, '')}\n${settings}\n`);
    return pipeline;
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<CommandOutput> {
    return headgate(args, { cwd: this.folder, env: this.#env });
  }

  /** Runs a command that must succeed and returns its JSON. */
  json<Result = Record<string, unknown>>(...args: string[]): Promise<Result> {
    return headgateJson<Result>(args, { cwd: this.folder, env: this.#env });
  }

  /** Runs a command with text on standard input. */
  pipe(input: string, ...args: string[]): Promise<CommandOutput> {
    return headgate(args, { cwd: this.folder, env: this.#env, input });
  }

  /** Starts a command; it is killed when the current test has finished. */
  start(...args: string[]): RunningCommand {
    const running = startHeadgate(args, { cwd: this.folder, env: this.#env });
    onTestFinished(async () => {
      running.process.kill('SIGKILL');
      await running.done;
    });
    return running;
  }

  /** Replaces the generated `topicDefaults:` and everything after it by these settings. */
  async configure(settings: string): Promise<void> {
    const path = join(this.folder, 'headgate.yaml');
    const text = (await readFile(path, 'utf8')).replace(/^# What columns mean[^]*$/m, '');
    await writeFile(path, `${text}\n${settings}\n`);
  }

  /** Writes records as newline-delimited JSON. */
  async write(name: string, records: readonly unknown[]): Promise<void> {
    await writeFile(join(this.folder, name), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  }
}

/** Orders that look alike: `count` of them, from number `first` on. */
export function orders(count: number, first = 0): { id: string; amount: number; city: string; express: boolean }[] {
  return Array.from({ length: count }, (_, i) => {
    const noise = Math.imul(first + i + 1, 0x9e3779b1) >>> 0;
    return {
      id: `o-${noise.toString(16)}`,
      amount: 20 + (noise % 6_000) / 100,
      city: ['Basel', 'Bern', 'Chur', 'Genf'][noise % 4]!,
      express: noise % 5 === 0,
    };
  });
}
