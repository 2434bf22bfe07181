import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { headgate } from '../support/cli.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { orders, TestPipeline } from '../support/pipeline.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'dist/src/cli/main.js');

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headgate-usage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('a command line that cannot be used', () => {
  it.each([
    ['--json bogus', "unknown command 'bogus'"],
    ['--json gate --bogus', "unknown option '--bogus'"],
    ['--json pull', "missing required argument 'ref'"],
    ['rollback --json', "required option '--reason <text>' not specified"],
    ['--json', 'it names no command'],
    ['--json status twice', "too many arguments for 'status'"],
  ])('is told as one JSON object with --json: %s', async (line, why) => {
    const { code, stdout, stderr } = await headgate(line.split(' '), { cwd: tmpdir() });
    expect({ code, stderr }).toEqual({ code: 64, stderr: '' });
    const message = expect.stringContaining(why) as string;
    expect(JSON.parse(stdout)).toEqual({ ok: false, error: { code: 'REQUEST_INVALID', message } });
  });

  it('is told in a line on standard error to people, with what is near', async () => {
    const { code, stdout, stderr } = await headgate(['gte'], { cwd: tmpdir() });
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toBe(
      "headgate: Cannot use this command line: unknown command 'gte' (Did you mean gate?) (--help shows what there is)\n",
    );
  });

  it('shows people the help when there is nothing else in it', async () => {
    const { code, stdout, stderr } = await headgate([], { cwd: tmpdir() });
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^Usage: headgate/);
  });

  it('is not one with --json behind a --', async () => {
    const { stdout, stderr } = await headgate(['gate', '--bogus', '--', '--json'], { cwd: tmpdir() });
    expect(stdout).toBe('');
    expect(stderr).toContain('--bogus');
  });
});

describe('the first use in the README', () => {
  it('works when it is typed literally', async () => {
    const folder = await emptyFolder();
    await symlink(join(ROOT, 'examples'), join(folder, 'examples'));
    const page = await readFile(join(ROOT, 'README.md'), 'utf8');
    const block = /## First real use\n\n```sh\n([^]*?)```/.exec(page)![1]!;
    // What npm would install and build is there already.
    const script = block.replace(/^npm .*$/m, 'set -e').replaceAll('npx headgate', `'${process.execPath}' '${MAIN}'`);
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8' });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('pass: "main"');
    expect(stdout).toMatch(/pulled \w+ into \.\/training-set: 22,111 records in 8 files/);
  }, 120_000);
});

describe('a key in the wrong role', () => {
  it('is a fault of the configuration, found before anything is signed', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop']);
    await pipeline.write('data-1.ndjson', orders(600));
    await pipeline.json('run', '--once');
    const before = await pipeline.json<{ controlEntries: number }>('status');
    await copyFile(join(pipeline.folder, 'keys/ingest.pem'), join(pipeline.folder, 'keys/approver.pem'));
    for (const act of ['hold', 'resume', 'rollback']) {
      const { code, stdout } = await pipeline.run(act, '--reason', 'x', '--json');
      expect(code, act).toBe(78);
      expect(JSON.parse(stdout), act).toMatchObject({ ok: false, error: { code: 'TRUST_INVALID' } });
    }
    expect((await pipeline.json<{ controlEntries: number }>('status')).controlEntries).toBe(before.controlEntries);
  }, 60_000);
});

describe('changing the mode', () => {
  it('says from when on it counts, and how to let in or take out what came before', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop']);
    expect((await pipeline.run('mode', 'observe')).stdout).toMatch(/batches read from now on .*quarantine release/);
    expect((await pipeline.run('mode', 'enforce')).stdout).toMatch(/batches read from now on .*quarantine condemn/);
    expect((await pipeline.run('mode', 'enforce')).stdout).toBe('enforce mode\n');
  });
});

describe('the status', () => {
  it('tells which partitions a rule has halted', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop']);
    await pipeline.configure(
      'topicDefaults: { rules: [{ rule: range, column: amount, max: 1000, action: halt, name: sane amounts }] }',
    );
    await pipeline.write('data-1.ndjson', orders(600));
    await pipeline.run('run', '--once');
    expect((await pipeline.run('status')).stdout).toMatch(/^logs +1 log, none known to have halted/m);
    await pipeline.write('data-2.ndjson', [{ ...orders(1)[0], amount: 5_000 }]);
    expect((await pipeline.run('run', '--once')).code).toBe(5);
    expect((await pipeline.run('status')).stdout).toMatch(/^logs +2 logs, 1 HALTED$/m);
    expect(await pipeline.json('status')).toMatchObject({ logs: [{ haltedByRule: false }, { haltedByRule: true }] });
  }, 60_000);
});

