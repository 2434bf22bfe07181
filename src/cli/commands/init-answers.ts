import { basename, dirname, extname, isAbsolute, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';

import { RequestError } from '../../errors.ts';
import { shellWord } from '../called-as.ts';
import type { CommandContext } from '../context.ts';
import { counted } from '../output.ts';

/** Where brokers listen unless they are told otherwise. */
const KAFKA_PORT = 9_092;

/** The flags of `headgate init`. */
export interface InitOptions {
  readonly pipeline?: string;
  readonly keysOnly?: boolean;
  readonly files?: string[];
  readonly csv?: boolean;
  readonly kafka?: string[];
  readonly topics?: string[];
  readonly store?: string;
  readonly label?: string;
  readonly source?: string;
}

/** Everything that a configuration is made of; paths as they stand in it. */
export interface Answers {
  readonly pipeline: string;
  readonly source: { readonly files: readonly string[] } | { readonly kafka: readonly string[] };
  readonly topics: readonly string[];
  readonly csv: boolean;
  readonly store: string;
  readonly label: string | undefined;
  readonly sender: string | undefined;
  /** What a person should know of what was made of the answers. */
  readonly notes: readonly string[];
}

type Ask = (text: string, fallback: string) => Promise<string>;

/**
 * Fills what the flags left open: by asking on a terminal, by a default where there is one, or not at all.
 * @param folder the one that is set up; relative paths that were given start from the current one.
 * @throws RequestError when the answers do not go together
 */
export async function complete(context: CommandContext, folder: string, given: InitOptions): Promise<Answers> {
  const terminal =
    process.stdin.isTTY && context.output.interactive
      ? createInterface({ input: process.stdin, output: process.stderr })
      : null;
  try {
    const ask: Ask | null =
      terminal === null
        ? null
        : async (text, fallback) =>
            (await terminal.question(`${text}${fallback === '' ? '' : ` [${fallback}]`} `)) || fallback;
    const folderName = pipelineNameOf(folder);
    const pipeline = given.pipeline ?? (await ask?.('Name of the pipeline', folderName)) ?? folderName;
    const { files, kafka } = await askSource(given, ask);
    const brokers = kafka === undefined ? [] : parseBrokers(kafka);
    const topics = await askTopics(given, kafka === undefined ? pipeline : null, ask);
    const here = (path: string): string => inFolder(context.folder, folder, path);
    return {
      pipeline,
      source: files === undefined ? { kafka: brokers.map(({ address }) => address) } : { files: files.map(here) },
      topics,
      csv: given.csv === true,
      store: given.store === undefined ? './store' : isUrl(given.store) ? given.store : here(given.store),
      label: given.label,
      sender: given.source,
      notes: [...brokers.flatMap(({ note }) => note ?? []), ...noteExpanded(files ?? [])],
    };
  } finally {
    terminal?.close();
  }
}

/**
 * The name of a pipeline that has a configuration elsewhere.
 * @throws RequestError for what only a configuration that is written could say
 */
export function completeKeysOnly(folder: string, { pipeline, ...others }: InitOptions): string {
  const other = Object.keys(others).find((name) => name !== 'keysOnly');
  if (other !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot set up keys only with --${other}: no configuration is written that could say it`,
    );
  return pipeline ?? pipelineNameOf(folder);
}

function pipelineNameOf(folder: string): string {
  return basename(folder).replace(/[^A-Za-z0-9._-]/g, '-') || 'pipeline';
}

/** @throws RequestError unless there is exactly one source */
async function askSource(
  { files, kafka, csv }: InitOptions,
  ask: Ask | null,
): Promise<Pick<InitOptions, 'files' | 'kafka'>> {
  if (files !== undefined && kafka !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      'Cannot read files and Kafka in one pipeline: give one of --files and --kafka',
    );
  if (kafka !== undefined && csv === true)
    throw new RequestError('REQUEST_INVALID', 'Cannot read CSV from Kafka: --csv goes with --files');
  if (files !== undefined) return { files };
  if (kafka !== undefined) return { kafka };
  const answer = await ask?.('Files to read (glob), or Kafka brokers (host:port)', './data/*.ndjson');
  if (answer === undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      'Cannot set up a pipeline without a source: give --files PATH… or --kafka HOST:PORT… --topics NAME…',
    );
  return /^[^\s/]+:\d+(,|$)/.test(answer) ? { kafka: [answer] } : { files: [answer] };
}

/** @param fallback name of the stream that files make up; null for Kafka, whose topics nobody can guess @throws RequestError */
async function askTopics(
  { topics }: InitOptions,
  fallback: string | null,
  ask: Ask | null,
): Promise<readonly string[]> {
  const answer =
    topics?.join(',') ?? (await ask?.(fallback === null ? 'Topics' : 'Name of the stream', fallback ?? ''));
  const names = (answer ?? fallback ?? '').split(',').map((name) => name.trim());
  const wanted = names.filter((name) => name !== '');
  if (wanted.length === 0)
    throw new RequestError('REQUEST_INVALID', 'Cannot read Kafka without topics: give --topics NAME…');
  if (fallback !== null && wanted.length > 1)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot make ${wanted.length} streams of files: give one name with --topics, and a pipeline for each of the others`,
    );
  return wanted;
}

/**
 * Brokers as the tools of Kafka take them: host:port, several with commas between them; 9092 where no port is given.
 * @throws RequestError
 */
function parseBrokers(given: readonly string[]): { readonly address: string; readonly note?: string }[] {
  const texts = given.flatMap((text) => text.split(',')).map((text) => text.trim());
  return texts
    .filter((text) => text !== '')
    .map((text) => {
      if (text.includes('://'))
        throw new RequestError(
          'REQUEST_INVALID',
          `Cannot use broker "${text}": wanted host:port without a protocol (encryption is set by source.kafka.tls)`,
        );
      if (/:\d+$/.test(text)) return { address: text };
      const address = `${text}:${KAFKA_PORT}`;
      return { address, note: `broker ${text} has no port: ${address} is used, as the tools of Kafka do` };
    });
}

/** A path that was given in one folder, as it must stand in the configuration of another. */
function inFolder(from: string, to: string, path: string): string {
  if (from === to || path === '-' || isAbsolute(path)) return path;
  return relative(to, resolve(from, path)) || '.';
}

/** True for `s3://…` and the like, as against a folder. */
export function isUrl(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text);
}

/** A shell that expands a pattern gives the files of today. */
function noteExpanded(files: readonly string[]): string[] {
  const kinds = new Set(files.map((path) => `${dirname(path)} ${extname(path)}`));
  if (files.length < 2 || kinds.size > 1 || files.some((path) => /[*?[\]{}]/.test(path))) return [];
  const pattern = shellWord(join(dirname(files[0]!), `*${extname(files[0]!)}`));
  return [
    `${counted(files.length, 'file')} will be read by their names; to read those that come later too, quote a pattern: --files ${pattern}`,
  ];
}
