import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

import type { ConfigFault } from '../errors.ts';

const REFERENCE = /\$\{(file:)?([^}]*)\}/g;

/**
 * Replaces `${NAME}` by an environment variable and `${file:PATH}` by a file's content (without a final newline) in every
 * text of `value`. Secrets come in this way only, so nothing that was replaced is ever printed back.
 * @param folder that relative paths start from.
 * @param faults receives one entry for each reference that leads nowhere (matrix G5).
 */
export function resolveReferences(
  value: unknown,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  faults: ConfigFault[],
  path = '',
): unknown {
  if (typeof value === 'string') {
    return value.replace(REFERENCE, (_, file: string | undefined, name: string) => {
      const found = file === undefined ? environment[name] : readText(isAbsolute(name) ? name : join(folder, name));
      if (found === undefined)
        faults.push({
          path,
          message: file === undefined ? `environment variable "${name}" is not set` : `file "${name}" cannot be read`,
        });
      return found ?? '';
    });
  }
  if (Array.isArray(value))
    return value.map((item, i) => resolveReferences(item, folder, environment, faults, `${path}/${i}`));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      resolveReferences(item, folder, environment, faults, `${path}/${key}`),
    ]),
  );
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch {
    return undefined;
  }
}
