import { describe, expect, it } from 'vitest';

import { quoteName } from '../../../src/record/quote-name.ts';

describe('quoteName', () => {
  it('quotes a name as it is', () => {
    expect(quoteName('amount')).toBe('"amount"');
    expect(quoteName('Größe\\é')).toBe('"Größe\\é"');
  });

  it('lets nothing pass for other text or steer a terminal', () => {
    expect(quoteName('a" is fine, "b')).toBe('"a\u{fffd} is fine, \u{fffd}b"');
    expect(quoteName('a\u001b[2J\n\u2028\u2029\u202e\u200b')).toBe(`"a\u{fffd}[2J${'\u{fffd}'.repeat(5)}"`);
  });

  it('cuts a long name to 64 characters', () => {
    expect(quoteName('x'.repeat(64))).toBe(`"${'x'.repeat(64)}"`);
    expect(quoteName('x'.repeat(65))).toBe(`"${'x'.repeat(63)}…"`);
  });
});
