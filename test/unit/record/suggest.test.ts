import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { suggest } from '../../../src/record/suggest.ts';

const KNOWN = ['recordsMax', 'bytesMax', 'label', 'url', 'mode', 'kafka'];

describe('a suggestion', () => {
  it.each([
    ['recordMax', 'recordsMax'],
    ['RECORDSMAX', 'recordsMax'],
    ['records-max', 'recordsMax'],
    ['lable', 'label'],
    ['labels', 'label'],
    ['ur', 'url'],
    ['uri', 'url'],
    ['mod', 'mode'],
    ['kafak', 'kafka'],
    ['records', 'recordsMax'],
  ])('for %s is %s', (name, known) => {
    expect(suggest(name, KNOWN)).toBe(` (did you mean "${known}"?)`);
  });

  it.each(['', 'x', 'le', 'store', 'max', 'something else', 'x'.repeat(100_000)])('for %j is none', (name) => {
    expect(suggest(name.slice(0, 100_000), KNOWN)).toBe('');
  });

  it('is the nearest', () => {
    expect(suggest('batches', ['batched', 'batch', 'batches1'])).toBe(' (did you mean "batched"?)');
  });

  it('is found for a name with one character left out, added, replaced or swapped', () => {
    const name = fc.stringMatching(/^[a-z]{4,12}$/);
    fc.assert(
      fc.property(name, fc.nat(), fc.stringMatching(/^[a-z]$/), (known, at, letter) => {
        const i = at % known.length;
        const [before, after] = [known.slice(0, i), known.slice(i + 1)];
        const swapped = i + 1 < known.length ? before + known[i + 1] + known[i] + known.slice(i + 2) : known;
        for (const typo of [before + after, before + letter + known.slice(i), before + letter + after, swapped])
          expect(suggest(typo, [known])).toContain(known);
      }),
    );
  });
});
