import { readFileSync } from 'node:fs';

import { expect, it, vi } from 'vitest';

import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

vi.mock('../../../../src/compose/ledger.ts', async (original) => ({
  ...(await original<typeof import('../../../../src/compose/ledger.ts')>()),
  openKey: (_loaded: unknown, _trust: unknown, name: 'approver' | 'publisher') => Promise.resolve(test.keys[name]),
}));

const PAGE = readFileSync(new URL('../../../../docs/operating/incident.md', import.meta.url), 'utf8');

let test: TestLedger;

it('the page about incidents leads through one, command by command as it stands there', async () => {
  const opened = await openFolder();
  test = opened.test;
  const a = partition(0);
  const publish = async (): Promise<string> => (await test.publisher().publish(never)).snapshot!;
  await test.commit(a);
  const before = await publish();
  const bad = await test.commit(a, { mode: 'observe', verdict: 'suspect' });
  const good = await test.commit(a);
  const left = await publish();
  const nameOf = ({ entry }: typeof bad): string => `test/orders/0@${entry.start}`;

  const lines = [...PAGE.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block]) => block!.trim().split('\n'));
  const codes: [string, number][] = [];
  let told = '';
  for (const line of lines) {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
    const args = words.slice(1).map((word) => {
      if (word.includes('@')) return nameOf(bad);
      return /^\d{4}-/.test(word) ? before : word;
    });
    // What would come back is decided on first, as the page says: nothing can be judged by a stand-in for a baseline.
    if (args[0] === 'resume')
      await runHere(opened.folder, 'quarantine', 'release', nameOf(good), '--reason', 'looked at it');
    const { code, stdout, stderr } = await runHere(opened.folder, ...args);
    codes.push([args.slice(0, 2).join(' '), code]);
    told += stdout + stderr;
  }
  expect(codes.filter(([, code]) => code !== 0)).toEqual([]);
  expect(codes.map(([name]) => name)).toEqual([
    'hold --reason',
    'status',
    'quarantine list',
    'quarantine list',
    'quarantine show',
    'log',
    'quarantine condemn',
    'rollback --to',
    'resume --reason',
    'publish --once',
    'verify',
    'gate main',
  ]);
  expect(told).toContain(`went back from ${left.slice(0, 12)} to ${before.slice(0, 12)}`);
  expect(Object.keys(await test.standings('batches'))).toContain(good.digest);
  expect(await test.standings('held')).toEqual({ [bad.digest]: 'condemned' });
  const { stdout } = await runHere(opened.folder, 'diff', before, left);
  expect(stdout).toMatch(/^\+ test\/orders\/0 \[2, 4\) /m);
});
