import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import type { ConfigFault } from '../errors.ts';
import { pointer } from './check-shape.ts';

const REFERENCE = /\$(?=\$\{)|\$\{(file:)?([^}]*)\}/g;
/** Largest file that a reference may name, in bytes. */
const FILE_BYTES_MAX = 1_048_576;

/** Where references lead. */
export interface ReferenceContext {
  /** Folder that relative paths start from. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Receives one entry for each reference that leads nowhere (matrix G5). */
  readonly faults: ConfigFault[];
}

/**
 * Replaces `${NAME}` by an environment variable and `${file:PATH}` by a file's content (without a final line break) in
 * every text of `value`; `$${` is a literal `${`. What was inserted is not looked at again, and never printed: this is
 * the way in for secrets.
 * @param path JSON pointer of `value`.
 */
export function resolveReferences(value: unknown, context: ReferenceContext, path = ''): unknown {
  if (typeof value === 'string') return resolveText(value, context, path);
  if (Array.isArray(value)) return value.map((item, i) => resolveReferences(item, context, pointer(path, i)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, resolveReferences(item, context, pointer(path, key))]),
  );
}

function resolveText(text: string, { folder, environment, faults }: ReferenceContext, path: string): string {
  let isLiteral = false;
  return text.replace(REFERENCE, (whole: string, file: string | undefined, name: string | undefined) => {
    if (name === undefined) {
      isLiteral = true;
      return '';
    }
    if (isLiteral) {
      isLiteral = false;
      return whole;
    }
    const found = file === undefined ? readVariable(environment, name) : readText(resolve(folder, name));
    if (typeof found === 'string') return found;
    faults.push({ path, message: `${file === undefined ? 'environment variable' : 'file'} "${name}" ${found.why}` });
    return '';
  });
}

interface NotFound {
  readonly why: string;
}

function readVariable(environment: ReferenceContext['environment'], name: string): string | NotFound {
  return (Object.hasOwn(environment, name) ? environment[name] : undefined) ?? { why: 'is not set' };
}

function readText(path: string): string | NotFound {
  try {
    const found = statSync(path);
    if (!found.isFile()) return { why: 'is not a file' };
    if (found.size > FILE_BYTES_MAX) return { why: `has ${found.size} bytes, at most ${FILE_BYTES_MAX} are allowed` };
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { why: code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? 'unknown'})` };
  }
}
