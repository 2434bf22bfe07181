import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { createContext, type ServiceContext } from '../../../../scripts/services/context.ts';
import { startServices, stopServices, servicesStatus } from '../../../../scripts/services/lifecycle.ts';
import { readState } from '../../../../scripts/services/state.ts';

/** Stands in for the container engine: writes down how it was called; its `ps` says what the file `up` says. */
const FAKE_DOCKER = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$*" in
  *" up "*) [ -e "$here/broken" ] && { echo 'no space left'; exit 1; }; echo container > "$here/up" ;;
  *" down "*) rm -f "$here/up" ;;
  *" ps "*) cat "$here/up" 2>/dev/null; true ;;
esac
`;

let folder: string;
let context: ServiceContext;

beforeEach(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder, 'docker'), FAKE_DOCKER);
  await chmod(join(folder, 'docker'), 0o755);
  const environment = {
    PATH: `${folder}:${process.env['PATH']}`,
    HEADGATE_COSIGN: '/cosign',
    HEADGATE_PYTHON: '/python',
  };
  context = createContext({ folder: join(folder, 'services'), environment, report: () => undefined });
});

it('starts all servers with one `docker compose up --wait` and removes them again', async () => {
  const { addresses, started } = await startServices(context);
  expect(started).toEqual(['kafka', 's3', 'redis']);
  expect(addresses.kafka.brokers[0]).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(addresses.cosign.path).toBe('/cosign');
  expect(await callsWith(' up ')).toEqual([
    expect.stringMatching(/up --detach --wait --wait-timeout 300 kafka s3 redis$/),
  ]);
  expect(await callsWith('kafka-configs.sh')).toHaveLength(2);
  expect(await readState(context)).toMatchObject({ engine: 'docker', addresses: { redis: addresses.redis } });
  expect((await servicesStatus(context)).redis).toMatchObject({ state: 'running' });
  expect(await stopServices(context)).toEqual(['kafka', 's3', 'redis']);
  expect(await callsWith(' down ')).toHaveLength(1);
  expect(await stopServices(context)).toEqual([]);
});

it('finds the containers of an earlier start, on the same ports', async () => {
  const first = await startServices(context);
  const second = await startServices(context);
  expect(second.started).toEqual([]);
  expect(second.addresses).toEqual(first.addresses);
});

it('removes what it started when the engine fails, and shows what the engine said', async () => {
  await writeFile(join(folder, 'broken'), '');
  await expect(startServices(context)).rejects.toThrow(/^Cannot start the containers: [^]*no space left$/);
  expect(await readState(context)).toBeNull();
});

async function callsWith(part: string): Promise<string[]> {
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).split('\n');
  return calls.filter((call) => call.includes(part));
}
