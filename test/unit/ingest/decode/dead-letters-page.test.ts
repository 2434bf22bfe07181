import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { DEAD_LETTER_REASONS } from '../../../../src/record/dead-letter.ts';
import { DEPTH_MAX, FIELDS_MAX, STRING_BYTES_MAX } from '../../../../src/record/schema.ts';
import { decodeCsv, decodeJson } from './decoded-values.ts';

const PAGE = readFileSync(new URL('../../../../docs/reference/dead-letters.md', import.meta.url), 'utf8');
const ROWS = [...PAGE.matchAll(/^\| `([\w-]+)` \| (.*) \| (.*) \| (.*) \|$/gm)].map(
  ([, reason, meaning, examples, mend]) => ({ reason: reason!, meaning: meaning!, examples: examples!, mend: mend! }),
);
const EXAMPLES = ROWS.flatMap(({ reason, examples }) =>
  [...examples.matchAll(/(CSV )?`([^`]+)`/g)].map(([, csv, text]) => ({
    reason,
    format: csv === undefined ? ('JSON' as const) : ('CSV' as const),
    text: text!.replaceAll('⏎', '\n'),
  })),
);
const COLUMNS = { a: 'int64', s: 'string' } as const;

describe('the page of dead letters', () => {
  it('has every reason that there is, in order, each with its meaning and what mends it', () => {
    expect(ROWS.map(({ reason }) => reason)).toEqual(DEAD_LETTER_REASONS.filter((reason) => reason !== 'ok'));
    for (const { meaning, mend } of ROWS) expect(Math.min(meaning.length, mend.length)).toBeGreaterThan(10);
  });

  it('names the limits that are in force', () => {
    const meaningOf = (reason: string): string => ROWS.find((row) => row.reason === reason)!.meaning;
    expect(meaningOf('too-deep')).toContain(`more than ${DEPTH_MAX} deep`);
    expect(meaningOf('too-many-fields')).toContain(`more than ${FIELDS_MAX.toLocaleString('en-US')} fields`);
    expect(meaningOf('string-too-long')).toContain(`above ${STRING_BYTES_MAX / 1_048_576} MiB`);
  });

  it.each(EXAMPLES.filter(({ text }) => text !== '{"a":1}' && text !== '['))(
    'has $format $text for $reason, which it is',
    ({ reason, format, text }) => {
      expect((format === 'CSV' ? decodeCsv : decodeJson)(COLUMNS, text).reason).toBe(reason);
    },
  );

  it('has examples that are no text, which they are', () => {
    expect(decodeJson(COLUMNS, Buffer.from([0xff])).reason).toBe('syntax');
    expect(decodeJson(COLUMNS, Buffer.from('7b2273223a22ff227d', 'hex')).reason).toBe('invalid-utf8');
    expect(decodeJson(COLUMNS, Buffer.from('efbbbf7b2261223a317d', 'hex')).reason).toBe('byte-order-mark');
    expect(decodeJson(COLUMNS, `{"x":${'['.repeat(65)}`).reason).toBe('too-deep');
    expect(EXAMPLES.length).toBeGreaterThan(20);
  });
});
