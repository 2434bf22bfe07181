import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFile, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { headgate, headgateJson } from '../support/cli.ts';
import { orders } from '../support/pipeline.ts';
import { cosignPath } from '../support/services.ts';

const FORMATS_PAGE = fileURLToPath(new URL('../../docs/formats.md', import.meta.url));
const PARTITION_TYPE = 'https://headgate.dev/partition-log/v1';
const CONTROL_TYPE = 'https://headgate.dev/control-log/v1';
const PIPELINE = 'shop';
/** What cosign says when bytes were signed by nobody, or by somebody else. */
const NO_SIGNATURE = 'accepted signatures do not match threshold';
const OTHER_FILE = 'provided artifact digests do not match digests in statement';

interface Bundle {
  readonly dsseEnvelope: { readonly payload: string; readonly signatures: readonly { readonly keyid: string }[] };
}

interface Statement {
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: {
    readonly kind: string;
    readonly slot?: number;
    readonly epoch?: number;
    readonly data?: unknown;
    readonly deadLetters?: unknown;
  };
}

/** A stored entry as anybody may read it, without our code. */
interface Entry extends Statement {
  /** Path of the stored bundle. */
  readonly path: string;
  readonly keyId: string;
}

interface Outcome {
  readonly code: number;
  readonly stderr: string;
}

const ACCEPTED = { code: 0, stderr: expect.stringContaining('Verified OK') as string };
const refused = (why = ''): Outcome => ({ code: 1, stderr: expect.stringContaining(`Error: ${why}`) as string });

