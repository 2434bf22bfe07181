import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { headgate, type CommandOutput } from '../support/cli.ts';
import { orders } from '../support/pipeline.ts';
import { kafkaBrokers } from '../support/services.ts';
import { describeShutOut, giveAway, letThrough, plainUser, shutOut } from '../support/shut-out.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('the first steps of a new user', () => {
  let folder: string;
  const run = (...args: string[]): Promise<CommandOutput> => headgate(args, { cwd: folder });
  /** What `init` prints as the next commands, as words of a command line. */
  const nextOf = ({ stdout }: CommandOutput): string[][] => {
    const commands = /^next: (.*), then (.*)$/m.exec(stdout)!.slice(1);
    return commands.map((line) =>
      [...line.matchAll(/'([^']*)'|(\S+)/g)]
        .map(([, quoted, bare]) => quoted ?? bare!)
        .filter((_, i, words) => i > words.findIndex((each) => /headgate$|main\.js$/.test(each))),
    );
  };

  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'my work');
    await mkdir(join(folder, 'my data'), { recursive: true });
    const lines = orders(600).map((order) => `${JSON.stringify(order)}\n`);
    await writeFile(join(folder, 'my data', 'day 1.ndjson'), lines.join(''));
  });

  it('lead from files to a first run, with blanks in every path, as printed', async () => {
    const [doctor, once] = nextOf(await run('init', 'my gate', '--files', 'my data/*.ndjson'));
    const checked = await run(...doctor!);
    expect(checked).toMatchObject({ code: 0, stderr: '' });
    expect(checked.stdout).toMatch(/^ok +state .*\n.*\n.*\nok +topics .*\nok +halts .*\nok +source +1 file\n/m);
    const ran = await run(...once!, '--json');
    expect(JSON.parse(ran.stdout)).toMatchObject({ records: 600, batches: 1, deadLetters: 0 });
  }, 60_000);

  it('lead to Kafka, of which a topic that is not there is told', async () => {
    const broker = kafkaBrokers()[0]!;
    const made = await run('init', 'gate', '--kafka', `${broker},${broker}`, '--topics', 'no-such-topic-at-all');
    const { code, stdout } = await run(...nextOf(made)[0]!);
    expect(code).toBe(78);
    expect(stdout).toMatch(/^FAIL {2}source .*\n {18}topic "no-such-topic-at-all": does not exist/m);
  }, 60_000);

  it('find a key that may not sign before anything is stored, in each command that signs with it', async () => {
    await run('init', '.', '--files', 'my data/*.ndjson');
    const keys = join(folder, 'keys');
    for (const [key, commands] of [
      ['ingest', ['run --once', 'ingest --once']],
      ['publisher', ['run --once', 'publish --once']],
      ['approver', ['hold --reason x', 'baseline learn --files x']],
    ] as const) {
      await copyFile(join(keys, `${key}.pem`), join(folder, 'kept'));
      await copyFile(join(keys, key === 'ingest' ? 'approver.pem' : 'ingest.pem'), join(keys, `${key}.pem`));
      for (const command of commands) {
        const { code, stdout } = await run(...command.split(' '), '--json');
        expect({ command, code }).toEqual({ command, code: 78 });
        expect(JSON.parse(stdout)).toMatchObject({
          error: { code: 'TRUST_INVALID', message: expect.stringContaining(`Cannot sign as keys.${key}`) as string },
        });
      }
      await copyFile(join(folder, 'kept'), join(keys, `${key}.pem`));
    }
    expect(await readdir(folder)).not.toContain('store');
  }, 120_000);

  it('are told of ten faults of ten kinds in one go', async () => {
    await run('init', '.', '--files', 'my data/*.ndjson');
    const path = join(folder, 'headgate.yaml');
    const text = (await readFile(path, 'utf8'))
      .replace(/url: .*/, 'url: gs://x\n  requestTimeoutMs: soon\n  regoin: x')
      .replace(/paths: .*/, 'paths: [.]')
      .replace(/ {2}label: .*/, '  label: [1]\n  rules: [{ rule: not_null }, { rule: nope }]')
      .replace(/type: console/, 'type: webhook');
    await writeFile(path, `${text}\nmode: of\ntopics: { x: {} }\n`);
    const { code, stdout } = await run('doctor', '--json');
    expect(code).toBe(78);
    const { error } = JSON.parse(stdout) as { error: { faults: { path: string }[] } };
    expect(error.faults.map((fault) => fault.path).toSorted()).toEqual([
      '/alerts/0/secrets',
      '/alerts/0/url',
      '/mode',
      '/source/files/paths/0',
      '/store/regoin',
      '/store/requestTimeoutMs',
      '/store/url',
      '/topicDefaults/label',
      '/topicDefaults/rules/0',
      '/topicDefaults/rules/1/rule',
      '/topics/x',
    ]);
  }, 60_000);

  it('of a user who may not write there say whose the store and the state are, and what mends it', async () => {
    await run('init', '.', '--files', 'my data/*.ndjson');
    expect((await run('run', '--once')).code).toBe(0);
    await giveAway(join(folder, 'keys'));
    await rm(join(folder, 'keys/approver.pem'));
    for (const name of ['store', '.headgate']) await shutOut(join(folder, name));
    await letThrough(folder, join(folder, '..'));
    const asOther = { cwd: folder, ...(plainUser === undefined ? {} : { uid: plainUser }) };
    const { code, stdout } = await headgate(['doctor'], asOther);
    expect(code).toBe(78);
    expect(stdout).toMatch(new RegExp(`^FAIL {2}state .*${describeShutOut()}.*set stateFolder`, 'm'));
    expect(stdout).toMatch(new RegExp(`^FAIL {2}store .*${describeShutOut()}.*set store.url`, 'm'));
    const ran = await headgate(['run', '--once'], asOther);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(new RegExp(describeShutOut()));
  }, 60_000);
});
