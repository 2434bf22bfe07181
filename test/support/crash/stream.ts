import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { PutObjectCommand } from '@aws-sdk/client-s3';

import { Layout } from '../../../src/ledger/layout.ts';
import { createTopic, produce } from '../producer.ts';
import { createTestBucket, kafkaBrokers, redisUrl, s3Address, s3Client } from '../services.ts';
import { Stage } from './stage.ts';

const PARTITIONS = 2;
const BATCH = 100;
const BATCHES = 14;

/** A topic that nobody writes to any more, and what producers say of it. */
export interface Stream {
  readonly topic: string;
  readonly bucket: string;
  readonly records: number;
  /** File with a line for every record that was acknowledged. */
  readonly ledger: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Fills a topic with batches that look alike, and makes a bucket. @param folder where the producers' ledger is kept */
export async function openStream(folder: string): Promise<Stream> {
  const topic = `orders-${randomUUID().slice(0, 8)}`;
  const ledger = join(folder, 'sent.jsonl');
  const records = BATCHES * BATCH;
  await createTopic(topic, PARTITIONS);
  await produce({ topic, partitions: PARTITIONS, records, chunk: BATCH, value: order, ledger });
  const { accessKeyId, secretAccessKey } = s3Address();
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return { topic, bucket: await createTestBucket({ versioned: true }), records, ledger, env };
}

/** Sets up a pipeline of its own that reads the stream into the bucket. */
export async function openStreamStage({ topic, bucket, env }: Stream, folder: string): Promise<Stage> {
  await mkdir(folder);
  const stage = new Stage(folder, env, true);
  const store = `s3://${bucket}/lake`;
  const source = ['--kafka', ...kafkaBrokers(), '--topics', topic];
  const { code, stderr } = await stage.run(['init', '--pipeline', pipelineOf(folder), ...source, '--store', store]);
  if (code !== 0) throw new Error(`headgate init ended with ${code}: ${stderr}`);
  const path = join(folder, 'headgate.yaml');
  const text = (await readFile(path, 'utf8'))
    .replace(`  url: "${store}"`, `  url: "${store}"\n  endpoint: "${s3Address().endpoint}"\n  forcePathStyle: true`)
    // A process that was killed keeps its partitions for so long.
    .replace('    group:', '    sessionTimeoutMs: 6000\n    group:');
  const settings = [
    `batch: { recordsMax: ${BATCH} }`,
    `judge: { recordsMin: ${BATCH / 2} }`,
    `queue: { url: "${redisUrl()}" }`,
  ];
  await writeFile(path, `${text}\n${settings.join('\n')}\n`);
  await passProbe(bucket, pipelineOf(folder));
  return stage;
}

/** The first probe of a store takes hundreds of writes, and the other tests of S3 have it. */
async function passProbe(bucket: string, pipeline: string): Promise<void> {
  const client = s3Client();
  const key = `lake/${new Layout(pipeline).probeRecord()}`;
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: '{}' }));
  client.destroy();
}

/** Name of the pipeline in a stage's folder. */
export function pipelineOf(folder: string): string {
  return folder.split(/[/\\]/).at(-1)!;
}

function order(seed: number): string {
  const noise = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return JSON.stringify({ id: seed, amount: noise % 1_000, city: ['Basel', 'Bern', 'Chur'][noise % 3] });
}
