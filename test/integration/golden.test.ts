import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sha256Hex } from '../../src/record/sha256.ts';
import { headgate, headgateJson } from '../support/cli.ts';
import { pythonPath } from '../support/services.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GOLDEN = join(ROOT, 'test', 'vectors', 'golden');
const ORACLE = join(ROOT, 'test', 'support', 'oracle.py');
const BYTES_MAX = 150_000;

/** What was true of a store when it was written; see scripts/golden.ts. */
interface Expected {
  readonly pipeline: string;
  readonly totals: { readonly batches: number; readonly records: number; readonly deadLetters: number };
  readonly controlKinds: Readonly<Record<string, number>>;
  readonly logs: Readonly<
    Record<
      string,
      {
        readonly kinds: readonly string[];
        readonly next: number;
        readonly epoch: number;
        readonly roots: readonly string[];
      }
    >
  >;
  readonly published: {
    readonly snapshot: string;
    readonly records: number;
    readonly batches: number;
    readonly files: readonly { readonly path: string; readonly sha256: string }[];
  };
  /** Standing of each held batch by the digest of its entry. */
  readonly held: Readonly<Record<string, string>>;
  readonly baselines: Readonly<Record<string, string>>;
  readonly schemas: Readonly<Record<string, string>>;
}

interface Tampered {
  readonly ok: boolean;
  readonly problems: readonly { readonly object: string }[];
}

const VERSIONS = readdirSync(GOLDEN).filter((name) => /^v\d+$/.test(name));
const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0);

async function filesBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

it('there is a golden store of the first version of the stored formats', () => {
  expect(VERSIONS).toContain('v1');
});

