import { parseDocument, type YAMLError } from 'yaml';

import { ConfigError, type ConfigFault } from '../errors.ts';

/** Largest configuration file, in bytes. */
export const CONFIG_BYTES_MAX = 1_048_576;
/** Deepest nesting; the schema needs 8 levels. */
const DEPTH_MAX = 64;
/** Times that one anchor may be used, and that anchors may multiply: more is an attack (matrix G13). */
const ALIASES_MAX = 100;
const FAULTS_MAX = 20;

/** The library's own words may quote what stands there, which may be a secret. */
const WORDS: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'an alias leads nowhere (a text that begins with * needs quotes)',
  BAD_DQ_ESCAPE: 'an escape in double quotes is unknown (single quotes take a backslash as it is)',
  BAD_INDENT: 'the indentation is wrong',
  BAD_SCALAR_START: 'a text begins with a character that needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a text holds ": " and needs quotes, or the indentation is wrong',
  DUPLICATE_KEY: 'a key is given twice',
  MISSING_CHAR: 'a bracket, a quote, a colon or a space is missing',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing, or the indentation is wrong',
  MULTIPLE_DOCS: 'a second document begins; one is allowed',
  RESOURCE_EXHAUSTION: 'it is nested too deeply',
  TAB_AS_INDENT: 'a tab stands where spaces must',
  TAG_RESOLVE_FAILED: 'a tag is unknown (a text that begins with ! needs quotes)',
  UNEXPECTED_TOKEN: 'something stands where it cannot (a text with special characters needs quotes)',
};

/**
 * Parses YAML strictly: no duplicate keys, no tags, no second document, bounded size, depth and aliases.
 * @param path names the file in messages.
 * @throws ConfigError CONFIG_INVALID with every fault and its line; nothing of the text is quoted.
 * Trust: the file may be hostile.
 */
export function parseYaml(text: string, path: string): unknown {
  const bytes = Buffer.byteLength(text, 'utf8');
  if (bytes > CONFIG_BYTES_MAX) throw unusable(path, `it has ${bytes} bytes, at most ${CONFIG_BYTES_MAX} are allowed`);
  const document = parse(text, path);
  const found = [...document.errors, ...document.warnings].slice(0, FAULTS_MAX);
  if (found.length > 0) throw unusable(path, 'it is not the YAML that is wanted', found.map(toFault));
  const value = toValue(document, path);
  if (value === null) throw unusable(path, 'it is empty');
  if (isDeeperThan(value, DEPTH_MAX)) throw unusable(path, `it is nested deeper than ${DEPTH_MAX} levels`);
  return value;
}

function toValue(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    if (error instanceof RangeError) throw unusable(path, WORDS['RESOURCE_EXHAUSTION']!);
    throw unusable(path, isExcessive(error) ? 'its aliases multiply without end' : WORDS['BAD_ALIAS']!);
  }
}

function parse(text: string, path: string): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(text, { uniqueKeys: true, strict: true, prettyErrors: true });
  } catch {
    throw unusable(path, 'it is not YAML');
  }
}

function toFault({ code, linePos }: YAMLError): ConfigFault {
  const [start] = linePos ?? [];
  const place = start === undefined ? 'somewhere' : `line ${start.line}, column ${start.col}`;
  return { path: place, message: WORDS[code] ?? `it is not YAML (${code})` };
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

function isExcessive(error: unknown): boolean {
  return error instanceof ReferenceError && error.message.startsWith('Excessive');
}

function unusable(path: string, why: string, faults: readonly ConfigFault[] = []): ConfigError {
  return new ConfigError('CONFIG_INVALID', `Cannot use configuration "${path}": ${why}`, faults);
}