/** A pipeline as a user has it, with everything that it signed, against a verifier that knows nothing of us. */
describe('stock cosign', () => {
  let folder: string;
  let store: string;
  let entries: Entry[];

  const run = (args: readonly string[]) => headgateJson(args, { cwd: folder });

  function execute(file: string, args: readonly string[], cwd = folder): Promise<Outcome> {
    // Its folder of cached trust material is empty, and stays so: nothing is fetched.
    const path = `${dirname(cosignPath())}${delimiter}${process.env['PATH'] ?? ''}`;
    const env = { ...process.env, HOME: join(folder, 'home'), PATH: path };
    return new Promise((resolve) => {
      execFile(file, args, { cwd, env }, (error, _stdout, stderr) =>
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stderr }),
      );
    });
  }

  function cosign(bundle: string, what: readonly string[], { type = PARTITION_TYPE, key = 'ingest' } = {}) {
    const flags = ['--key', `${key}.pub`, '--insecure-ignore-tlog', '--type', type, '--bundle', bundle];
    return execute(cosignPath(), ['verify-blob-attestation', ...flags, ...what]);
  }

  async function readEntry(path: string): Promise<Entry> {
    const { dsseEnvelope } = JSON.parse(await readFile(path, 'utf8')) as Bundle;
    const statement = JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString('utf8')) as Statement;
    return { ...statement, path, keyId: dsseEnvelope.signatures[0]!.keyid };
  }

  async function entriesBelow(prefix: string): Promise<Entry[]> {
    const root = join(store, PIPELINE, prefix);
    const files = (await readdir(root, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
    const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
    return Promise.all(paths.map(readEntry));
  }

  /** The batch with both decoded rows and dead letters. */
  const richBatch = (): Entry => entries.find(({ predicate }) => predicate.data && predicate.deadLetters)!;
  const kindOf = (kind: string): Entry => entries.findLast(({ predicate }) => predicate.kind === kind)!;

  /** The stored file that a subject speaks about. */
  async function subjectFile({ name, digest: { sha256 } }: Entry['subject'][number]): Promise<string> {
    if (name === 'state' || name === 'snapshot') return join(store, PIPELINE, `${name}s`, sha256);
    // Slot 0 has nothing before it but the name of its log.
    if (!name.endsWith('/')) return join(store, name);
    const path = join(folder, 'log-name');
    await writeFile(path, name);
    return path;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headgate-cosign-'));
    store = join(folder, 'store');
    await mkdir(join(folder, 'home'));
    await run(['init', '.', '--files', 'data.ndjson', '--pipeline', PIPELINE]);
    await appendFile(join(folder, 'headgate.yaml'), 'batch: { recordsMax: 60 }\njudge: { recordsMin: 20 }\n');
    const lines = [...orders(100).map((order) => JSON.stringify(order)), 'no json', '{"id":1}'];
    await writeFile(join(folder, 'data.ndjson'), `${lines.join('\n')}\n`);
    await run(['run', '--once']);
    await run(['baseline', 'learn', '--held']);
    await run(['baseline', 'approve']);
    await run(['publish', '--once']);
    await run(['hold', '--reason', 'to see what it signs']);
    await run(['resume', '--reason', 'seen']);
    // A second process claims the log anew.
    await appendFile(join(folder, 'data.ndjson'), `${JSON.stringify(orders(1, 500)[0])}\n`);
    await run(['run', '--once']);
    const { keys } = JSON.parse(await readFile(join(folder, 'trust.json'), 'utf8')) as {
      keys: readonly { name: string; publicKey: string }[];
    };
    for (const { name, publicKey } of keys) await writeFile(join(folder, `${name}.pub`), publicKey);
    entries = [...(await entriesBelow('log')), ...(await entriesBelow('control'))];
  }, 120_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('accepts a batch entry for its rows, its dead letters and its evidence', async () => {
    const { path, subject } = richBatch();
    expect(subject.map(({ name }) => name.split('/')[1])).toEqual(['quarantine', 'dead-letters', 'evidence']);
    for (const { name } of subject) expect(await cosign(path, [join(store, name)]), name).toMatchObject(ACCEPTED);
  });

  it('accepts every entry of both logs, for everything that it speaks about', async () => {
    const kinds = new Set(entries.map(({ predicate }) => predicate.kind));
    expect([...kinds]).toEqual(['open', 'batch', 'schema', 'publish', 'learn', 'approve', 'verdict', 'hold', 'resume']);
    expect(Math.max(...entries.map(({ predicate }) => predicate.epoch ?? 0))).toBe(1);
    const { keys } = JSON.parse(await readFile(join(folder, 'trust.json'), 'utf8')) as {
      keys: readonly { keyId: string; name: string }[];
    };
    for (const { path, keyId, predicateType, subject, predicate } of entries) {
      const type = predicate.slot === undefined ? CONTROL_TYPE : PARTITION_TYPE;
      expect(predicateType).toBe(type);
      const key = keys.find((each) => each.keyId === keyId)!.name;
      for (const each of subject) {
        const file = await subjectFile(each);
        const what = `${predicate.kind} ${path} about ${each.name}`;
        expect(await cosign(path, [file], { type, key }), what).toMatchObject(ACCEPTED);
        const byDigest = ['--digest', each.digest.sha256, '--digestAlg', 'sha256'];
        expect(await cosign(path, byDigest, { type, key }), what).toMatchObject(ACCEPTED);
      }
    }
  }, 60_000);

  it('accepts a publish for its snapshot', async () => {
    const { path, subject } = kindOf('publish');
    expect(subject.map(({ name }) => name)).toEqual(['snapshot', 'state']);
    const snapshot = await subjectFile(subject[0]!);
    expect(await cosign(path, [snapshot], { type: CONTROL_TYPE, key: 'publisher' })).toMatchObject(ACCEPTED);
  });

  it('refuses a manifest with a changed byte, wherever it lies but in the hint, which only headgate sees', async () => {
    const { path, subject } = richBatch();
    const file = join(store, subject[0]!.name);
    const text = await readFile(path, 'utf8');
    const changed = join(folder, 'changed.json');
    // One base64 digit for another: the bundle stays well-formed.
    const after = async (at: number): Promise<Outcome> => {
      await writeFile(changed, `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`);
      return cosign(changed, [file]);
    };
    const inField = (name: string, into = 9): number => text.indexOf(`"${name}":"`) + name.length + 4 + into;
    for (const field of ['payloadType', 'sig', 'keyid', 'mediaType'])
      expect(await after(inField(field)), field).toMatchObject(refused());
    const payload = inField('payload', 0);
    const length = text.indexOf('"', payload) - payload;
    for (let part = 0; part < 40; part++) {
      const at = payload + Math.floor((part * length) / 40);
      expect(await after(at), `byte ${at}`).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(NO_SIGNATURE) as string,
      });
    }
    expect(await after(inField('hint'))).toMatchObject(ACCEPTED);
    await cp(folder, `${folder}-copy`, { recursive: true });
    try {
      await copyFile(changed, join(`${folder}-copy`, path.slice(folder.length)));
      const { code, stdout } = await headgate(['verify'], { cwd: `${folder}-copy` });
      expect(code).toBe(2);
      expect(stdout).toContain('its hint is not that of key');
    } finally {
      await rm(`${folder}-copy`, { recursive: true, force: true });
    }
  }, 60_000);

  it('refuses a file with a changed byte, and any file that the manifest does not name', async () => {
    const { path, subject } = richBatch();
    for (const { name } of subject) {
      const bytes = await readFile(join(store, name));
      const changed = join(folder, 'changed');
      for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
        const copy = Buffer.from(bytes);
        copy[at]! ^= 1;
        await writeFile(changed, copy);
        expect(await cosign(path, [changed]), `${name} at ${at}`).toMatchObject(
          refused(`failed to verify signature: ${OTHER_FILE}`),
        );
      }
    }
    const others = entries.filter((entry) => entry.predicate.kind === 'batch' && entry.path !== path);
    for (const other of others)
      expect(await cosign(path, [join(store, other.subject[0]!.name)])).toMatchObject(
        refused(`failed to verify signature: ${OTHER_FILE}`),
      );
    expect(others).not.toEqual([]);
  }, 60_000);

  it('refuses any other key, also one of the same pipeline', async () => {
    const { path, subject } = richBatch();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(folder, 'stranger.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    for (const key of ['publisher', 'approver', 'stranger'])
      expect(await cosign(path, [join(store, subject[0]!.name)], { key }), key).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(NO_SIGNATURE) as string,
      });
  });

  it('refuses an entry of one log as an entry of the other', async () => {
    const batch = richBatch();
    const wrong = { code: 1, stderr: expect.stringContaining('invalid predicate type') as string };
    expect(await cosign(batch.path, [join(store, batch.subject[0]!.name)], { type: CONTROL_TYPE })).toMatchObject(
      wrong,
    );
    const publish = kindOf('publish');
    const file = await subjectFile(publish.subject[0]!);
    expect(await cosign(publish.path, [file], { key: 'publisher' })).toMatchObject(wrong);
  });

  it('does what docs/formats.md says, command by command', async () => {
    const blocks = [...(await readFile(FORMATS_PAGE, 'utf8')).matchAll(/```sh\n([^`]*\bcosign [^`]*)```/g)];
    const commands = blocks.map(([, script]) => script!).join('\n');
    expect(commands.match(/cosign verify-blob-attestation/g)).toHaveLength(3);
    const auditor = join(folder, 'auditor');
    await mkdir(auditor);
    await copyFile(join(folder, 'trust.json'), join(auditor, 'trust.json'));
    const publish = kindOf('publish');
    await copyFile(richBatch().path, join(auditor, 'slot.json'));
    await copyFile(join(store, richBatch().subject[0]!.name), join(auditor, 'batch.parquet'));
    await copyFile(publish.path, join(auditor, 'publish.json'));
    await copyFile(await subjectFile(publish.subject[0]!), join(auditor, 'snapshot'));
    const { code, stderr } = await execute('bash', ['-e', '-c', commands], auditor);
    expect(code, stderr).toBe(0);
    expect(stderr.match(/Verified OK/g)).toHaveLength(3);
    await appendFile(join(auditor, 'batch.parquet'), ' ');
    expect((await execute('bash', ['-e', '-c', commands], auditor)).code).toBe(1);
  });

  it('fetches nothing', async () => {
    expect(await readdir(join(folder, 'home'), { recursive: true })).toEqual([]);
  });
});
