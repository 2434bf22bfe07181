import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ROOT } from '../../house/source-files.ts';
import { ALERT, channelTo, failureOf, NEVER, SECRET } from '../../../support/webhook-fixture.ts';

const page = readFileSync(join(ROOT, 'docs/operating/alerts.md'), 'utf8');
const [, program = ''] = /```python\n([^]*?)```/.exec(page) ?? [];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the receiver in docs/operating/alerts.md', () => {
  let receiver: ChildProcess;
  let url: string;
  let said: string;

  beforeEach(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    said = '';
    const env = { ...process.env, PORT: String(port), WEBHOOK_SECRET: SECRET };
    receiver = spawn('python3', ['-c', program], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    receiver.stdout!.on('data', (text: Buffer) => (said += text.toString()));
    await expect
      .poll(
        () =>
          fetch(url).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 10_000 },
      )
      .toBe(501);
  });

  afterEach(() => {
    receiver.kill();
  });

  it('takes a real delivery, signed with any of the secrets, and tells it once', async () => {
    const next = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    await channelTo(url).deliver(ALERT, NEVER);
    await channelTo(url, { secrets: [next, SECRET] }).deliver(ALERT, NEVER);
    await expect.poll(() => said).toContain(`${ALERT.type} ${ALERT.severity} Batch held`);
    expect(said.match(/Batch held/g)).toHaveLength(1);
  });

  it('refuses another secret, an old delivery, another body, and what is not signed', async () => {
    const next = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    const statusOf = async (options: Parameters<typeof channelTo>[1]): Promise<unknown> =>
      (await failureOf(channelTo(url, options).deliver(ALERT, NEVER))).fields['status'];
    expect(await statusOf({ secrets: [next] })).toBe(401);
    const { systemClock } = await import('../../../../src/adapters/system/clock.ts');
    expect(await statusOf({ clock: { ...systemClock, now: () => Date.now() - 400_000 } })).toBe(401);
    const headers = { 'webhook-id': 'a', 'webhook-timestamp': `${Math.floor(Date.now() / 1_000)}` };
    for (const signature of [undefined, '', 'v1,', 'v1,AAAA', 'v2,é'])
      expect(
        (
          await fetch(url, {
            method: 'POST',
            body: '{}',
            headers: signature === undefined ? {} : { ...headers, 'webhook-signature': signature },
          })
        ).status,
      ).toBe(401);
    expect(said).toBe('');
  });
});
