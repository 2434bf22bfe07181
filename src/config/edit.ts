import { readFile, rename, writeFile } from 'node:fs/promises';

import { parseDocument } from 'yaml';

/** Sets one top-level key of a configuration file, keeping its comments and order; the file is replaced as a whole. */
export async function setTopLevelKey(path: string, key: string, value: string): Promise<void> {
  const document = parseDocument(await readFile(path, 'utf8'));
  document.set(key, value);
  const temporary = `${path}.part`;
  await writeFile(temporary, document.toString({ lineWidth: 0 }));
  await rename(temporary, path);
}
