import { AsyncLocalStorage } from 'node:async_hooks';
import { appendFileSync, constants } from 'node:fs';
import files, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';

import { ConsoleAlertChannel } from '../../../src/adapters/console-alert/console-alert-channel.ts';
import { DiskState } from '../../../src/adapters/disk/local-state.ts';
import { DiskTarget } from '../../../src/adapters/disk/pull-target.ts';
import { DiskStore } from '../../../src/adapters/disk/store.ts';
import { RunLock } from '../../../src/adapters/file/run-lock.ts';
import { MemoryJobQueue } from '../../../src/adapters/memory-queue/memory-job-queue.ts';
import { CRASH_PLAN, type CrashPlan, type Side } from './plan.ts';
import { objectKind } from './step-name.ts';

/*
 * Loaded into the built command before anything else (`node --import`): names every call by which the process changes the
 * world outside of it, and kills the process at the one that the plan names. The product knows nothing of it.
 */

const passes = new Map<string, number>();
let plan: CrashPlan = { log: null, point: null, services: false };

/** Called on each side of each step; does not return where the process is to end. */
function reach(step: string, side: Side): void {
  const place = `${side} ${step}`;
  const pass = (passes.get(place) ?? 0) + 1;
  passes.set(place, pass);
  if (plan.log !== null) appendFileSync(plan.log, `${place}\n`);
  const { point } = plan;
  if (point !== null && point.step === step && point.side === side && point.pass === pass)
    process.kill(process.pid, 'SIGKILL');
}

/** A step that is made of several calls of the file system. */
interface Doing {
  readonly step: string;
  /** Whether the new content has its final name. */
  isNamed: boolean;
}

const doing = new AsyncLocalStorage<Doing>();

type Call = (this: unknown, ...given: unknown[]) => Promise<unknown>;

/** @param nameOf the step that a call is, by what it was given. */
function watch(part: object, method: string, nameOf: (...given: never[]) => string): void {
  const calls = part as Record<string, Call>;
  const original = calls[method]!;
  calls[method] = async function watched(...given) {
    const step = nameOf(...(given as never[]));
    reach(step, 'before');
    const answer = await doing.run({ step, isNamed: false }, () => original.apply(this, given));
    reach(step, 'after');
    return answer;
  };
}

function watchDisk(): void {
  watch(DiskStore.prototype, 'create', objectKind);
  watch(DiskStore.prototype, 'put', objectKind);
  watch(DiskStore.prototype, 'delete', (key: string) => `removal of ${objectKind(key, Buffer.alloc(0))}`);
  watch(DiskState.prototype, 'write', () => 'mark');
  watch(DiskState.prototype, 'assertWritable', () => 'trial mark');
  watch(RunLock, 'acquire', () => 'run lock');
  watch(MemoryJobQueue.prototype, 'add', () => 'alert job');
  watch(ConsoleAlertChannel.prototype, 'deliver', () => 'alert');
  watch(DiskTarget.prototype, 'write', () => 'staged file');
  watch(DiskTarget.prototype, 'replace', nameOfPulled);
  watch(DiskTarget.prototype, 'move', () => 'file moved into place');
  watch(DiskTarget.prototype, 'remove', () => 'removal of a stale file');
  watch(DiskTarget.prototype, 'removeAll', (path: string) => `removal of ${nameOfPulled(path)}`);
  watch(DiskTarget.prototype, 'sync', () => 'sync of names');
}

function nameOfPulled(path: string): string {
  return (
    { 'manifest.json': 'manifest', 'complete.json': 'completion record', staging: 'staging folder' }[basename(path)] ??
    'a file of another pull'
  );
}

