import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { runHere } from '../../../support/in-process.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

describe('headgate init', () => {
  let folder: string;
  const init = () => runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop');
  const ignored = async (): Promise<string[]> => (await readFile(join(folder, '.gitignore'), 'utf8')).split('\n');

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  it('writes a configuration, a trust root and private keys that no version control sees', async () => {
    expect((await init()).code).toBe(0);
    expect((await readdir(folder)).toSorted()).toEqual(['.gitignore', 'headgate.yaml', 'keys', 'trust.json']);
    expect(await ignored()).toEqual(['keys/', '.headgate/', 'store/', '']);
    expect((await stat(join(folder, 'keys', 'approver.pem'))).mode & 0o777).toBe(0o600);
  });

  it('makes keys only, for a configuration that lies elsewhere', async () => {
    const { code, stdout } = await runHere(folder, 'init', '.', '--keys-only', '--pipeline', 'local');
    expect(code).toBe(0);
    expect(stdout).toContain('next: name them under trust and keys in the configuration of pipeline "local"');
    expect((await readdir(folder)).toSorted()).toEqual(['.gitignore', 'keys', 'trust.json']);
    expect(await ignored()).toEqual(['keys/', '.headgate/', '']);
    const elsewhere = await temporaryFolder();
    await writeFile(join(elsewhere, 'a.ndjson'), '{"id":1}\n');
    await writeFile(
      join(elsewhere, 'headgate.yaml'),
      `pipeline: local
deployment: here
source: { files: { topic: records, paths: [./a.ndjson] } }
store: { url: ./store }
trust: ${folder}/trust.json
keys: { ingest: ${folder}/keys/ingest.pem, publisher: ${folder}/keys/publisher.pem, approver: ${folder}/keys/approver.pem }
`,
    );
    for (const command of ['doctor', 'run --once', 'baseline learn', 'baseline approve', 'verify'])
      expect(await runHere(elsewhere, ...command.split(' ')), command).toMatchObject({ code: 0 });
  });

  it('refuses, with keys only, what only a configuration could say, a name that none could have, and keys that exist', async () => {
    for (const [flags, why] of [
      [['--files', 'a'], 'Cannot set up keys only with --files'],
      [['--pipeline', ''], 'the configuration would have 1 fault'],
    ] as const)
      expect(await runHere(folder, 'init', '.', '--keys-only', ...flags)).toMatchObject({
        code: 64,
        stderr: expect.stringContaining(why) as string,
      });
    expect((await runHere(folder, 'init', '.', '--keys-only')).code).toBe(0);
    expect(await runHere(folder, 'init', '.', '--keys-only')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('approver.pem" exist already') as string,
    });
  });

  it.each([
    ['the keys', ['headgate.yaml', 'trust.json']],
    ['one key', ['headgate.yaml', 'trust.json', 'keys/publisher.pem', 'keys/approver.pem']],
    ['the keys and the trust root', ['headgate.yaml']],
  ])('names all that is left of an init that was cut off after %s, and goes on once it is removed', async (_, lost) => {
    await init();
    for (const path of lost) await rm(join(folder, path));
    const before = await readdir(folder, { recursive: true });
    const { code, stderr } = await init();
    expect(code).toBe(64);
    expect(await readdir(folder, { recursive: true })).toEqual(before);
    const all = ['headgate.yaml', 'trust.json', 'keys/ingest.pem', 'keys/publisher.pem', 'keys/approver.pem'];
    const left = all.filter((path) => !lost.includes(path)).map((path) => join(folder, path));
    expect(stderr).toContain(`remove ${left.map((path) => `"${path}"`).join(', ')}`);
    expect(stderr).toContain('cut off');
    for (const path of left) await rm(path);
    expect((await init()).code).toBe(0);
  });

  it('refuses a broker that the configuration would refuse, before anything is written', async () => {
    const { code, stderr } = await runHere(folder, 'init', '.', '--kafka', 'h:99999', '--topics', 'orders');
    expect({ code, files: await readdir(folder) }).toEqual({ code: 64, files: [] });
    expect(stderr).toContain('/source/kafka/brokers/0: is "h:99999", wanted a port from 1 to 65535');
  });

  it('does not call a finished one cut off', async () => {
    await init();
    const { code, stderr } = await init();
    expect(code).toBe(64);
    expect(stderr).toContain('exist already');
    expect(stderr).not.toContain('cut off');
  });

  it('says what to do where a folder is not there, or is none', async () => {
    await writeFile(join(folder, 'afile'), '');
    expect(await runHere(folder, 'init', 'afile', '--files', 'a.ndjson')).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(
        /^headgate: Cannot set up ".*afile": .* is a file and no folder \(mend: /,
      ) as string,
    });
    for (const [path, why] of [
      ['new/x.pem', /folder ".*new" does not exist \(mend: mkdir -p .*new, or name another\)/],
      ['afile/x.pem', /is a file and no folder \(mend: /],
    ] as const)
      expect(await runHere(folder, 'keys', 'generate', path)).toMatchObject({
        code: 78,
        stderr: expect.stringMatching(why) as string,
      });
  });

  it.each([
    ['its store', 'store', /used by store ".*store", and whoever removes them can never sign there again/],
    ['what this machine remembers of one', '.headgate', /used by a store that this machine has seen/],
  ])('never advises to remove keys where there is %s', async (_, made, why) => {
    await init();
    await mkdir(join(folder, made));
    for (const args of [
      ['.', '--files', 'a.ndjson'],
      ['.', '--keys-only'],
    ]) {
      const { code, stderr } = await runHere(folder, 'init', ...args);
      expect(code).toBe(64);
      expect(stderr).toMatch(why);
      expect(stderr).toContain('init OTHER-FOLDER --pipeline OTHER');
      expect(stderr).not.toContain('remove "');
    }
    await rm(join(folder, 'headgate.yaml'));
    expect((await init()).stderr).toMatch(why);
  });

  it('takes keys for used where the store is not of this machine, or the configuration cannot be read', async () => {
    await runHere(folder, 'init', '.', '--files', 'a.ndjson', '--store', 's3://bucket/prefix');
    expect((await init()).stderr).toContain('used by store "s3://bucket/prefix", and whoever removes them');
    await writeFile(join(folder, 'headgate.yaml'), 'pipeline: [');
    expect((await init()).stderr).toContain('used by whatever store');
  });

  it('says of keys that nothing was signed with here what becomes of those that were elsewhere', async () => {
    await init();
    expect((await init()).stderr).toMatch(
      /if no store was ever written with these keys, on any machine \(.*never sign/,
    );
  });

  it('keeps keys from version control before there are any', async () => {
    await mkdir(join(folder, '.gitignore'));
    expect(await init()).toMatchObject({ code: 64, stderr: expect.stringMatching(/Cannot set up .*EISDIR/) as string });
    expect(await readdir(join(folder, 'keys'))).toEqual([]);
  });

  it('adds its lines behind a last line that has no end', async () => {
    await writeFile(join(folder, '.gitignore'), 'node_modules');
    await init();
    expect(await ignored()).toEqual(['node_modules', 'keys/', '.headgate/', 'store/', '']);
  });

  const headgate = (...args: string[]) => runHere(folder, 'init', ...args);
  const config = (where = '.'): Promise<string> => readFile(join(folder, where, 'headgate.yaml'), 'utf8');

  it('writes paths that were given here as they are seen from the folder that is set up', async () => {
    expect(
      (await headgate('my gate', '--files', 'my data/*.csv', '/abs/x', '-', '--csv', '--store', 'led ger')).code,
    ).toBe(0);
    const text = await config('my gate');
    expect(text).toContain('paths: ["../my data/*.csv", "/abs/x", "-"]');
    expect(text).toContain('url: "../led ger"');
    expect((await headgate('other', '--files', 'a')).code).toBe(0);
    expect(await config('other')).toContain('url: "./store"');
  });

  it('says what to type next, where and how it was started', async () => {
    expect((await headgate('my gate', '--files', 'a')).stdout).toMatch(
      /^next: .*headgate doctor --config 'my gate\/headgate.yaml', then .*headgate run --once --config 'my gate\/headgate.yaml'$/m,
    );
    expect((await headgate('.', '--files', 'a')).stdout).toMatch(
      /^next: .*headgate doctor, then .*headgate run --once$/m,
    );
  });

  it('takes brokers as the tools of Kafka do: several with commas between them, port 9092 where none is given', async () => {
    const { code, stdout } = await headgate('.', '--kafka', 'b-1:9093, b-2', '[::1]', '--topics', 'orders,returns');
    expect(code).toBe(0);
    expect(await config()).toMatch(
      /brokers: \["b-1:9093", "b-2:9092", "\[::1\]:9092"\]\n +topics: \["orders", "returns"\]/,
    );
    expect(stdout).toContain('broker b-2 has no port: b-2:9092 is used');
    expect(stdout).not.toContain('broker b-1');
  });

  it.each([
    ['a broker with a protocol', ['--kafka', 'https://b:1', '--topics', 't'], /without a protocol/],
    [
      'a broker that is none',
      ['--kafka', 'b:999999', '--topics', 't'],
      /1 fault\n {2}\/source\/kafka\/brokers\/0: is "b:999999"/,
    ],
    ['Kafka without topics', ['--kafka', 'b:1'], /without topics: give --topics/],
    ['CSV from Kafka', ['--kafka', 'b:1', '--topics', 't', '--csv'], /--csv goes with --files/],
    ['two names of one stream of files', ['--files', 'a', '--topics', 't', 'u'], /2 streams of files/],
    ['files and Kafka', ['--files', 'a', '--kafka', 'b:1'], /give one of --files and --kafka/],
    ['no source', [], /without a source/],
    [
      'all that the next command would refuse',
      ['--files', 'a', '--store', 's3://X_', '--pipeline', 'p'.repeat(201)],
      /2 faults\n {2}\/pipeline: has 201 .*\n {2}\/store\/url: is "s3:/,
    ],
    ['its own keys as data', ['--files', '.'], /takes in "keys\/ingest.pem"/],
  ])('refuses %s before anything is written', async (_, args, why) => {
    const { code, stdout, stderr } = await headgate('.', ...args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(why);
    expect(await readdir(folder)).toEqual([]);
  });

  it('ends where no folder can be made, and says so', async () => {
    const { code, stderr } = await headgate('/proc/headgate', '--files', 'a');
    expect(code).toBe(64);
    expect(stderr).toMatch(
      /^headgate: Cannot set up "\/proc\/headgate": no folder can be made there \(ENOENT\) \(mend: /,
    );
  });

  it('says how to read files that come later when a shell has expanded a pattern', async () => {
    const { stdout } = await headgate('.', '--files', 'data/a.ndjson', 'data/b.ndjson');
    expect(stdout).toContain(
      "2 files will be read by their names; to read those that come later too, quote a pattern: --files 'data/*.ndjson'",
    );
    expect((await headgate('b', '--files', 'data/*.ndjson', 'more/*.ndjson')).stdout).not.toContain('quote a pattern');
  });

  it('keeps the store out of version control, wherever in the folder it lies', async () => {
    await headgate('.', '--files', 'a', '--store', 'led/ger');
    expect(await ignored()).toEqual(['keys/', '.headgate/', 'led/ger/', '']);
    await headgate('s3', '--files', 'a', '--store', 's3://bucket/prefix');
    expect(await readFile(join(folder, 's3', '.gitignore'), 'utf8')).toBe('keys/\n.headgate/\n');
  });
});

describe('headgate keys generate', () => {
  it('refuses a role that there is not, and a file that exists', async () => {
    const folder = await temporaryFolder();
    const generate = (...args: string[]) => runHere(folder, 'keys', 'generate', 'k.pem', ...args);
    expect(await generate('--roles', 'ingst')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('wanted one of ingest,') as string,
    });
    expect((await generate('--roles', 'ingest', 'publisher')).code).toBe(0);
    expect(await generate()).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('a key is never overwritten') as string,
    });
  });
});
