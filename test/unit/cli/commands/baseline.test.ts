import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { runHere } from '../../../support/in-process.ts';
import type { CommandOutput } from '../../../support/cli.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const BATCH = 100;

/** Lines of orders whose label follows from what they cost. */
function orders(count: number, from = 0): string {
  return Array.from({ length: count }, (_, n) => {
    const i = from + n;
    const cost = ((i * 7_919) % 1_000) / 10;
    return `${JSON.stringify({ id: i, cost, late: cost > 50 ? 'yes' : 'no', at: new Date(1e12 + i * 1_000).toISOString() })}\n`;
  }).join('');
}

describe('a label that is named after the baseline was learned', () => {
  let folder: string;
  const run = (...args: string[]): Promise<CommandOutput> => runHere(folder, ...args);
  const configure = async (from: RegExp, to: string): Promise<void> => {
    const path = join(folder, 'headgate.yaml');
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(from);
    await writeFile(path, text.replace(from, to));
  };
  const NOT_CHECKED =
    /label "late" is not checked: the baseline in force was learned without it \(mend: headgate baseline learn --files/;

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), orders(10 * BATCH));
    expect((await run('init', '.', '--files', '*.ndjson', '--pipeline', 'shop')).code).toBe(0);
    await configure(/\nalerts:/, `\nbatch: { recordsMax: ${BATCH} }\njudge: { recordsMin: 50 }\nalerts:`);
    expect((await run('run', '--once')).code).toBe(0);
    expect((await run('baseline', 'learn')).code).toBe(0);
    expect((await run('baseline', 'approve')).code).toBe(0);
    expect((await run('publish', '--once')).code).toBe(0);
  });

  it('is told of by doctor, run and baseline show, until a baseline that knows it is in force', async () => {
    expect((await run('doctor')).stdout).toMatch(/ok +topics/);
    await configure(/label: null/, 'label: late');
    const doctor = await run('doctor');
    expect(doctor.code).toBe(78);
    expect(doctor.stdout).toMatch(/FAIL +topics .*\(mend: /);
    expect(doctor.stdout).toMatch(NOT_CHECKED);
    expect((await run('baseline', 'show')).stdout).toContain(
      'label "late" is not checked: this baseline was learned without it',
    );

    await writeFile(join(folder, 'b.ndjson'), orders(3 * BATCH, 10 * BATCH));
    const { code, stdout, stderr } = await run('run', '--once', '--json');
    expect(code).toBe(0);
    expect(stderr.match(/is not checked/g)).toHaveLength(1);
    expect(stderr).toMatch(NOT_CHECKED);
    expect((JSON.parse(stdout) as { warnings: string[] }).warnings).toEqual([expect.stringMatching(NOT_CHECKED)]);

    // What was read before the label was named knows nothing of it.
    expect((await run('baseline', 'learn', '--held', '--published')).stdout).toContain(
      'left out: 10 batches read with another label or time than the newest',
    );
    const learned = await run('baseline', 'learn', '--files', 'a.ndjson');
    expect(learned).toMatchObject({ code: 0, stderr: '' });
    expect(learned.stdout).not.toContain('not checked');
    expect((await run('baseline', 'approve')).code).toBe(0);
    const mended = await run('doctor');
    expect(mended.stdout).toMatch(/ok +topics/);
    const after = await run('run', '--once', '--json');
    expect((JSON.parse(after.stdout) as { warnings: string[] }).warnings).toEqual([]);
  });

  it('is told of while the baseline in force knows too few batches to check it', async () => {
    await configure(/label: null/, 'label: late');
    await writeFile(join(folder, 'b.ndjson'), orders(3 * BATCH, 10 * BATCH));
    expect((await run('run', '--once')).code).toBe(0);
    expect((await run('baseline', 'learn', '--published')).code).toBe(0);
    const refused = await run('baseline', 'approve');
    expect(refused.code).toBe(64);
    expect(refused.stderr).toMatch(
      /it knows 3 of the 8 batches below which hard rules alone decide; [0-9a-f]{12} in force knows 10 \(/,
    );
    expect((await run('baseline', 'approve', '--fewer')).code).toBe(0);
    const { code, stdout } = await run('doctor');
    expect(code).toBe(78);
    expect(stdout).toContain('label "late" is not checked: the baseline in force knows 3 batches, with fewer than 8');
  });

  it('is told of by learning from batches that were read without it', async () => {
    await configure(/label: null/, 'label: late');
    const { stdout } = await run('baseline', 'learn', '--published');
    expect(stdout).toContain('label "late" is not checked: this baseline was learned without it');
  });
});

