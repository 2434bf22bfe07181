import { expect, it } from 'vitest';

import { printDefaults } from '../../../src/config/print.ts';

it('prints comments of full lines: none could have taken the first word of the next', () => {
  const lines = printDefaults().split('\n');
  const early = lines.filter((line, i) => {
    const next = lines[i + 1] ?? '';
    // A "#" without a space, or with two, is a key that is off.
    return /^# \S/.test(line) && /^# \S/.test(next) && `${line} ${next.split(' ')[1]}`.length <= 110;
  });
  expect(early).toEqual([]);
});
