import { randomUUID } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';

import { DiskStore } from '../adapters/disk/store.ts';
import { FileSource, type FileSourceOptions } from '../adapters/file/file-source.ts';
import { RunLock } from '../adapters/file/run-lock.ts';
import { systemClock } from '../adapters/system/clock.ts';
import { ConfigError } from '../errors.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ownPaths } from '../config/own-files.ts';
import type { FilesConfig, KafkaConfig } from '../config/schema.ts';
import type { RecordSource } from '../ports/record-source.ts';
import { PULLED } from '../respond/pull/own-files.ts';
import { makeLocalFolder } from './local-folder.ts';

/** Opens the configured source to look at it. @throws ConfigError, UnavailableError */
export function openSource(
  loaded: LoadedConfig,
  once: boolean,
  log: (level: string, message: string) => void,
): Promise<RecordSource> {
  return openWith(loaded, once, log, null);
}

/**
 * Opens the configured source to read it into logs, which one process of this machine does at a time where no broker shares
 * the partitions out.
 * @throws ConflictError ALREADY_RUNNING; ConfigError, UnavailableError
 */
export async function openSourceAlone(
  loaded: LoadedConfig,
  once: boolean,
  log: (level: string, message: string) => void,
): Promise<RecordSource> {
  const { files } = loaded.config.source;
  return openWith(loaded, once, log, files === null ? null : await lockFiles(loaded, files));
}

async function openWith(
  loaded: LoadedConfig,
  once: boolean,
  log: (level: string, message: string) => void,
  lock: AsyncDisposable | null,
): Promise<RecordSource> {
  const { files, kafka } = loaded.config.source;
  if (files === null && kafka === null)
    throw new ConfigError(
      'CONFIG_INVALID',
      `Cannot read records: configuration "${loaded.path}" has no source, it is one of a machine that only reads the store (mend: give it source and deployment)`,
    );
  if (files === null) return openKafka(kafka!, log);
  return openFileSource(loaded, { topic: files.topic, paths: files.paths, base: loaded.folder, once, lock });
}

/**
 * A store on disk is locked where it lies, so that configurations that differ in all else exclude each other. Standard input
 * needs no lock: each run's is a partition of its own.
 */
async function lockFiles(
  { config, folder }: LoadedConfig,
  { topic, paths }: FilesConfig,
): Promise<AsyncDisposable | null> {
  if (paths.every((path) => path === '-')) return null;
  const { url } = config.store;
  const about = `read the files of "${topic}"`;
  const stateFolder = resolve(folder, config.stateFolder);
  // Where a folder cannot be made, the lock is held elsewhere.
  await makeLocalFolder(stateFolder, 0o700).catch(() => undefined);
  if (url.startsWith('s3://'))
    return RunLock.acquire({ folder: stateFolder, names: [url, config.pipeline, topic], about }, systemClock);
  const scratch = DiskStore.scratchFolder(resolve(folder, url));
  await makeLocalFolder(scratch).catch(() => undefined);
  // Links may lead to one store by several names.
  const lockFolder = await realpath(scratch).catch(() => scratch);
  return RunLock.acquire({ folder: lockFolder, names: [lockFolder, config.pipeline, topic], about }, systemClock);
}

async function openKafka(kafka: KafkaConfig, log: (level: string, message: string) => void): Promise<RecordSource> {
  const { KafkaSource } = await import('../adapters/kafkajs/kafka-source.ts');
  const { sasl, tls } = kafka;
  const options = {
    brokers: kafka.brokers,
    clientId: kafka.clientId,
    groupId: kafka.group,
    topics: kafka.topics,
    tls:
      tls === null
        ? null
        : {
            ca: tls.ca ?? undefined,
            cert: tls.cert ?? undefined,
            key: tls.key ?? undefined,
            serverName: tls.serverName ?? undefined,
          },
    sasl:
      sasl === null
        ? null
        : sasl.mechanism === 'oauthbearer'
          ? { mechanism: sasl.mechanism, token: async () => (await readFile(sasl.tokenFile!, 'utf8')).trim() }
          : { mechanism: sasl.mechanism as 'plain', username: sasl.username!, password: sasl.password! },
    sessionTimeoutMs: kafka.sessionTimeoutMs,
    fetchBytesMax: kafka.fetchBytesMax,
    partitionBytesMax: kafka.partitionBytesMax,
    batchInflatedBytesMax: kafka.batchInflatedBytesMax,
  };
  return KafkaSource.open(options, { log, clock: systemClock });
}

/** Other files in the format of the configured source, as a one-pass source of one topic. They are read into no log, so that nothing is locked. */
export function openFilesFor(loaded: LoadedConfig, topic: string, paths: readonly string[], base: string): FileSource {
  return openFileSource(loaded, { topic, paths, base, once: true, lock: null });
}

/**
 * Those of the given paths that lead to no file: a pattern that matches nothing, a folder without files.
 * @throws ConfigError for paths that name nothing at all; UnavailableError
 */
export async function pathsWithoutFiles(
  loaded: LoadedConfig,
  topic: string,
  paths: readonly string[],
  base: string,
): Promise<string[]> {
  const empty: string[] = [];
  for (const path of paths.filter((each) => each !== '-')) {
    await using source = openFilesFor(loaded, topic, [path], base);
    await source.join();
    if (source.assignment()!.logs.length === 0) empty.push(path);
  }
  return empty;
}

function openFileSource(
  { config, path }: LoadedConfig,
  given: Pick<FileSourceOptions, 'topic' | 'paths' | 'base' | 'once' | 'lock'>,
): FileSource {
  const { files } = config.source;
  return new FileSource({
    ...given,
    own: { ...ownPaths(config, path), pulled: PULLED },
    format: files?.format ?? 'ndjson',
    delimiter: files?.csv.delimiter ?? ',',
    clock: systemClock,
    stdinId: `stdin-${randomUUID()}`,
    openStdin: () => process.stdin,
  });
}
