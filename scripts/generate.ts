/** Writes the files that are made from the code: `npm run generate`. A test fails when one of them is out of step. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { generatedFiles } from './generated-files.ts';

for (const [path, text] of generatedFiles()) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  process.stdout.write(`wrote ${path}\n`);
}