/** A store that an older version wrote, checked in for ever. This version must read it, and go on from it. */
describe.each(VERSIONS)('the golden store %s', (version) => {
  const golden = join(GOLDEN, version);
  const expected = JSON.parse(readFileSync(join(golden, 'expected.json'), 'utf8')) as Expected;
  const controlEntries = sum(Object.values(expected.controlKinds));
  let folder: string;
  let store: string;

  const run = (...args: string[]) => headgate(args, { cwd: folder });
  const json = <Result = Record<string, unknown>>(...args: string[]) => headgateJson<Result>(args, { cwd: folder });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headgate-golden-'));
    await cp(golden, folder, { recursive: true });
    // The files of the store's source lie where its labels say: beside the configuration.
    await cp(join(golden, 'files'), folder, { recursive: true });
    store = join(folder, 'store');
    const source = '{ files: { topic: returns, paths: ["*.csv"], format: csv, csv: { delimiter: ";" } } }';
    const config = [
      `pipeline: ${expected.pipeline}`,
      'deployment: golden',
      `source: ${source}`,
      'judge: { recordsMin: 3 }',
    ];
    await writeFile(join(folder, 'headgate.yaml'), `${config.join('\n')}\n`);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is small, and holds no private key and nothing that was never committed', async () => {
    const files = await filesBelow(golden);
    const contents = await Promise.all(files.map((file) => readFile(file)));
    expect(sum(contents.map(({ length }) => length))).toBeLessThan(BYTES_MAX);
    expect(contents.filter((content) => content.includes('PRIVATE KEY'))).toEqual([]);
    expect(await readdir(golden)).toEqual(['expected.json', 'files', 'sent.jsonl', 'store', 'trust.json']);
    expect(await readdir(join(golden, 'store'))).toEqual([expected.pipeline]);
  });

  it('holds every kind of object and entry that there is', async () => {
    expect(await readdir(join(store, expected.pipeline))).toEqual([
      'baselines',
      'control',
      'data',
      'dead-letters',
      'evidence',
      'hint',
      'log',
      'pages',
      'probe',
      'quarantine',
      'schemas',
      'snapshots',
      'states',
    ]);
    const kinds = ['schema', 'publish', 'learn', 'approve', 'verdict', 'decision', 'hold', 'resume', 'rollback'];
    expect(Object.keys(expected.controlKinds)).toEqual(kinds);
    const slots = new Set(Object.values(expected.logs).flatMap((log) => log.kinds));
    const wanted = ['open', 'batch no-baseline', 'batch clean', 'batch suspect', 'batch small', 'gap'];
    expect(slots).toEqual(new Set(wanted));
    expect(new Set(Object.values(expected.held))).toEqual(new Set(['no-baseline', 'condemned', 'small']));
    expect(expected.totals.deadLetters).toBeGreaterThan(0);
  });

  it('verifies to the last record, with exact counts', async () => {
    const { batches, records, deadLetters } = expected.totals;
    expect(await json('verify', '--deep')).toEqual({
      ok: true,
      complete: true,
      problems: [],
      warnings: [],
      controlEntries,
      logs: Object.keys(expected.logs).length,
      batches,
      records,
      deadLetters,
      objects: expect.any(Number) as number,
      bytes: expect.any(Number) as number,
      deep: true,
    });
  });

  it('has the roots that an independent reader computes, over the records that were sent', async () => {
    const args = ['--store', store, '--pipeline', expected.pipeline, '--ledger', join(folder, 'sent.jsonl')];
    const { stdout } = await promisify(execFile)(pythonPath(), [ORACLE, ...args]);
    const { batches, records } = expected.totals;
    const nothingWrong = { lost: 0, doubled: 0, foreign: 0, changed: 0, badRoots: 0, badChains: 0, badDigests: 0 };
    expect(JSON.parse(stdout)).toEqual({ batches, records, ...nothingWrong });
    for (const [log, { roots }] of Object.entries(expected.logs)) {
      const slots = (await readdir(join(store, expected.pipeline, 'log', log))).toSorted();
      const entries = await Promise.all(
        slots.map(async (slot) => {
          const bundle = JSON.parse(await readFile(join(store, expected.pipeline, 'log', log, slot), 'utf8')) as {
            dsseEnvelope: { payload: string };
          };
          const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString('utf8');
          return (JSON.parse(payload) as { predicate: { root?: string } }).predicate;
        }),
      );
      expect(
        entries.flatMap(({ root }) => root ?? []),
        log,
      ).toEqual(roots);
    }
  });

  it('passes the gate, and is pulled file by file', async () => {
    const { files, records, batches, snapshot } = expected.published;
    expect(await json('gate')).toMatchObject({ verdict: 'pass', problems: [], snapshot, records, batches });
    expect(await json('pull', 'main', 'out')).toMatchObject({ snapshot, records, files: files.length });
    for (const { path, sha256 } of files)
      expect(sha256Hex(await readFile(join(folder, 'out', path))), path).toBe(sha256);
    const pulled = (await filesBelow(join(folder, 'out'))).filter((path) => path.endsWith('.parquet'));
    expect(pulled).toHaveLength(files.length);
  });

  it('shows what was published, held, decided and learned', async () => {
    const { baselines, schemas, held, published } = expected;
    expect(await json('status')).toMatchObject({
      snapshot: published.snapshot,
      onHold: false,
      baselines,
      schemas,
      controlEntries,
      held: Object.keys(held).length,
    });
    const listed = await json<{ held: { digest: string; standing: string }[] }>('quarantine', 'list');
    expect(Object.fromEntries(listed.held.map(({ digest, standing }) => [digest, standing]))).toEqual(held);
    for (const digest of Object.keys(held)) expect(await json('quarantine', 'show', digest)).toMatchObject({ digest });
    for (const [log, { next }] of Object.entries(expected.logs))
      for (const offset of [0, next - 1])
        expect((await run('quarantine', 'show', `${log}@${offset}`)).stdout).toContain(log);
    for (const [topic, baseline] of Object.entries(baselines)) {
      const { code, stdout } = await run('baseline', 'show', '--topic', topic);
      expect(code).toBe(0);
      expect(stdout).toContain(baseline.slice(0, 12));
    }
  }, 60_000);

  it('is refused with one changed byte in any kind of object', async () => {
    const objects = await filesBelow(join(store, expected.pipeline));
    // The newest of each kind: of the control log the entry that this machine has a mark of.
    const kinds = new Map(objects.toSorted().map((path) => [path.slice(store.length).split('/')[2]!, path]));
    // Nobody believes these: they only say where to look first.
    for (const kind of ['hint', 'probe']) kinds.delete(kind);
    expect(kinds.size).toBe(11);
    for (const path of kinds.values()) {
      const bytes = await readFile(path);
      const changed = Buffer.from(bytes);
      changed[bytes.length >> 1]! ^= 1;
      await writeFile(path, changed);
      const { code, stdout } = await run('verify', '--deep', '--json');
      await writeFile(path, bytes);
      expect(code, path).toBe(2);
      const { ok, problems } = JSON.parse(stdout) as Tampered;
      expect(ok).toBe(false);
      const named = problems.map(({ object }) => object);
      expect(named).toContain(path.slice(store.length + 1));
      expect(new Set(problems.map((problem) => JSON.stringify(problem))).size, 'told once').toBe(problems.length);
    }
    expect((await run('verify', '--deep')).code).toBe(0);
  }, 120_000);

  it('is gone on from, under new keys: read, learned, published, rolled back', async () => {
    const trustPath = join(folder, 'trust.json');
    const trust = JSON.parse(await readFile(trustPath, 'utf8')) as { keys: unknown[] };
    await mkdir(join(folder, 'keys'));
    for (const role of ['ingest', 'publisher', 'approver'])
      trust.keys.push(await json('keys', 'generate', `keys/${role}.pem`, '--roles', role));
    await writeFile(trustPath, JSON.stringify(trust));
    const [name] = await readdir(join(folder, 'files'));
    await appendFile(join(folder, name!), Array.from({ length: 6 }, (_, i) => `${i};new;false\n`).join(''));
    expect(await json('run', '--once')).toMatchObject({ records: 6, batches: 1, deadLetters: 0 });
    await json('baseline', 'learn', '--held', '--topic', 'returns');
    await json('baseline', 'approve', '--topic', 'returns');
    await json('publish', '--once');
    const { batches, records } = expected.totals;
    expect(await json('verify', '--deep')).toMatchObject({ ok: true, batches: batches + 1, records: records + 6 });
    expect((await json<{ records: number }>('status')).records).toBeGreaterThan(expected.published.records + 6);
    await json('rollback', '--to', expected.published.snapshot, '--reason', 'back to what the old version published');
    expect((await run('gate')).code).toBe(1);
    await json('resume', '--reason', 'seen');
    expect(await json('gate')).toMatchObject({ verdict: 'pass', records: expected.published.records });
    expect((await run('verify', '--deep')).code).toBe(0);
  }, 120_000);
});

it('the npm package leaves the golden stores out', async () => {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
  });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  expect(files.map(({ path }) => path)).toContain('dist/src/cli/main.js');
  expect(files.filter(({ path }) => /golden|^test\//.test(path))).toEqual([]);
});
