import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import type { CommandOutput } from '../../../support/cli.ts';
import { runHere } from '../../../support/in-process.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const BATCH = 100;
const REASON = ['--reason', 'amounts have cents now'];

/** Lines of orders that look alike; later ones have cents and a note. */
function orders(batches: number, seed: number, isWider: boolean): string {
  return Array.from({ length: batches * BATCH }, (_, n) => {
    const i = 1_000_000 * seed + n;
    const amount = ((i * 7_919) % 1_000) + (isWider ? 0.5 : 0);
    const city = ['Basel', 'Bern', 'Chur'][(i * 31) % 3];
    return `${JSON.stringify({ id: i, amount, city, ...(isWider ? { note: `n${i % 7}` } : {}) })}\n`;
  }).join('');
}

describe('headgate schema', () => {
  let folder: string;
  const run = (...args: string[]): Promise<CommandOutput> => runHere(folder, ...args);
  const json = async (...args: string[]) =>
    JSON.parse((await run(...args, '--json')).stdout) as Record<string, unknown>;
  const must = async (...args: string[]): Promise<CommandOutput> => {
    const done = await run(...args);
    expect(done, done.stderr).toMatchObject({ code: 0 });
    return done;
  };
  const configure = async (from: string, to: string): Promise<void> => {
    const path = join(folder, 'headgate.yaml');
    const text = await readFile(path, 'utf8');
    expect(text).toContain(from);
    await writeFile(path, text.replace(from, to));
  };
  const columns = (amount: string, ...more: string[]): string =>
    `  schema: [{ path: id, type: int64 }, { path: amount, type: ${amount} }, { path: city, type: string }${more.map((name) => `, { path: ${name}, type: string }`).join('')}]\n  label:`;
  const DIFFERS =
    'records are read by the pinned schema, not by the configured one: "amount" is int64, configured is float64; "note" is configured and not pinned (mend: headgate schema pin --topic shop --reason TEXT, or make the configuration say what is pinned: headgate schema show)';

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), orders(10, 1, false));
    await must('init', '.', '--files', './*.ndjson', '--pipeline', 'shop');
    await configure('\nalerts:', `\nbatch: { recordsMax: ${BATCH} }\njudge: { recordsMin: 50 }\nalerts:`);
    await must('run', '--once');
    await must('baseline', 'learn');
    await must('baseline', 'approve');
    await must('publish', '--once');
  });

  it('tells of a configured schema that is not the pinned one, wherever the configuration is looked at', async () => {
    await configure('  label:', columns('int64'));
    expect((await must('doctor')).stdout).toMatch(/ok +topics/);
    expect(await json('run', '--once')).toMatchObject({ warnings: [] });

    await configure(
      'type: int64 }, { path: city, type: string }]',
      'type: float64 }, { path: city, type: string }, { path: note, type: string }]',
    );
    await configure('label: null', 'label: note');
    const doctor = await run('doctor');
    expect(doctor.code).toBe(78);
    expect(doctor.stdout).toContain(DIFFERS);
    expect(doctor.stdout).toContain('label is never checked: column "note" is not in the pinned schema');
    await writeFile(join(folder, 'b.ndjson'), orders(1, 2, false));
    const { stdout, stderr } = await run('run', '--once', '--json');
    expect(stderr).toContain(DIFFERS);
    expect((JSON.parse(stdout) as { warnings: string[] }).warnings[0]).toBe(`topic "shop": ${DIFFERS}`);
    expect((await must('schema', 'show')).stdout).toContain(`but       ${DIFFERS}`);
  });

  it('refuses to pin what is not configured and a topic that nobody knows, and signs nothing for what is pinned already', async () => {
    expect(await run('schema', 'pin', ...REASON)).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('the configuration has none (mend: write the columns') as string,
    });
    await configure('  label:', columns('int64'));
    expect(await run('schema', 'pin', ...REASON)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('already, and the configuration says the same') as string,
    });
    expect(await run('schema', 'pin', '--topic', 'shob', ...REASON)).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('(did you mean "shop"?)') as string,
    });
  });

  it('shows what is pinned, and what would be', async () => {
    const shown = await must('schema', 'show');
    expect(shown.stdout).toMatch(
      /^schema {4}shop: [0-9a-f]{64} is pinned: 3 columns, format json\nid +int64\namount +int64\ncity +string\n$/,
    );
    expect(await json('schema', 'show', '--topic', 'shop')).toMatchObject({
      topics: [{ topic: 'shop', pinned: { columns: [{ name: 'id' }, {}, {}] }, configured: null, difference: null }],
    });
  });

  it('pins a wider schema: old rows stay, new ones are judged once a baseline of them is approved', async () => {
    await configure('  label:', columns('float64', 'note'));
    const pinned = await must('schema', 'pin', ...REASON);
    expect(pinned.stdout).toMatch(
      /^schema [0-9a-f]{12} is pinned for "shop": 4 columns, instead of [0-9a-f]{12}\namount +int64 → float64\nnote +new, string\n/,
    );
    expect(pinned.stdout).toMatch(
      /baseline [0-9a-f]{12} was learned under the old schema and is out of force: later batches are held until/,
    );
    expect(pinned.stdout).toContain(
      'next: headgate baseline learn --files FILES reads history by the new schema (or --held',
    );
    expect((await run('baseline', 'learn', '--published')).stderr).toContain('were read by another schema');

    await writeFile(join(folder, 'b.ndjson'), orders(10, 2, true));
    expect(await json('run', '--once')).toMatchObject({ batches: 10, undecided: 10, deadLetters: 0, warnings: [] });
    expect((await must('baseline', 'learn', '--held')).stdout).toContain('from 1,000 records');
    await must('baseline', 'approve');
    expect(await json('publish', '--once')).toMatchObject({ held: 0 });
    await writeFile(join(folder, 'c.ndjson'), orders(3, 3, true));
    expect(await json('run', '--once')).toMatchObject({ batches: 3, clean: 3, held: 0 });

    expect(await json('verify', '--deep')).toMatchObject({ ok: true, problems: [] });
    await must('pull', 'main', 'out');
    const { files } = JSON.parse(await readFile(join(folder, 'out/.headgate/complete.json'), 'utf8')) as {
      files: { rows: number }[];
    };
    expect(files.reduce((sum, { rows }) => sum + rows, 0)).toBe(23 * BATCH);
    expect((await readdir(join(folder, 'out/shop'))).toSorted()).toHaveLength(3);
  });

  it('leaves what was held under the old schema to a person, and says so', async () => {
    await configure('  label:', columns('float64', 'note'));
    await must('schema', 'pin', ...REASON);
    await writeFile(join(folder, 'b.ndjson'), orders(2, 2, true));
    await must('run', '--once');
    const reasons = async (): Promise<string[]> =>
      ((await json('quarantine', 'list')) as unknown as { held: { why: string }[] }).held.map(({ why }) => why);
    for (const why of await reasons()) expect(why).toContain('there is no baseline yet');
    await configure(', { path: note, type: string }', '');
    await must('schema', 'pin', ...REASON);
    expect(await reasons()).toHaveLength(2);
    for (const why of await reasons()) expect(why).toContain('it was read by a schema that is pinned no more');
  });

  it('says in observe mode that batches are published without a verdict', async () => {
    await must('mode', 'observe');
    await configure('  label:', columns('float64', 'note'));
    const { stdout } = await must('schema', 'pin', ...REASON);
    expect(stdout).toContain('later batches are published without a verdict until another is approved');
    expect(stdout).toContain('(or --published, once');
  });

  it('pins the first schema, too, before anything is read', async () => {
    await configure('topic: "shop"', 'topic: "returns"');
    await configure('  label:', columns('int64'));
    expect((await must('schema', 'show', '--topic', 'returns')).stdout).toContain(
      'not pinned yet: the first records pin what is configured',
    );
    expect((await must('schema', 'pin', '--topic', 'returns', ...REASON)).stdout).toMatch(
      /^schema [0-9a-f]{12} is pinned for "returns": 3 columns\n$/,
    );
  });
});
