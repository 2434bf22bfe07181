import { randomBytes } from 'node:crypto';
import { link, lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';

import { generateKeyFile } from '../../adapters/keys/pem-signer.ts';
import { makeLocalFolder } from '../../compose/local-folder.ts';
import { loadConfig, parseConfig } from '../../config/load.ts';
import { ConfigError, HeadgateError, RequestError } from '../../errors.ts';
import { ROLES as ALL_ROLES, type TrustDocument } from '../../ledger/trust.ts';
import { sshFingerprint } from '../../record/public-key.ts';
import { shellWord } from '../called-as.ts';
import { CONFIG_NAME, type CommandContext, type CommandResult } from '../context.ts';
import { counted } from '../output.ts';
import { complete, completeKeysOnly, isUrl, type Answers, type InitOptions } from './init-answers.ts';

const ROLES = ['ingest', 'publisher', 'approver'] as const;

/** `headgate init`: writes a configuration, keys and a trust root. @param dir from the folder of the call */
export async function init(context: CommandContext, dir: string, given: InitOptions): Promise<CommandResult> {
  const folder = resolve(context.folder, dir);
  if (given.keysOnly === true) return initKeys(context, folder, completeKeysOnly(folder, given));
  const answers = await complete(context, folder, given);
  const configPath = join(folder, CONFIG_NAME);
  const text = configText(answers);
  assertUsable(text, configPath, context);
  await assertFree(context, folder, [configPath, ...madeIn(folder)]);
  const keys = await orRefuse(folder, async () => {
    const made = await writeKeys(folder, answers.pipeline, answers.store);
    await writeWhole(configPath, text);
    return made;
  });
  context.output.result(
    {
      ok: true,
      folder,
      config: configPath,
      pipeline: answers.pipeline,
      keys: keys.map(({ keyId, name }) => ({ keyId, name })),
      notes: answers.notes,
    },
    [
      `wrote ${configPath}, trust.json and keys/ (private: keep them off version control, and the approver key off servers)`,
      ...answers.notes,
      describeNext(context, configPath),
    ],
  );
  return undefined;
}

/** `headgate init --keys-only`: for a pipeline whose configuration is written elsewhere. */
async function initKeys(context: CommandContext, folder: string, pipeline: string): Promise<CommandResult> {
  const anySource = { source: { kafka: ['localhost:9092'] }, topics: ['any'], csv: false, store: './store', notes: [] };
  assertUsable(
    configText({ ...anySource, pipeline, label: undefined, sender: undefined }),
    join(folder, CONFIG_NAME),
    context,
  );
  await assertFree(context, folder, madeIn(folder));
  const keys = await orRefuse(folder, () => writeKeys(folder, pipeline, null));
  context.output.result(
    { ok: true, folder, config: null, pipeline, keys: keys.map(({ keyId, name }) => ({ keyId, name })), notes: [] },
    [
      `wrote trust.json and keys/ in "${folder}" (private: keep them off version control, and the approver key off servers)`,
      `next: name them under trust and keys in the configuration of pipeline "${pipeline}"`,
    ],
  );
  return undefined;
}

/** Last of all, and all of it or nothing: a configuration says that keys and trust root are complete. */
async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  try {
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

function keyPathsIn(folder: string): string[] {
  return ROLES.map((role) => join(folder, 'keys', `${role}.pem`));
}

/** What is made in a folder beside a configuration. */
function madeIn(folder: string): string[] {
  return [join(folder, 'trust.json'), ...keyPathsIn(folder)];
}

/** @throws RequestError for an error of the file system */
function orRefuse<Made>(folder: string, make: () => Promise<Made>): Promise<Made> {
  return make().catch((cause: unknown) => {
    if (cause instanceof HeadgateError) throw cause;
    const isImpossible = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isImpossible ? 'no folder can be made there (ENOENT) (mend: name another)' : whyUnusable(folder, cause);
    throw new RequestError('REQUEST_INVALID', `Cannot set up "${folder}": ${why}`, { cause });
  });
}

/** What a person can do about a folder in which nothing can be written. */
function whyUnusable(folder: string, cause: unknown): string {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT')
    return `folder "${folder}" does not exist (mend: mkdir -p ${shellWord(folder)}, or name another)`;
  if (['ENOTDIR', 'EEXIST'].includes(code))
    return 'it, or what stands above it, is a file and no folder (mend: name another folder, or move the file away)';
  if (['EACCES', 'EPERM', 'EROFS'].includes(code))
    return `this process may not write there (${code}) (mend: name another folder, or call it as the owner of this one)`;
  return code === 'ENOSPC' ? 'its disk is full (mend: free space there, or name another folder)' : message;
}

/**
 * Keys and trust root, before any configuration: without one, nothing uses them.
 * @param store as it stands in the configuration; null where none is written. @throws {Error} of the file system
 */
async function writeKeys(folder: string, pipeline: string, store: string | null): Promise<TrustDocument['keys']> {
  await makeLocalFolder(join(folder, 'keys'), 0o700);
  // Before there is anything secret: whatever interrupts us, no key is ever seen by version control.
  await keepSecretsOutOfGit(folder, store);
  const keys: TrustDocument['keys'] = [];
  for (const [i, path] of keyPathsIn(folder).entries()) {
    const publicKey = await generateKeyFile(path, undefined);
    keys.push({ keyId: sshFingerprint(publicKey), name: ROLES[i]!, roles: [ROLES[i]!], publicKey });
  }
  const trust: TrustDocument = { version: 1, pipeline, keys };
  await writeFile(join(folder, 'trust.json'), `${JSON.stringify(trust, null, 2)}\n`, { flag: 'wx' });
  return keys;
}

/** The next commands as they can be typed here: npx would not find this program from another folder. */
function describeNext({ called, folder }: CommandContext, configPath: string): string {
  const { program } = called;
  const path = relative(folder, configPath);
  const config = path === CONFIG_NAME ? '' : ` --config ${shellWord(path)}`;
  return `next: ${program} doctor${config}, then ${program} run --once${config}`;
}

/** Refuses before anything is written what the next command would refuse. @throws RequestError */
function assertUsable(text: string, path: string, { environment }: CommandContext): void {
  try {
    parseConfig(text, path, environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const faults = error.faults.map((fault) => `\n  ${fault.path}: ${fault.message}`).join('');
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot set up "${dirname(path)}": the configuration would have ${counted(error.faults.length, 'fault')}${faults}`,
    );
  }
}

/**
 * Refuses before anything is written; names all that is in the way. To remove it is advised only where nothing speaks of a
 * store that was signed with these keys: without them nobody can ever go on there.
 * @throws RequestError
 */
async function assertFree({ environment }: CommandContext, folder: string, paths: readonly string[]): Promise<void> {
  const present: string[] = [];
  for (const path of paths) if (await exists(path)) present.push(`"${path}"`);
  if (present.length === 0) return;
  const found = `Cannot set up "${folder}": ${present.join(', ')} ${present.length === 1 ? 'exists' : 'exist'} already`;
  const another = 'set up another pipeline in another folder, headgate init OTHER-FOLDER --pipeline OTHER';
  const user = await userOf(folder, environment);
  if (user !== null)
    throw new RequestError(
      'REQUEST_INVALID',
      `${found}, and must stay: these keys and this trust root are used by ${user}, and whoever removes them can never sign there again (mend: ${another})`,
    );
  const isCutOff = !(await exists(join(folder, CONFIG_NAME)));
  const unused = isCutOff
    ? 'if an earlier init was cut off and these keys are used nowhere else'
    : 'if no store was ever written with these keys, on any machine (who removes keys that are in use can never sign in that store again)';
  throw new RequestError('REQUEST_INVALID', `${found} (mend: ${another}; or, ${unused}, remove ${present.join(', ')})`);
}

/** What the keys in a folder are used by, as far as this machine can tell; null where nothing says that they are. */
async function userOf(folder: string, environment: CommandContext['environment']): Promise<string | null> {
  const path = join(folder, CONFIG_NAME);
  const loaded = await loadConfig(path, environment).catch((error: unknown) => error as Error);
  const isLost = loaded instanceof Error;
  if (isLost && (await exists(path))) return `whatever store "${path}" names`;
  const url = isLost ? './store' : loaded.config.store.url;
  if (isUrl(url)) return `store "${url}"`;
  const store = resolve(folder, url);
  if (await exists(store)) return `store "${store}"`;
  const state = resolve(folder, isLost ? './.headgate' : loaded.config.stateFolder);
  return (await exists(state)) ? `a store that this machine has seen (it remembers it in "${state}")` : null;
}

function configText({ pipeline, source, topics, csv, store, label, sender }: Answers): string {
  const quoted = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(', ')}]`;
  const lines = [
    '# Every key with its default and meaning: config/default.yaml',
    `pipeline: ${JSON.stringify(pipeline)}`,
    `deployment: ${JSON.stringify(randomBytes(8).toString('hex'))}`,
    '',
    'store:',
    `  url: ${JSON.stringify(store)}`,
    '',
    'source:',
    ...('files' in source
      ? [
          '  files:',
          `    topic: ${JSON.stringify(topics[0])}`,
          `    paths: ${quoted(source.files)}`,
          `    format: ${csv ? 'csv' : 'ndjson'}`,
        ]
      : [
          '  kafka:',
          `    brokers: ${quoted(source.kafka)}`,
          `    topics: ${quoted(topics)}`,
          `    group: ${JSON.stringify(`headgate-${pipeline}`)}`,
        ]),
    '',
    '# What columns mean; null where there is none.',
    'topicDefaults:',
    `  label: ${label === undefined ? 'null' : JSON.stringify(label)}`,
    `  source: ${sender === undefined ? 'null' : JSON.stringify(sender)}`,
    '',
    'alerts:',
    '  - name: console',
    '    type: console',
    '',
  ];
  return lines.join('\n');
}

/** @param store as it stands in the configuration; null for none */
async function keepSecretsOutOfGit(folder: string, store: string | null): Promise<void> {
  const path = join(folder, '.gitignore');
  const inside = store === null || isUrl(store) ? '' : relative(folder, resolve(folder, store));
  const wanted = ['keys/', '.headgate/', ...(inside === '' || inside.startsWith('..') ? [] : [`${inside}/`])];
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const present = text.split(/\r?\n/);
  const missing = wanted.filter((line) => !present.includes(line));
  // A last line without an end must not swallow ours.
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  if (missing.length > 0) await writeFile(path, `${end}${missing.join('\n')}\n`, { flag: 'a' });
}

/** `headgate keys generate`. */
export async function generate(
  context: CommandContext,
  file: string,
  { roles, passphraseEnv }: { roles: string[]; passphraseEnv?: string },
): Promise<CommandResult> {
  const unknown = roles.find((role) => !(ALL_ROLES as readonly string[]).includes(role));
  if (unknown !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot give a key the role "${unknown}": wanted one of ${ALL_ROLES.join(', ')}`,
    );
  const passphrase = passphraseEnv === undefined ? undefined : context.environment[passphraseEnv];
  if (passphraseEnv !== undefined && passphrase === undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot encrypt the key: environment variable "${passphraseEnv}" is not set`,
    );
  const path = resolve(context.folder, file);
  const publicKey = await generateKeyFile(path, passphrase).catch((error: unknown) => {
    const cause = error instanceof ConfigError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    if (cause?.code === undefined || cause.code === 'EEXIST') throw error;
    const why = whyUnusable(dirname(path), cause);
    throw new ConfigError('KEY_INVALID', `Cannot write key file "${path}": ${why}`, [], { cause });
  });
  const entry = { keyId: sshFingerprint(publicKey), name: basename(file, '.pem'), roles, publicKey };
  context.output.result(entry, [
    `wrote ${file}; add this to "keys" in trust.json:`,
    ...JSON.stringify(entry, null, 2).split('\n'),
  ]);
  return undefined;
}

/** Also a link that leads nowhere: nothing can be created under its name. */
async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
