import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { DiskStore } from '../../src/adapters/disk/store.ts';
import * as library from '../../src/index.ts';
import type { LoggedBatch } from '../../src/ledger/partition-log.ts';
import { TestLedger, keysOf, never, partition } from '../support/ledger.ts';
import { ROOT } from './house/source-files.ts';

const run = promisify(execFile);
const BIN = join(ROOT, 'node_modules', '.bin');
/** Compiling the whole source takes seconds, on a busy machine more. */
const BUILD_MS = 120_000;

/** What programs of others may use. Whatever is added here stays; whatever is taken away breaks them. */
const VALUES = [
  'ConfigError',
  'ConflictError',
  'DiskStore',
  'DiskTarget',
  'ERROR_CODES',
  'HaltError',
  'HeadgateError',
  'IntegrityError',
  'LeafHasher',
  'NotFoundError',
  'RequestError',
  'S3Store',
  'TrustRoot',
  'UnavailableError',
  'UncertainError',
  'gate',
  'inclusionProof',
  'leafHash',
  'listFiles',
  'merkleRoot',
  'nodeHash',
  'openLedger',
  'parquetFormat',
  'pull',
  'readBatchFile',
  'recomputeRoot',
  'resolveSnapshot',
  'rootFromInclusionProof',
  'systemClock',
  'verifyPipeline',
];
const TYPES = [
  'Clock',
  'ConfigFault',
  'ErrorCode',
  'ErrorFields',
  'FileFormat',
  'GateOptions',
  'GateReport',
  'LedgerContext',
  'ObjectStore',
  'PullReport',
  'PullTarget',
  'S3StoreOptions',
  'StoredRecords',
  'VerifyOptions',
  'VerifyReport',
];

/** A program as a user writes it: it imports nothing but the package, and every type comes from there. */
const PROGRAM = `
import { readFile } from 'node:fs/promises';
import {
  DiskStore, DiskTarget, HeadgateError, TrustRoot, gate, inclusionProof, leafHash, listFiles, merkleRoot, openLedger, parquetFormat,
  pull, resolveSnapshot, rootFromInclusionProof, systemClock, verifyPipeline,
  type ErrorCode, type GateReport, type LedgerContext, type ObjectStore, type PullReport, type VerifyReport,
} from 'headgate';

const [folder, trustFile, target] = process.argv.slice(2) as [string, string, string];
const { signal } = new AbortController();
const store: ObjectStore = await DiskStore.open(folder);
const trust = TrustRoot.parse(await readFile(trustFile, 'utf8'), trustFile);
const ledger: LedgerContext = openLedger(store, trust, systemClock);
const verified: VerifyReport = await verifyPipeline(ledger, { deep: true, format: parquetFormat, signal });
const asked: GateReport = await gate(ledger, { ref: 'main', maxAgeMs: null, signal });
const snapshot: string = await resolveSnapshot(ledger, 'main');
const files = await listFiles(ledger, snapshot);
let pulled: PullReport | null = null;
let refused: ErrorCode | null = null;
try {
  pulled = await pull(ledger, snapshot, new DiskTarget(target), signal, () => undefined);
} catch (error) {
  if (!(error instanceof HeadgateError)) throw error;
  refused = error.code;
}
const leaves = Buffer.concat(['a', 'b', 'c'].map((text) => leafHash(Buffer.from(text))));
const root = rootFromInclusionProof(leaves.subarray(32, 64), 1, 3, inclusionProof(leaves, 1));
const proved: boolean = root?.equals(merkleRoot(leaves)) ?? false;
console.log(JSON.stringify({ verified, asked, snapshot, files, pulled, refused, proved }));
`;

/** What the program prints. */
interface Printed {
  readonly verified: library.VerifyReport;
  readonly asked: library.GateReport;
  readonly snapshot: string;
  readonly files: readonly { readonly path: string; readonly uri: string; readonly rows: number }[];
  readonly pulled: library.PullReport | null;
  readonly refused: library.ErrorCode | null;
  readonly proved: boolean;
}

