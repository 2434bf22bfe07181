import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { generatedFiles } from '../../../scripts/generated-files.ts';
import { ROOT } from './source-files.ts';

describe('a file that is made from the code', () => {
  it.each([...generatedFiles()])('%s is in step with it (mend: npm run generate)', (path, text) => {
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(text);
  });
});
