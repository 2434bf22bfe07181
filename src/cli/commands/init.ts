import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';

import { generateKeyFile } from '../../adapters/keys/pem-signer.ts';
import { RequestError } from '../../errors.ts';
import type { TrustDocument } from '../../ledger/trust.ts';
import { sshFingerprint } from '../../record/public-key.ts';
import { CONFIG_NAME, type CommandContext, type CommandResult } from '../context.ts';
import type { Register } from '../register.ts';

interface InitOptions {
  readonly pipeline?: string;
  readonly files?: string[];
  readonly csv?: boolean;
  readonly kafka?: string[];
  readonly topics?: string[];
  readonly store?: string;
  readonly label?: string;
  readonly source?: string;
}

const ROLES = ['ingest', 'publisher', 'approver'] as const;

/** `headgate init` and `headgate keys generate`. */
export const registerInit: Register = (program, runner) => {
  program
    .command('init')
    .argument('[dir]', 'folder to set up', '.')
    .description('write a configuration, keys and a trust root; asks on a terminal, flags otherwise')
    .option('--pipeline <name>', 'name of the pipeline (default: the folder’s name)')
    .option('--files <path...>', 'read these files, folders or globs')
    .option('--csv', 'the files are CSV (default: newline-delimited JSON)')
    .option('--kafka <broker...>', 'read Kafka through these brokers (host:port)')
    .option('--topics <name...>', 'topics to read, or the name of the stream that the files make up')
    .option('--store <url>', 'folder or s3://bucket/prefix', './store')
    .option('--label <column>', 'column that a model learns to predict')
    .option('--source <column>', 'column that says who sent a record')
    .action((dir: string, options: InitOptions) =>
      runner()((context) => init(context, resolve(context.folder, dir), options)),
    );
  const keys = program.command('keys').description('signing keys');
  keys
    .command('generate')
    .argument('<file>', 'private key file to write')
    .description('make a P-256 key; prints the entry for the trust file')
    .option('--roles <role...>', 'roles for the printed entry', ['ingest'])
    .option('--passphrase-env <name>', 'environment variable that holds a passphrase to encrypt the key with')
    .action((file: string, options: { roles: string[]; passphraseEnv?: string }) =>
      runner()((context) => generate(context, file, options)),
    );
};

async function init(context: CommandContext, folder: string, given: InitOptions): Promise<CommandResult> {
  const options = await complete(context, folder, given);
  const configPath = join(folder, CONFIG_NAME);
  const keyPaths = ROLES.map((role) => join(folder, 'keys', `${role}.pem`));
  await assertFree(folder, [configPath, join(folder, 'trust.json'), ...keyPaths]);
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 });
  // Before there is anything secret: whatever interrupts us, no key is ever seen by version control.
  await keepSecretsOutOfGit(folder);
  const keys: TrustDocument['keys'] = [];
  for (const [i, role] of ROLES.entries()) {
    const publicKey = await generateKeyFile(keyPaths[i]!, undefined);
    keys.push({ keyId: sshFingerprint(publicKey), name: role, roles: [role], publicKey });
  }
  const trust: TrustDocument = { version: 1, pipeline: options.pipeline, keys };
  await writeFile(join(folder, 'trust.json'), `${JSON.stringify(trust, null, 2)}\n`, { flag: 'wx' });
  await writeFile(configPath, configText(options), { flag: 'wx' });
  context.output.result(
    {
      ok: true,
      folder,
      config: configPath,
      pipeline: options.pipeline,
      keys: keys.map(({ keyId, name }) => ({ keyId, name })),
    },
    [
      `wrote ${configPath}, trust.json and keys/ (private: keep them off version control, and the approver key off servers)`,
      `next: ${folder === context.folder ? '' : `cd ${relative(context.folder, folder)}, `}headgate doctor, then headgate run --once`,
    ],
  );
  return undefined;
}

/**
 * Refuses before anything is written; names all that is in the way, so that one removal is enough. An init that was cut off
 * has left keys that have signed nothing: without a configuration nobody can have used them.
 * @throws RequestError
 */