describe('headgate baseline learn', () => {
  let folder: string;
  const run = (...args: string[]): Promise<CommandOutput> => runHere(folder, ...args);

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), orders(90 * 10));
    await run('init', '.', '--files', 'a.ndjson', '--pipeline', 'shop');
    const path = join(folder, 'headgate.yaml');
    await writeFile(path, (await readFile(path, 'utf8')).replace('\nalerts:', '\nbatch: { recordsMax: 10 }\nalerts:'));
  });

  it('says how many older batches it leaves out', async () => {
    const path = join(folder, 'headgate.yaml');
    await appendFile(path, '\njudge: { recordsMin: 10 }\n');
    expect((await run('run', '--once')).code).toBe(0);
    const left = 'left out: 10 batches that are older; a baseline is learned from the newest 80';
    expect((await run('baseline', 'learn', '--held')).stdout).toContain(left);
    expect((await run('baseline', 'learn', '--files', 'a.ndjson')).stdout).toContain(left);
    expect(JSON.parse((await run('baseline', 'learn', '--json')).stdout)).toMatchObject({ batches: 80, older: 10 });
  });

  it('from less than can be judged leads to the release of batches, for no publish judges them', async () => {
    await writeFile(join(folder, 'a.ndjson'), orders(60));
    expect((await run('run', '--once')).code).toBe(0);
    expect((await run('baseline', 'learn', '--held')).code).toBe(0);
    const { stdout } = await run('baseline', 'approve');
    expect(stdout).toContain('all that it was learned from is 60 records: as small batches are held until');
    expect(stdout).toContain('headgate quarantine release BATCH…');
    expect(stdout).not.toContain('publish --once');
  });

  it('leaves batches that are too small to be judged to be judged together', async () => {
    expect((await run('run', '--once')).code).toBe(0);
    expect((await run('baseline', 'learn', '--held')).stdout).toContain(
      '50 batches of fewer than 500 decoded records joined to be learned from, as small batches are judged\nleft out: 40 batches of fewer than 500 decoded records, too small to be judged',
    );
    expect((await run('baseline', 'approve')).code).toBe(0);
    const list = await run('quarantine', 'list', '--limit', '1', '--config', 'headgate.yaml');
    expect(list.stdout).toContain(
      '10 of the 500 records that judging takes: judged together with the next small batches, or by a person (headgate --config headgate.yaml quarantine release)',
    );
  });

  it('needs no baseline to learn the next one from files', async () => {
    await run('baseline', 'learn', '--files', 'a.ndjson');
    await run('baseline', 'approve');
    await rm(join(folder, 'store', 'shop', 'baselines'), { recursive: true });
    expect(await run('baseline', 'learn', '--files', 'a.ndjson')).toMatchObject({ code: 0, stderr: '' });
  });

  it('refuses a topic that nobody knows, a pattern without a file, and a path that is empty', async () => {
    expect(await run('baseline', 'learn', '--published', '--topic', 'shoo')).toMatchObject({
      code: 64,
      stderr: 'headgate: Cannot find topic "shoo": the source has shop (did you mean "shop"?)\n',
    });
    const none = await run('baseline', 'learn', '--files', 'a.ndjson', 'nix*.ndjson', 'nox*');
    expect(none).toMatchObject({ code: 64, stdout: '' });
    expect(none.stderr).toBe(
      `headgate: Cannot learn from files: "nix*.ndjson", "nox*" lead to no file (paths start from ${folder})\n`,
    );
    expect(await run('baseline', 'learn', '--files', '')).toMatchObject({
      code: 64,
      stderr: 'headgate: Cannot learn from files: a path is empty (--files PATH…)\n',
    });
  });
});

describe('a ref that nobody has published', () => {
  it('has no list of what is held', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), orders(10));
    await runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop');
    expect(await runHere(folder, 'quarantine', 'list')).toMatchObject({ code: 0, stdout: 'nothing is held back\n' });
    expect(await runHere(folder, 'quarantine', 'list', '--ref', 'typo')).toMatchObject({
      stderr: 'headgate: Cannot find ref "typo": nothing has been published yet\n',
    });
  });
});
