import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { headgate, headgateJson, startHeadgate, type RunningCommand } from '../support/cli.ts';
import { createTopic, produce } from '../support/producer.ts';
import { createTestBucket, pythonPath, redisUrl, s3Address } from '../support/services.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const ORACLE = fileURLToPath(new URL('../support/oracle.py', import.meta.url));
const SECRET = `whsec_${Buffer.from('a secret of at least 24 bytes!!').toString('base64')}`;
const RECORDS_A_PRODUCER = 70_000;
const PRODUCERS = 3;
const PARTITIONS = 4;

interface Status {
  readonly records: number;
  readonly held: number;
  readonly standings: Record<string, number>;
  readonly snapshot: string;
  readonly logs: readonly { readonly log: string; readonly next: number; readonly epoch: number }[];
}

interface Oracle {
  readonly records: number;
  readonly batches: number;
}

/**
 * The whole life of a stream on real services: three producers, two consumers of which one is killed and restarted, an
 * independent reader that compares everything with what the producers had acknowledged, a poisoned stretch, its alert,
 * rollback and gate.
 */
describe('a stream on Kafka, S3 and Redis', () => {
  const topic = `orders-${randomUUID().slice(0, 8)}`;
  const pipeline = topic;
  let folder: string;
  let bucket: string;
  let ledger: string;
  let env: Record<string, string>;
  let receiver: WebhookReceiver;
  const running: RunningCommand[] = [];

  const run = (args: readonly string[]) => headgate(args, { cwd: folder, env });
  const json = <Result>(args: readonly string[]) => headgateJson<Result>(args, { cwd: folder, env });
  const start = (args: readonly string[]): RunningCommand => {
    const command = startHeadgate(args, { cwd: folder, env });
    running.push(command);
    return command;
  };
  const status = () => json<Status>(['status']);
  /** An order: `seed` decides what is in it, `tick` when it happened. */
  const value = (seed: number, tick: number, poison = false): string => {
    const noise = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
    const amount = 20 + (noise % 6_000) / 100;
    const city = ['Basel', 'Bern', 'Chur', 'Genf'][noise % 4];
    return JSON.stringify({
      id: `o-${noise.toString(16)}`,
      amount: poison ? amount * 10 : amount,
      city,
      express: noise % 5 === 0,
      at: new Date(1.7e12 + tick * 1_000).toISOString(),
    });
  };
  const oracle = async (): Promise<Oracle> => {
    const args = [
      ORACLE,
      '--store',
      `s3://${bucket}/lake`,
      '--pipeline',
      pipeline,
      '--endpoint',
      s3Address().endpoint,
      '--ledger',
      ledger,
    ];
    const { stdout } = await promisify(execFile)(pythonPath(), args, { env: { ...process.env, ...env } });
    return JSON.parse(stdout) as Oracle;
  };
  const until = async <Value>(
    what: string,
    ask: () => Promise<Value>,
    good: (value: Value) => boolean,
    timeoutMs = 90_000,
  ): Promise<Value> => {
    for (const end = Date.now() + timeoutMs; ;) {
      const found = await ask();
      if (good(found)) return found;
      if (Date.now() > end)
        throw new Error(`${what} did not happen within ${timeoutMs} ms; last seen: ${JSON.stringify(found)}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headgate-e2e-'));
    ledger = join(folder, 'sent.jsonl');
    bucket = await createTestBucket({ versioned: true });
    receiver = await WebhookReceiver.open({ secret: SECRET });
    const { endpoint, accessKeyId, secretAccessKey } = s3Address();
    env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, HOOK_SECRET: SECRET };
    await createTopic(topic, PARTITIONS);
    const { kafkaBrokers } = await import('../support/services.ts');
    const set = [
      'init',
      '--pipeline',
      pipeline,
      '--kafka',
      ...kafkaBrokers(),
      '--topics',
      topic,
      '--store',
      `s3://${bucket}/lake`,
    ];
    await run(set);
    const path = join(folder, 'headgate.yaml');
    const config = (await readFile(path, 'utf8'))
      .replace(
        `  url: "s3://${bucket}/lake"`,
        `  url: "s3://${bucket}/lake"\n  endpoint: "${endpoint}"\n  forcePathStyle: true`,
      )
      .replace(/alerts:[\s\S]*$/, '');
    await writeFile(path, config);
    await appendFile(
      path,
      [
        'batch: { recordsMax: 5000, ageMaxMs: 2000 }',
        'publish: { intervalMs: 500 }',
        `queue: { url: "${redisUrl()}" }`,
        'alerts:',
        `  - { name: hook, type: webhook, url: "http://127.0.0.1:${receiver.port}/hook", secrets: ["\${HOOK_SECRET}"], allowPrivate: ["127.0.0.1"] }`,
        '',
      ].join('\n'),
    );
  }, 60_000);

  afterAll(async () => {
    for (const { process: child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ done }) => done));
    await receiver?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('passes the doctor', async () => {
    const { code, stdout } = await run(['doctor']);
    expect(stdout).not.toContain('FAIL');
    expect(code).toBe(0);
  });

  it('loses and doubles nothing when one of two consumers is killed, restarted, and partitions move', async () => {
    let sent = 0;
    const sendMore = async (records: number): Promise<void> => {
      const from = sent;
      sent += records;
      const producers = Array.from({ length: PRODUCERS }, (_, p) =>
        produce({
          topic,
          partitions: PARTITIONS,
          records,
          value: (i) => value(p * RECORDS_A_PRODUCER + from + i, from + i),
          chunk: Math.min(1_000, records / PARTITIONS),
          gzip: p === 1,
          ledger,
        }),
      );
      await Promise.all(producers);
    };
    await sendMore(20_000);
    const first = start(['ingest']);
    const publisher = start(['publish']);
    await until('some commits', status, ({ logs }) => logs.some(({ next }) => next > 0), 60_000);
    const second = start(['ingest']);
    // A partition is taken over with its next batch: there must be one, however fast the first consumer is.
    const takenOver = async (): Promise<boolean> => {
      if (sent < RECORDS_A_PRODUCER - 20_000) await sendMore(1_000);
      return (await status()).logs.some(({ epoch }) => epoch > 0);
    };
    await until('a take-over', takenOver, (yes) => yes);
    const rest = sendMore(RECORDS_A_PRODUCER - sent);
    first.process.kill('SIGKILL');
    await first.done;
    const third = start(['ingest']);
    await rest;
    const total = PRODUCERS * RECORDS_A_PRODUCER;
    await until(
      'all records committed',
      status,
      ({ logs }) => logs.reduce((sum, { next }) => sum + next, 0) >= total,
      120_000,
    );
    for (const { process: child } of [second, third, publisher]) child.kill('SIGTERM');
    expect(await Promise.all([second, third, publisher].map(async ({ done }) => (await done).code))).toEqual([0, 0, 0]);
    const report = await oracle();
    expect(report).toMatchObject({
      records: total,
      lost: 0,
      doubled: 0,
      foreign: 0,
      changed: 0,
      badRoots: 0,
      badChains: 0,
      badDigests: 0,
    });
  }, 300_000);

  it('learns a baseline from what is held and publishes what it finds clean', async () => {
    await json(['publish', '--once']);
    await json(['baseline', 'learn', '--held', '--reason', 'first days']);
    await json(['baseline', 'approve', '--reason', 'looked at']);
    await json(['publish', '--once']);
    const { records, held } = await status();
    expect(records).toBeGreaterThan(0.95 * PRODUCERS * RECORDS_A_PRODUCER);
    expect(held).toBeLessThan(3);
    expect((await run(['gate'])).code).toBe(0);
  }, 120_000);

  it('quarantines a poisoned stretch and tells a webhook about it with a valid signature', async () => {
    const before = await status();
    await produce({
      topic,
      partitions: 1,
      records: 5_000,
      value: (i) => value(300_000 + i, 70_000 + i, i % 12 === 0),
      ledger,
    });
    const process_ = start(['run']);
    const alerts = await until(
      'an alert',
      async () => receiver.deliveries,
      (deliveries) => deliveries.some(({ body }) => body.toString().includes('batch.quarantined')),
    );
    await until('the quarantine', status, ({ held }) => held > before.held);
    process_.process.kill('SIGTERM');
    expect((await process_.done).code).toBe(0);
    expect(alerts.every(({ fault }) => fault === null)).toBe(true);
    const alert = JSON.parse(
      alerts.find(({ body }) => body.toString().includes('batch.quarantined'))!.body.toString(),
    ) as { data: { facts: { verdict: string; findings: { columns: string[]; sentence: string }[] } } };
    expect(alert.data.facts.verdict).toBe('suspect');
    expect(alert.data.facts.findings.flatMap(({ columns }) => columns)).toContain('amount');
    expect((await status()).records).toBe(before.records);
    expect(await oracle()).toMatchObject({ lost: 0, doubled: 0, badRoots: 0 });
  }, 180_000);

  it('rolls back to the last clean snapshot after a condemnation, and the gate follows', async () => {
    await produce({ topic, partitions: 1, records: 5_000, value: (i) => value(400_000 + i, 75_000 + i), ledger });
    const before = await status();
    await json(['run', '--once']);
    const after = await status();
    const newest = after.logs.find(({ log }) => log.endsWith('/0'))!;
    const shown = await run(['quarantine', 'show', `${newest.log}@${newest.next - 1}`]);
    expect(after.records, shown.stdout).toBe(before.records + 5_000);
    const { files } = await json<{ files: { path: string; uri: string; versionId: string; sha256: string }[] }>([
      'pull',
      'main',
      '--list',
    ]);
    expect(
      files.every(
        ({ uri, versionId, sha256 }) =>
          uri.startsWith(`s3://${bucket}/lake/`) && versionId !== null && sha256.length === 64,
      ),
    ).toBe(true);
    await json(['quarantine', 'condemn', `${newest.log}@${newest.next - 1}`, '--reason', 'found bad later']);
    const rolled = await json<{ to: string; recordsRemoved: number }>([
      'rollback',
      '--to',
      'last-clean',
      '--reason',
      'incident 7',
    ]);
    expect(rolled.recordsRemoved).toBe(5_000);
    expect((await run(['gate'])).code).toBe(1);
    await json(['resume', '--reason', 'contained']);
    await json(['publish', '--once']);
    expect((await run(['gate'])).code).toBe(0);
    expect((await status()).records).toBe(after.records - 5_000);
    expect((await run(['verify', '--deep'])).code).toBe(0);
  }, 180_000);

  it('pulls verified files that hold exactly the published records', async () => {
    const target = join(folder, 'pulled');
    const { files, downloaded, records } = await json<{ files: number; downloaded: number; records: number }>([
      'pull',
      'main',
      target,
    ]);
    expect(downloaded).toBe(files);
    expect(records).toBe((await status()).records);
    expect(await json(['pull', 'main', target])).toMatchObject({ downloaded: 0, kept: files });
  }, 120_000);
});
