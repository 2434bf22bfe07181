import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { LoggedBatch } from '../../../../src/ledger/partition-log.ts';
import { hold, rollback } from '../../../../src/respond/refs.ts';
import { openFolder, runHere } from '../../../support/in-process.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

/** Run just before the gate looks, and when it has answered, before the command goes on. */
let beforeGate: () => Promise<void>;
let afterGate: () => Promise<void>;

vi.mock('../../../../src/respond/gate.ts', async (original) => {
  const real = await original<typeof import('../../../../src/respond/gate.ts')>();
  return {
    ...real,
    gate: async (...args: Parameters<typeof real.gate>) => {
      await beforeGate();
      const report = await real.gate(...args);
      await afterGate();
      return report;
    },
  };
});

const a = partition(0);

describe('headgate pull', () => {
  let folder: string;
  let test: TestLedger;
  let batches: LoggedBatch[];
  let first: string;
  let second: string;
  const publish = async (): Promise<string> => {
    batches.push(await test.commit(a));
    await test.publisher().publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const pulled = async (...args: string[]) => {
    const { code, stdout } = await runHere(folder, 'pull', ...args, 'out', '--json');
    return { code, ...(JSON.parse(stdout) as { snapshot?: string; reasons?: string[]; files?: number }) };
  };
  const brought = async (): Promise<string[]> => readdir(join(folder, 'out')).catch(() => []);

  beforeEach(async () => {
    beforeGate = afterGate = () => Promise.resolve();
    ({ folder, test } = await openFolder());
    batches = [];
    first = await publish();
    second = await publish();
  });

  it.each(['before', 'after'] as const)(
    'brings the snapshot that the gate has looked at, though the ref moves %s',
    async (when) => {
      let third = '';
      const move = async (): Promise<void> => {
        third = await publish();
      };
      if (when === 'before') beforeGate = move;
      else afterGate = move;
      expect(await pulled('main')).toMatchObject({ code: 0, snapshot: when === 'before' ? third : second });
      expect(third).not.toBe(second);
    },
  );

  it('asks the gate for a snapshot that is given by its id, too', async () => {
    expect(await pulled(first)).toMatchObject({ code: 0, snapshot: first, files: 1 });
    await test.decide(batches[0]!, 'condemned');
    for (const name of [first, first.slice(0, 10), second])
      expect(await pulled(name)).toMatchObject({ code: 1, reasons: [expect.stringMatching(/was condemned/)] });
    expect(await pulled(first, '--ungated')).toMatchObject({ code: 0, snapshot: first });
  });

  it('refuses a snapshot while its ref is on hold, and one that a rollback has left behind', async () => {
    await hold(test.ledger, 'main', test.person(), never);
    expect(await pulled(first)).toMatchObject({ code: 1, reasons: [expect.stringMatching(/"main" is on hold/)] });
    await rollback(test.ledger, 'main', first, test.person(), never);
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'go on' });
    expect(await pulled(second)).toMatchObject({ code: 1, reasons: [expect.stringMatching(/has left snapshot/)] });
    expect(await brought()).toEqual([]);
    expect(await pulled(first)).toMatchObject({ code: 0, snapshot: first });
  });

  it('brings nothing of a name that is neither a ref nor a snapshot', async () => {
    expect((await pulled('nothing')).code).toBe(1);
    expect((await pulled('nothing', '--ungated')).code).toBe(64);
    expect(await brought()).toEqual([]);
  });

  it.each(['keys', 'keys/data', 'store', 'store/data', '.headgate'])(
    'writes nothing into %s, which belongs to the pipeline itself',
    async (target) => {
      await mkdir(join(folder, 'keys'));
      await symlink(join(folder, 'keys'), join(folder, 'link'));
      const before = (await readdir(folder, { recursive: true })).toSorted();
      for (const dir of target === 'keys' ? ['keys', 'link', 'link/new/deeper'] : [target]) {
        const { code, stderr } = await runHere(folder, 'pull', 'main', dir);
        expect(code).toBe(64);
        expect(stderr).toMatch(
          /Cannot pull into ".*" belongs to this pipeline itself|: it belongs to this pipeline itself/,
        );
      }
      const after = (await readdir(folder, { recursive: true })).filter((path) => !path.startsWith('.headgate'));
      expect(after.toSorted()).toEqual(before.filter((path) => !path.startsWith('.headgate')));
    },
  );

  it.each([
    ['data', 'data'],
    ['data', 'data/out'],
    ['data', 'new'],
    ['data/**', 'data/out'],
    ['out*/**', 'out'],
    ['data/*/*/*/*.parquet', 'data/out'],
  ])('writes nothing where the source reads: with paths [%s], into %s', async (path, dir) => {
    await mkdir(join(folder, 'data'));
    await symlink(join(folder, 'data'), join(folder, 'new'));
    const config = join(folder, 'headgate.yaml');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace('./data.ndjson', `"data.ndjson", "${path}"`));
    const { code, stderr } = await runHere(folder, 'pull', 'main', dir);
    expect([code, stderr]).toEqual([
      64,
      expect.stringContaining(
        `Cannot pull into "${join(folder, dir)}": the source reads there (source.files.paths has "${path}")`,
      ),
    ]);
    expect(await readdir(join(folder, 'data'))).toEqual([]);
    expect(await brought()).toEqual([]);
  });

  it.each([
    ['data/*.ndjson', 'data/out'],
    ['data/*.ndjson', 'data'],
    ['data', 'data-2'],
    ['data', 'data/.out'],
    ['sub/data', 'sub'],
  ])('writes beside what the source reads: with paths [%s], into %s', async (path, dir) => {
    await mkdir(join(folder, 'data'));
    await mkdir(join(folder, 'sub', 'data'), { recursive: true });
    const config = join(folder, 'headgate.yaml');
    await writeFile(config, (await readFile(config, 'utf8')).replace('./data.ndjson', `"${path}"`));
    expect((await runHere(folder, 'pull', 'main', dir)).code).toBe(0);
  });

  it('takes no empty name for the current folder', async () => {
    for (const more of [[], ['--list']]) {
      const { code, stderr } = await runHere(folder, 'pull', 'main', '', ...more);
      expect([code, stderr]).toEqual([
        64,
        expect.stringContaining(
          'Cannot pull: the target folder is empty (mend: name a folder; "." is the current one)',
        ),
      ]);
    }
    expect(await readdir(folder)).not.toContain('orders');
  });
});
