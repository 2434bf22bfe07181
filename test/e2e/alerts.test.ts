import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';

import { orders, TestPipeline } from '../support/pipeline.ts';
import { redisUrl } from '../support/services.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const SECRET = `whsec_${Buffer.from('a secret of at least 24 bytes!!').toString('base64')}`;

describe('an alert', () => {
  it('is made again within a minute when Redis forgets everything, under the same id', async () => {
    await using receiver = await WebhookReceiver.open({ secret: SECRET });
    receiver.answers = [{ kind: 'status', status: 503 }];
    const settings = [
      'batch: { ageMaxMs: 500 }',
      'topicDefaults: { rules: [{ rule: range, column: amount, max: 100 }] }',
      `queue: { url: "${redisUrl()}" }`,
      'alerts:',
      `  - { name: hook, type: webhook, url: "http://127.0.0.1:${receiver.port}/", secrets: ["\${HOOK_SECRET}"], allowPrivate: ["127.0.0.1"] }`,
    ].join('\n');
    const pipeline = await TestPipeline.open(['--files', '*.ndjson', '--pipeline', `alerts-${process.pid}`], '', {
      HOOK_SECRET: SECRET,
    });
    await pipeline.configure(settings);
    await pipeline.write('orders.ndjson', [...orders(600), { ...orders(1)[0], amount: 5_000 }]);
    const running = pipeline.start('run');
    await expect.poll(() => receiver.deliveries.length, { timeout: 30_000 }).toBeGreaterThan(0);
    const redis = new Redis(redisUrl());
    await redis.flushall();
    await redis.quit();
    receiver.answers = [{ kind: 'status', status: 204 }];
    const failed = receiver.deliveries.length;
    await expect.poll(() => receiver.deliveries.length, { timeout: 60_000 }).toBeGreaterThan(failed);
    expect(new Set(receiver.ids).size).toBe(1);
    expect(receiver.deliveries.every(({ fault }) => fault === null)).toBe(true);
    // No record value leaves the store: neither the amount nor an id.
    const body = receiver.deliveries.at(-1)!.body.toString('utf8');
    expect(body).toContain('quarantined');
    expect(body).not.toMatch(/o-[0-9a-f]{6}/);
    running.process.kill('SIGTERM');
    expect((await running.done).code).toBe(0);
  }, 120_000);
});