async function assertFree(folder: string, paths: readonly string[]): Promise<void> {
  const present: string[] = [];
  for (const path of paths) if (await exists(path)) present.push(`"${path}"`);
  if (present.length === 0) return;
  const isCutOff = !(await exists(join(folder, CONFIG_NAME)));
  const mend = isCutOff
    ? `another folder; or, if an earlier init was cut off and these keys are used nowhere else, remove ${present.join(', ')}`
    : `another folder, or remove ${present.join(', ')}`;
  throw new RequestError(
    'REQUEST_INVALID',
    `Cannot set up "${folder}": ${present.join(', ')} ${present.length === 1 ? 'exists' : 'exist'} already (mend: ${mend})`,
  );
}

type Complete = Required<Pick<InitOptions, 'pipeline' | 'store'>> & InitOptions & { readonly topics: string[] };

/** Fills what the flags left open: by asking on a terminal, by a default where there is one, or not at all. */
async function complete(context: CommandContext, folder: string, given: InitOptions): Promise<Complete> {
  const ask =
    process.stdin.isTTY && context.output.interactive
      ? createInterface({ input: process.stdin, output: process.stderr })
      : null;
  try {
    const question = async (text: string, fallback: string): Promise<string> =>
      ask === null ? fallback : (await ask.question(`${text} [${fallback}] `)) || fallback;
    const folderName = basename(folder).replace(/[^A-Za-z0-9._-]/g, '-') || 'pipeline';
    const pipeline = given.pipeline ?? (await question('Name of the pipeline', folderName));
    let { files, kafka } = given;
    if (files === undefined && kafka === undefined && ask !== null) {
      const answer = await question('Files to read (glob), or Kafka brokers (host:port)', './data/*.ndjson');
      if (/^[^\s/]+:\d+(,|$)/.test(answer)) kafka = answer.split(',');
      else files = [answer];
    }
    if (files === undefined && kafka === undefined)
      throw new RequestError(
        'REQUEST_INVALID',
        'Cannot set up a pipeline without a source: give --files PATH… or --kafka HOST:PORT… --topics NAME…',
      );
    if (files !== undefined && kafka !== undefined)
      throw new RequestError(
        'REQUEST_INVALID',
        'Cannot read files and Kafka in one pipeline: give one of --files and --kafka',
      );
    const topics =
      given.topics ?? (await question(kafka === undefined ? 'Name of the stream' : 'Topics', pipeline)).split(',');
    return {
      ...given,
      ...(files === undefined ? {} : { files }),
      ...(kafka === undefined ? {} : { kafka }),
      pipeline,
      topics,
      store: given.store ?? './store',
    };
  } finally {
    ask?.close();
  }
}

function configText({ pipeline, files, csv, kafka, topics, store, label, source }: Complete): string {
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
    ...(kafka === undefined
      ? [
          '  files:',
          `    topic: ${JSON.stringify(topics[0])}`,
          `    paths: ${quoted(files!)}`,
          `    format: ${csv === true ? 'csv' : 'ndjson'}`,
        ]
      : [
          '  kafka:',
          `    brokers: ${quoted(kafka)}`,
          `    topics: ${quoted(topics)}`,
          `    group: ${JSON.stringify(`headgate-${pipeline}`)}`,
        ]),
    '',
    '# What columns mean; null where there is none.',
    'topicDefaults:',
    `  label: ${label === undefined ? 'null' : JSON.stringify(label)}`,
    `  source: ${source === undefined ? 'null' : JSON.stringify(source)}`,
    '',
    'alerts:',
    '  - name: console',
    '    type: console',
    '',
  ];
  return lines.join('\n');
}

async function keepSecretsOutOfGit(folder: string): Promise<void> {
  const path = join(folder, '.gitignore');
  const wanted = ['keys/', '.headgate/', 'store/'];
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

async function generate(
  context: CommandContext,
  file: string,
  { roles, passphraseEnv }: { roles: string[]; passphraseEnv?: string },
): Promise<CommandResult> {
  const passphrase = passphraseEnv === undefined ? undefined : context.environment[passphraseEnv];
  if (passphraseEnv !== undefined && passphrase === undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot encrypt the key: environment variable "${passphraseEnv}" is not set`,
    );
  const publicKey = await generateKeyFile(resolve(context.folder, file), passphrase);
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