describe('the public library', () => {
  /** The package as it would be published, freshly compiled. */
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headgate-library-'));
    await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const options = ['--noCheck', '--incremental', 'false', '--outDir', join(folder, 'dist')];
    await run(join(BIN, 'tsc'), ['-p', join(ROOT, 'tsconfig.build.json'), ...options]);
  }, BUILD_MS);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe('has an entry file that', () => {
    it('exports exactly these values', () => {
      expect(Object.keys(library).toSorted()).toEqual(VALUES);
    });

    it('exports exactly these types beside them', async () => {
      const names = [...(await declarations()).keys()].toSorted();
      expect(names).toEqual([...VALUES, ...TYPES].toSorted());
    });

    it('exports nothing without a sentence that says what it is, where users see it', async () => {
      for (const [name, { file, text }] of await declarations()) {
        const above = text.slice(0, text.search(declarationOf(name))).trimEnd();
        const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/$/.exec(above)?.[1] ?? '';
        const words = comment.replace(/^\s*\* ?/gm, ' ').trim();
        expect(words, `${name} in ${file}`).toMatch(/^[A-Z\u0060].{15,}[.:?]/s);
      }
    });
  });

  describe('as a package', () => {
    let packed: readonly string[];

    beforeAll(async () => {
      const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
        cwd: folder,
        maxBuffer: 2 ** 26,
      });
      const [listed] = JSON.parse(stdout) as { files: { path: string }[] }[];
      packed = listed!.files.map(({ path }) => path);
    }, BUILD_MS);

    it('holds its entry and its types where package.json says', async () => {
      const { exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
        exports: Record<string, { types: string; default: string }>;
      };
      const { types, default: entry } = exports['.']!;
      expect(packed).toContain(types.replace('./', ''));
      expect(packed).toContain(entry.replace('./', ''));
      expect(types).toBe('./dist/src/index.d.ts');
    });

    it('holds every file of types that its entry leads to', async () => {
      const reached = await reachedFrom('dist/src/index.d.ts');
      expect(reached.size).toBeGreaterThan(20);
      expect([...reached].filter((path) => !packed.includes(path))).toEqual([]);
    });

    it('holds neither tests nor tools nor sources', () => {
      expect(packed.filter((path) => !/^(dist\/(src|workers)\/|package\.json$)/.test(path))).toEqual([]);
      expect(packed.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([]);
    });
  });

  describe('used by a small program', () => {
    let test: TestLedger;
    let batch: LoggedBatch;
    let store: DiskStore;
    let runs = 0;
    const print = async (): Promise<Printed> => {
      const target = join(folder, `pulled-${++runs}`);
      const args = ['program.js', store.location, join(folder, 'trust.json'), target];
      const { stdout } = await run(process.execPath, args, { cwd: folder });
      return JSON.parse(stdout) as Printed;
    };

    beforeAll(async () => {
      await writeFile(join(folder, 'program.ts'), PROGRAM);
      const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--skipLibCheck'];
      await run(join(BIN, 'tsc'), [...options, 'program.ts'], { cwd: folder }).catch((error: { stdout: string }) =>
        expect.unreachable(error.stdout),
      );
      store = await DiskStore.open(join(folder, 'store'));
      test = await TestLedger.open({ store });
      await writeFile(join(folder, 'trust.json'), JSON.stringify(test.trust.document));
      batch = await test.commit(partition(0));
      await test.commit(partition(0), { verdict: 'suspect' });
      await test.publisher().publish(never);
    }, BUILD_MS);

    it('compiles, and verifies, asks, lists and pulls a store', async () => {
      const printed = await print();
      const { refs } = (await test.ledger.control.head()).state;
      expect(printed.verified).toMatchObject({
        ok: true,
        complete: true,
        problems: [],
        deep: true,
        logs: 1,
        batches: 2,
        records: 4,
        controlEntries: 4,
      });
      expect(printed.asked).toMatchObject({ verdict: 'pass', records: 2, batches: 1, held: 1 });
      expect(printed.snapshot).toBe(refs['main']);
      expect(printed.files).toMatchObject([{ rows: 2, uri: expect.stringMatching(/^file:\/\//) as string }]);
      expect(printed.pulled).toMatchObject({ files: 1, records: 2, downloaded: 1, complete: true });
      expect(await readFile(join(folder, `pulled-${runs}`, printed.files[0]!.path))).toEqual(
        await store.get(batch.entry.data!.key, 1 << 30),
      );
      expect([printed.refused, printed.proved]).toEqual([null, true]);
    });

    it('finds what was changed in it, and takes nothing of it', async () => {
      const { key } = batch.entry.data!;
      const own = (await store.get(key, 1 << 30))!;
      const changed = Buffer.from(own);
      changed[changed.length >> 1]! ^= 1;
      await store.put(key, changed);
      const printed = await print();
      await store.put(key, own);
      expect(printed.verified.ok).toBe(false);
      expect(printed.verified.problems).toContainEqual(
        expect.objectContaining({ object: key, code: 'DIGEST_MISMATCH' }),
      );
      expect([printed.pulled, printed.refused]).toEqual([null, 'DIGEST_MISMATCH']);
    });

    it('writes nothing to the store', async () => {
      const before = await keysOf(store);
      await print();
      expect(await keysOf(store)).toEqual(before);
    });
  });

  /** Every exported name with the file of types that declares it. */
  async function declarations(): Promise<Map<string, { readonly file: string; readonly text: string }>> {
    const entry = await readFile(join(folder, 'dist/src/index.d.ts'), 'utf8');
    const found = new Map<string, { readonly file: string; readonly text: string }>();
    for (const [, braces, from] of entry.matchAll(/^export (?:type )?(?:\*|\{([^}]*)\}) from '([^']+)';$/gm)) {
      const file = from!.replace(/\.ts$/, '.d.ts');
      const text = await readFile(join(folder, 'dist/src', file), 'utf8');
      const names = braces?.split(',') ?? [...text.matchAll(ANY_DECLARATION)].map(([, name]) => name!);
      for (const name of names) found.set(name.trim().replace(/^type /, ''), { file, text });
    }
    return found;
  }

  /** Files of types that one leads to by relative imports, itself included. */
  async function reachedFrom(path: string, reached = new Set<string>()): Promise<Set<string>> {
    if (reached.has(path)) return reached;
    reached.add(path);
    const text = await readFile(join(folder, path), 'utf8');
    for (const [, target] of text.matchAll(/(?:from |import\()["'](\.[^"']+)["']/g))
      await reachedFrom(posix.join(dirname(path), target!.replace(/\.ts$/, '.d.ts')), reached);
    return reached;
  }
});

const ANY_DECLARATION = /^export (?:declare )?(?:abstract )?(?:function|const|class|interface|type) (\w+)/gm;

function declarationOf(name: string): RegExp {
  return new RegExp(`^export (declare )?(abstract )?(function|const|class|interface|type) ${name}\\b`, 'm');
}
