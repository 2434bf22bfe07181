import { appendFile, copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { DiskStore } from '../../../../src/adapters/disk/store.ts';
import { openPemSigner } from '../../../../src/adapters/keys/pem-signer.ts';
import { systemClock } from '../../../../src/adapters/system/clock.ts';
import { TrustRoot } from '../../../../src/ledger/trust.ts';
import { encodeSchema, schemaDigest, type Schema } from '../../../../src/record/schema.ts';
import { openLedger } from '../../../../src/respond/ledger-context.ts';
import { runHere } from '../../../support/in-process.ts';
import { never } from '../../../support/ledger.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

interface Line {
  readonly name: string;
  readonly ok: boolean;
  readonly status: string;
  readonly detail: string;
}

describe('headgate doctor', () => {
  let folder: string;
  const check = async (name: string): Promise<Line & { readonly code: number }> => {
    const { code, stdout } = await runHere(folder, 'doctor', '--json', '--config', join(folder, 'headgate.yaml'));
    const { checks } = JSON.parse(stdout) as { checks: Line[] };
    return { code, ...checks.find((line) => line.name === name)! };
  };
  const approver = (): string => join(folder, 'keys', 'approver.pem');
  /** An entry of someone whose clock runs ahead of ours. */
  const actAhead = async (ms: number): Promise<void> => {
    await using store = await DiskStore.open(join(folder, 'store'));
    const path = join(folder, 'trust.json');
    const trust = TrustRoot.parse(await readFile(path, 'utf8'), path);
    const clock = { ...systemClock, now: () => systemClock.now() + ms };
    const { control } = openLedger(store, trust, clock);
    const act = { kind: 'hold', by: 'Ada', ref: 'main', reason: 'wait' } as const;
    await control.append(await openPemSigner(approver(), undefined), () => act, never);
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    await writeFile(join(folder, 'a.ndjson'), '{"id":1}\n');
    expect((await runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop')).code).toBe(0);
  });

  it('passes a machine that has no approver key, as servers should not', async () => {
    expect(await check('approver')).toMatchObject({ code: 0, status: 'ok', detail: expect.stringMatching(/may sign/) });
    await rm(approver());
    expect(await check('approver')).toMatchObject({
      code: 0,
      ok: true,
      status: 'ok',
      detail: expect.stringMatching(/^not here \(fine on servers/),
    });
    const { stdout } = await runHere(folder, 'doctor');
    expect(stdout).toMatch(/^ok {4}approver {2}not here/m);
  });

  it('tells of partitions that have halted, and where to find the way out', async () => {
    expect(await check('halts')).toMatchObject({ status: 'ok', detail: 'no partition is known to have halted' });
    expect((await runHere(folder, 'run', '--once')).code).toBe(0);
    await writeFile(join(folder, 'a.ndjson'), '{"id":2}\n');
    expect((await runHere(folder, 'run', '--once')).code).toBe(5);
    expect(await check('halts')).toMatchObject({
      code: 0,
      ok: true,
      status: 'warn',
      detail:
        '1 partition halted, first file/shop/a.ndjson (SOURCE_CHANGED) (headgate status tells each, with its way out)',
    });
  });

  it('fails on an approver key that is there and cannot be used, and on another key that is missing', async () => {
    await writeFile(approver(), 'no key');
    expect(await check('approver')).toMatchObject({ code: 78, ok: false, status: 'fail' });
    await rm(approver());
    await rm(join(folder, 'keys', 'publisher.pem'));
    expect(await check('publisher')).toMatchObject({ code: 78, ok: false, status: 'fail' });
  });

  it.each(['ingest', 'publisher'])('names both ways out where %s.pem alone is missing', async (name) => {
    await rm(join(folder, 'keys', `${name}.pem`));
    expect(await check(name)).toMatchObject({
      code: 78,
      ok: false,
      status: 'fail',
      detail: expect.stringMatching(
        new RegExp(`does not exist \\(mend: copy it here, if this machine is to .*set keys.${name}: null here\\)$`),
      ) as string,
    });
  });

  it('passes a machine whose configuration says that another one has a key, and whoever needs it here is told', async () => {
    await rm(join(folder, 'keys', 'publisher.pem'));
    await rm(approver());
    await appendFile(join(folder, 'headgate.yaml'), 'keys: { publisher: null, approver: null }\n');
    for (const name of ['publisher', 'approver'])
      expect(await check(name)).toMatchObject({ code: 0, status: 'ok', detail: 'not on this machine (null)' });
    expect(await check('source')).toMatchObject({ code: 0, status: 'ok', detail: '1 file' });
    expect((await runHere(folder, 'ingest', '--once')).code).toBe(0);
    for (const args of [
      ['publish', '--once'],
      ['run', '--once'],
    ])
      expect(await runHere(folder, ...args)).toMatchObject({
        code: 78,
        stderr: expect.stringMatching(
          /^headgate: Cannot sign as publisher: keys.publisher is null, .*\(mend: /,
        ) as string,
      });
    expect(await runHere(folder, 'hold', '--reason', 'x')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('keys.approver is null') as string,
    });
  });

  it('looks at no source on a machine that only publishes', async () => {
    await rm(join(folder, 'keys', 'ingest.pem'));
    await rm(join(folder, 'a.ndjson'));
    await appendFile(join(folder, 'headgate.yaml'), 'keys: { ingest: null }\n');
    expect(await check('ingest')).toMatchObject({ code: 0, status: 'ok', detail: 'not on this machine (null)' });
    expect(await check('source')).toMatchObject({
      status: 'ok',
      detail: 'not checked: nothing is read here (keys.ingest: null)',
    });
    expect(await check('publisher')).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/may sign/) as string,
    });
  });

  it('warns of a clock that is more than a minute behind the newest entry', async () => {
    await actAhead(30_000);
    expect(await check('clock')).toMatchObject({ code: 0, status: 'ok' });
    await actAhead(600_000);
    expect(await check('clock')).toMatchObject({
      code: 0,
      ok: true,
      status: 'warn',
      detail: expect.stringMatching(/(599|600) s behind the newest entry \(mend: .*Ada/),
    });
    expect((await runHere(folder, 'doctor')).stdout).toMatch(/^WARN {2}clock/m);
  });

  it('fails where the newest entry is dated more than a day ahead; run signs nothing then, and a person leads out', async () => {
    expect((await runHere(folder, 'run', '--once')).code).toBe(0);
    await actAhead(400 * 86_400_000);
    const wrong = /^Cannot sign under this clock: it says .* control entry \d+ by Ada is dated .*\(mend: /;
    expect(await check('clock')).toMatchObject({
      code: 5,
      status: 'fail',
      detail: expect.stringMatching(wrong) as string,
    });
    for (const command of ['run', 'ingest', 'publish'])
      expect(await runHere(folder, command, '--once', '--json')).toMatchObject({
        code: 5,
        stdout: expect.stringContaining('"code":"CLOCK_WRONG"') as string,
      });
    expect((await runHere(folder, 'verify')).code).toBe(2);
    for (const act of ['hold', 'resume'])
      expect(await runHere(folder, act, '--reason', 'a wrong clock'), act).toMatchObject({ code: 0 });
    expect(await check('clock')).toMatchObject({ code: 0, status: 'ok' });
    expect((await runHere(folder, 'run', '--once')).code).toBe(0);
    const { code, stdout } = await runHere(folder, 'verify');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /warning: 1 entry is dated more than a day ahead .* has acted since \(control entry \d+, "a wrong clock"\)/,
    );
  });

  it('fails on a key that trust does not know, or has for another role, with what to do', async () => {
    await copyFile(join(folder, 'keys', 'ingest.pem'), join(folder, 'keys', 'publisher.pem'));
    expect(await check('publisher')).toMatchObject({
      code: 78,
      status: 'fail',
      detail: expect.stringMatching(
        /^Cannot sign as keys.publisher .*its role is ingest.* wanted publisher \(mend: /,
      ) as string,
    });
    await rm(join(folder, 'keys', 'ingest.pem'));
    await runHere(folder, 'keys', 'generate', 'keys/ingest.pem');
    expect(await check('ingest')).toMatchObject({
      code: 78,
      detail: expect.stringMatching(/^Cannot sign as keys.ingest .*the trust file does not name it/) as string,
    });
  });

  it('prints faults one a line, and does not check what needs what has failed', async () => {
    await writeFile(join(folder, 'trust.json'), '{"version":2,"pipeline":"shop","keys":[]}');
    const { code, stdout } = await runHere(folder, 'doctor');
    expect(code).toBe(78);
    expect(stdout).toMatch(/^FAIL {2}trust {5}Cannot use trust file .*\n {18}\/version: .*\n {18}\/keys: /m);
    expect(stdout).not.toContain(String.raw`\u{`);
    for (const name of ['ingest', 'publisher', 'approver', 'clock', 'alerts'])
      expect(await check(name)).toMatchObject({ ok: false, status: 'skip', detail: 'not checked: trust comes first' });
    expect(stdout).toMatch(/^- {5}ingest {4}not checked/m);
    expect(await check('store')).toMatchObject({ ok: true });
  });

  it('tries to write into the state folder, and leaves nothing there', async () => {
    expect(await check('state')).toMatchObject({
      code: 0,
      status: 'ok',
      detail: `${join(folder, '.headgate')} can be written`,
    });
    expect(await readdir(join(folder, '.headgate', 'marks'))).toEqual([]);
    await rm(join(folder, '.headgate'), { recursive: true });
    await writeFile(join(folder, '.headgate'), '');
    expect(await check('state')).toMatchObject({
      code: 78,
      status: 'fail',
      detail: expect.stringMatching(/a file stands where a folder is wanted .*set stateFolder to a folder/) as string,
    });
  });

  it('warns of a state folder that lies in the store, with which it would be rolled back', async () => {
    const path = join(folder, 'headgate.yaml');
    await writeFile(path, `${await readFile(path, 'utf8')}\nstateFolder: ./store/state\n`);
    expect(await check('state')).toMatchObject({
      code: 0,
      status: 'warn',
      detail: expect.stringContaining('lies in the store') as string,
    });
  });

  it('says what to do about a store that cannot be opened, and counts as people do', async () => {
    await writeFile(join(folder, 'store'), '');
    expect(await check('store')).toMatchObject({
      code: 4,
      detail: expect.stringMatching(
        /Cannot open store .*a file stands .*mend: move that file away, or set store.url/,
      ) as string,
    });
    expect(await check('clock')).toMatchObject({ status: 'skip', detail: 'not checked: store comes first' });
    await rm(join(folder, 'store'));
    expect(await check('source')).toMatchObject({ detail: '1 file' });
    expect(await check('alerts')).toMatchObject({ detail: '1 channel; queue in this process, 0 jobs' });
  });

  it('warns when no file matches', async () => {
    const path = join(folder, 'headgate.yaml');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"a.ndjson"', '"data/*.ndjson"'));
    expect(await check('source')).toMatchObject({
      code: 0,
      status: 'warn',
      detail: expect.stringContaining('no file yet for data/*.ndjson') as string,
    });
  });

  describe('on a machine without a private key', () => {
    beforeEach(async () => {
      await runHere(folder, 'run', '--once');
      await rm(join(folder, 'keys'), { recursive: true });
    });

    it('asks for nothing that reading does not need, and writes nothing into the store', async () => {
      const before = await readdir(join(folder, 'store'), { recursive: true });
      const path = join(folder, 'headgate.yaml');
      await writeFile(path, `${await readFile(path, 'utf8')}\nqueue: { url: "redis://127.0.0.1:1" }\n`);
      for (const name of ['ingest', 'publisher', 'approver'])
        expect(await check(name)).toMatchObject({
          code: 0,
          status: 'ok',
          detail: expect.stringMatching(/^not here, not needed for reading/) as string,
        });
      expect(await check('store')).toMatchObject({ detail: expect.stringMatching(/can be read$/) as string });
      expect(await check('alerts')).toMatchObject({ code: 0, detail: expect.stringMatching(/^not checked/) as string });
      expect(await readdir(join(folder, 'store'), { recursive: true })).toEqual(before);
      await rm(join(folder, 'store'), { recursive: true });
      await rm(join(folder, '.headgate'), { recursive: true, force: true });
      expect(await check('store')).toMatchObject({
        code: 0,
        status: 'warn',
        detail: expect.stringContaining('holds nothing of "shop" yet') as string,
      });
    });

    it('fails where the store is not the one that this machine has seen, and probes nothing there', async () => {
      await runHere(folder, 'gate');
      await rm(join(folder, 'store'), { recursive: true });
      expect(await check('store')).toMatchObject({
        code: 2,
        status: 'fail',
        detail: expect.stringMatching(/^Cannot trust the store: control entry \d+ was /) as string,
      });
      await expect(readdir(join(folder, 'store'))).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('asks for all that run needs with --write', async () => {
      const { code, stdout } = await runHere(folder, 'doctor', '--write');
      expect(code).toBe(78);
      expect(stdout).toMatch(/^FAIL {2}ingest /m);
      expect(stdout).toMatch(/^FAIL {2}publisher /m);
      expect(stdout).toMatch(/^ok {4}approver {2}not here \(fine on servers/m);
      expect(stdout).toMatch(/^ok {4}store .*creates each key exactly once$/m);
    });
  });

  it('asks for no other key where decisions are signed', async () => {
    for (const name of ['ingest', 'publisher']) await rm(join(folder, 'keys', `${name}.pem`));
    expect(await check('ingest')).toMatchObject({
      code: 0,
      detail: expect.stringMatching(/not needed for decisions/) as string,
    });
    expect(await check('approver')).toMatchObject({ detail: expect.stringMatching(/may sign as approver$/) as string });
    expect(await check('store')).toMatchObject({ detail: expect.stringMatching(/exactly once$/) as string });
  });

  describe('with settings of columns', () => {
    const pin = async (columns: Schema['columns']): Promise<void> => {
      await using store = await DiskStore.open(join(folder, 'store'));
      const path = join(folder, 'trust.json');
      const ledger = openLedger(store, TrustRoot.parse(await readFile(path, 'utf8'), path), systemClock);
      const schema: Schema = { version: 1, format: 'json', columns };
      const sha256 = schemaDigest(schema);
      await store.create(ledger.layout.schema(sha256), encodeSchema(schema));
      const act = { kind: 'schema', by: 'Ada', topic: 'shop', schema: sha256, reason: 'test' } as const;
      await ledger.control.append(await openPemSigner(join(folder, 'keys', 'ingest.pem'), undefined), () => act, never);
    };
    const configure = async (settings: string): Promise<void> => {
      const path = join(folder, 'headgate.yaml');
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(/^topicDefaults:\n(  .*\n)*/m, `topicDefaults: ${settings}\n`));
    };
    const columns = ['carrier', 'late', 'zip'].map((name, i) => ({
      name,
      path: [name],
      type: (['string', 'boolean', 'string'] as const)[i]!,
    }));

    it('fails on every name that the pinned schema does not have, and on rules that no value can keep', async () => {
      await configure(
        '{ label: lat, rules: [{ rule: unique, column: zipp, name: u }, { rule: range, column: zip, min: 1, name: r }, ' +
          '{ rule: set, column: zip, values: [x, 8001], name: s }, { rule: not_null, column: day, name: n }], alertColumns: [carier, zip] }',
      );
      expect(await check('topics')).toMatchObject({
        code: 0,
        ok: true,
        detail: expect.stringMatching(/^1 topic without a schema/) as string,
      });
      await pin(columns);
      const { code, status, detail } = await check('topics');
      expect({ code, status }).toEqual({ code: 78, status: 'fail' });
      expect(detail.split('\n')).toEqual([
        'Cannot check all that the configuration asks for (mend: correct it under topicDefaults or topics, or as a line says):',
        '  shop: label is never checked: column "lat" is not in the pinned schema (did you mean "late"?)',
        '  shop: rule "u" is never checked: column "zipp" is not in the pinned schema (did you mean "zip"?)',
        '  shop: rule "r" is broken by every row: column "zip" is string, wanted a column of numbers or times',
        '  shop: rule "s" allows 8001, which never occurs: column "zip" is string, wanted a text in quotes',
        '  shop: rule "n" is broken by every row: column "day" is not in the pinned schema',
        '  shop: alertColumns has "carier", which is not in the pinned schema (did you mean "carrier"?)',
      ]);
    });

    it('passes those that fit', async () => {
      await configure('{ label: late, source: carrier, rules: [{ rule: set, column: zip, values: ["8001"] }] }');
      await pin(columns);
      expect(await check('topics')).toMatchObject({ code: 0, detail: 'every column that is named is in its schema' });
    });
  });
});