describe('why a batch is held', () => {
  it('never names a rule that only observes', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop']);
    await pipeline.configure(
      `topicDefaults:
  rules:
    - { rule: range, column: amount, max: 0, action: observe, name: watched }
    - { rule: range, column: amount, max: 1000, action: quarantine, name: sane amounts }`,
    );
    await pipeline.write('data-1.ndjson', [...orders(600), { ...orders(1)[0], amount: 5_000 }]);
    await pipeline.json('run', '--once');
    const { held } = await pipeline.json<{ held: { digest: string; why: string }[] }>('quarantine', 'list');
    expect(held).toMatchObject([{ why: expect.stringMatching(/^Rule "sane amounts"[^]*amount"$/) as string }]);
    const { stdout } = await pipeline.run('quarantine', 'show', held[0]!.digest);
    expect(stdout).toMatch(/^findings\n +hard .*"sane amounts".*\nobserved only .*\n +rule .*"watched"/m);
  }, 60_000);
});

describe('a setting that names a column that is not there', () => {
  it('is told by the run that learns the schema, by each later one, and by doctor', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop', '--label', 'expres']);
    await pipeline.write('data-1.ndjson', orders(600));
    const told =
      'topic "shop": label is never checked: column "expres" is not in the pinned schema (did you mean "express"?)';
    const first = await pipeline.run('run', '--once');
    expect(first.code).toBe(0);
    expect(first.stderr).toContain(`${told}\n`);
    expect(await pipeline.json('run', '--once')).toMatchObject({ warnings: [told] });
    const { code, stdout } = await pipeline.run('doctor');
    expect(code).toBe(78);
    expect(stdout).toMatch(/^FAIL {2}topics .*\n {18}shop: label is never checked: .*did you mean "express"/m);
  }, 60_000);
});

describe('what a run says is next', () => {
  it('is learn, then approve, and for a batch that is too small that it is', async () => {
    const pipeline = await TestPipeline.open(['--files', 'data-*.ndjson', '--pipeline', 'shop']);
    const next = async (): Promise<string> => (await pipeline.run('run', '--once')).stdout.trim().split('\n').at(-1)!;
    await pipeline.write('data-1.ndjson', orders(600));
    expect(await next()).toMatch(/^there is no baseline yet: .* baseline learn --held$/);
    await pipeline.json('baseline', 'learn', '--held');
    await pipeline.write('data-2.ndjson', orders(1, 600));
    expect(await next()).toMatch(/^a learned baseline waits for approval: .* baseline approve$/);
    expect((await pipeline.run('quarantine', 'list')).stdout).toMatch(/waits for approval/);
    await pipeline.json('baseline', 'approve');
    await pipeline.write('data-3.ndjson', orders(1, 601));
    expect(await next()).toMatch(/^1 batch in which fewer than 500 records decoded: too few/);
    const { held } = await pipeline.json<{ held: { why: string }[] }>('quarantine', 'list');
    const small = /^\d+ of the 500 records that judging takes: .*headgate quarantine release\)$/;
    expect(held.map(({ why }) => why)).toEqual(held.map(() => expect.stringMatching(small) as string));
    expect(held).toHaveLength(2);
  }, 60_000);
});

describe('a command on a store in S3', () => {
  it('has nothing to say about the version of Node', async () => {
    await using server = await FakeS3.open();
    const pipeline = await TestPipeline.open(['--files', 'x', '--store', 's3://bucket/prefix']);
    const path = join(pipeline.folder, 'headgate.yaml');
    const settings = `url: s3://bucket/prefix\n  endpoint: ${server.endpoint}\n  forcePathStyle: true`;
    await writeFile(path, (await readFile(path, 'utf8')).replace(/url: .*/, settings));
    const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', AWS_EC2_METADATA_DISABLED: 'true' };
    expect(await headgate(['status'], { cwd: pipeline.folder, env })).toMatchObject({ code: 0, stderr: '' });
    expect(server.requests.length).toBeGreaterThan(0);
  }, 60_000);
});

describe('the demo', () => {
  it('refuses a folder that exists, and names a command that works where it was started', async () => {
    const folder = await emptyFolder();
    await mkdir(join(folder, 'headgate-demo'));
    const { code, stderr } = await headgate(['demo'], { cwd: folder, env: { npm_lifecycle_event: 'demo' } });
    expect(code).toBe(64);
    expect(stderr).toContain('(mend: npm run demo -- ANOTHER_FOLDER, or remove it)');
  });
});