async function watchServices(): Promise<void> {
  const { S3Store } = await import('../../../src/adapters/s3/store.ts');
  watch(S3Store.prototype, 'create', objectKind);
  watch(S3Store.prototype, 'put', objectKind);
  watch(S3Store.prototype, 'delete', (key: string) => `removal of ${objectKind(key, Buffer.alloc(0))}`);
  const { KafkaSource } = await import('../../../src/adapters/kafkajs/kafka-source.ts');
  watch(KafkaSource.prototype, 'commit', () => 'offset commit');
  const { BullmqJobQueue } = await import('../../../src/adapters/bullmq/bullmq-job-queue.ts');
  watch(BullmqJobQueue.prototype, 'add', () => 'alert job');
}

/** Files that `init` writes without an adapter. */
const PLAIN_FILES = ['.gitignore', 'trust.json', 'headgate.yaml'];

/** What lies inside a step: content that is written, content that is synced, the name that it gets, the name that is synced. */
function watchFiles(): void {
  const { open, link, rename, mkdir, writeFile } = files;
  const mutable = files as { -readonly [Name in keyof typeof files]: (typeof files)[Name] };
  mutable.open = async (path, flags, mode) => {
    const step = doing.getStore() ?? stepOfKey(String(path), flags);
    const file = await open(path, flags, mode);
    if (step === undefined) return file;
    return isNew(flags) ? watchContent(file, step) : watchNames(file, step);
  };
  const named = async (how: string, work: Promise<void>): Promise<void> => {
    const step = doing.getStore();
    await work;
    if (step === undefined) return;
    step.isNamed = true;
    reach(`${step.step}: ${how}`, 'after');
  };
  mutable.link = async (from, to) => {
    await named('linked', link(from, to));
    const step = doing.getStore() === undefined && PLAIN_FILES.find((each) => each === basename(String(to)));
    if (step) reach(`${step}: linked`, 'after');
  };
  mutable.rename = (from, to) => named('renamed', rename(from, to));
  mutable.mkdir = (async (...given: Parameters<typeof mkdir>) => {
    const made = await mkdir(...given);
    const step = doing.getStore();
    if (step !== undefined) reach(`${step.step}: folder made`, 'after');
    return made;
  }) as typeof mkdir;
  mutable.writeFile = async (path, content, options) => {
    const name =
      typeof path === 'string' && doing.getStore() === undefined ? basename(path).replace(/\.\d+\.tmp$/, '') : '';
    const step = PLAIN_FILES.find((each) => each === name);
    if (step === undefined) return writeFile(path, content, options);
    reach(step, 'before');
    // The calls that writeFile makes, of which only the first may have been made.
    const { flag = 'w' } = (options ?? {}) as { readonly flag?: string };
    const file = await open(path as string, flag);
    reach(`${step}: file made`, 'after');
    await file.writeFile(content as string);
    await file.close();
    reach(step, 'after');
  };
  syncBuiltinESMExports();
}

function stepOfKey(path: string, flags: unknown): Doing | undefined {
  if (flags !== 'wx' || !path.endsWith('.pem')) return undefined;
  const step = `${basename(path, '.pem')} key`;
  reach(step, 'before');
  return { step, isNamed: false };
}

function isNew(flags: unknown): boolean {
  return flags === 'wx' || (typeof flags === 'number' && (flags & constants.O_EXCL) !== 0);
}

function watchContent(file: FileHandle, { step }: Doing): FileHandle {
  reach(`${step}: file made`, 'after');
  const [writeFile, sync] = [file.writeFile.bind(file), file.sync.bind(file)];
  file.writeFile = async (...given) => {
    await writeFile(...given);
    reach(`${step}: file written`, 'after');
  };
  file.sync = async () => {
    await sync();
    reach(`${step}: file synced`, 'after');
  };
  return file;
}

function watchNames(file: FileHandle, step: Doing): FileHandle {
  const sync = file.sync.bind(file);
  file.sync = async () => {
    await sync();
    if (step.isNamed) reach(`${step.step}: folder synced`, 'after');
  };
  return file;
}

// Threads of the process inherit the preload; they write nothing.
if (isMainThread) {
  plan = JSON.parse(process.env[CRASH_PLAN]!) as CrashPlan;
  watchFiles();
  watchDisk();
  if (plan.services) await watchServices();
}
