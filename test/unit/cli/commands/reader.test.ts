import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, expect, it } from 'vitest';

import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition } from '../../../support/ledger.ts';

let folder: string;

beforeEach(async () => {
  const opened = await openFolder();
  ({ folder } = opened);
  await opened.test.commit(partition(0));
  await opened.test.publisher().publish(never);
  const { pipeline } = opened.test.trust.document;
  await writeFile(join(folder, 'headgate.yaml'), `pipeline: ${pipeline}\nstore: { url: ./store }\n`);
});

it.each([
  ['gate'],
  ['verify', '--deep'],
  ['pull', 'main', './out'],
  ['status'],
  ['log'],
  ['show', 'main'],
  ['diff', 'main', 'main'],
  ['quarantine', 'list'],
  ['schema', 'show'],
  ['doctor'],
])('a machine with a trust file, the name of the pipeline and its store can %s', async (...args) => {
  expect(await runHere(folder, ...args)).toMatchObject({ code: 0 });
});

it.each([
  ['run', /Cannot read key file/],
  ['hold --reason x', /Cannot read key file/],
])('a machine that only reads cannot %s, and is told why', async (line, why) => {
  expect(await runHere(folder, ...line.split(' '))).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(why) as string,
  });
});
