import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { FileSource } from '../adapters/file/file-source.ts';
import { systemClock } from '../adapters/system/clock.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { FilesConfig, KafkaConfig } from '../config/schema.ts';
import type { RecordSource } from '../ports/record-source.ts';

/** Opens the configured source. @throws ConfigError, UnavailableError */
export async function openSource(
  { config, folder }: LoadedConfig,
  once: boolean,
  log: (level: string, message: string) => void,
): Promise<RecordSource> {
  const { files, kafka } = config.source;
  if (files !== null) return openFileSource(files, files.topic, files.paths, folder, once);
  return openKafka(kafka!, log);
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

/** Other files in the format of the configured source, as a one-pass source of one topic. */
export function openFilesFor(
  { config }: LoadedConfig,
  topic: string,
  paths: readonly string[],
  base: string,
): FileSource {
  return openFileSource(config.source.files, topic, paths, base, true);
}

function openFileSource(
  files: FilesConfig | null,
  topic: string,
  paths: readonly string[],
  base: string,
  once: boolean,
): FileSource {
  return new FileSource({
    topic,
    paths,
    base,
    format: files?.format ?? 'ndjson',
    delimiter: files?.csv.delimiter ?? ',',
    once,
    clock: systemClock,
    stdinId: `stdin-${randomUUID()}`,
    openStdin: () => process.stdin,
  });
}
