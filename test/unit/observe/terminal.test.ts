import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { escapeForTerminal, escapeJsonForTerminal } from '../../../src/observe/terminal.ts';

/** Code points, from and to, that act on a terminal or hide; written out, apart from the property escapes of the code under test. */
const ACT_OR_HIDE = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff],
] as const;

function actsOrHides(text: string): boolean {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0).some((point) =>
    ACT_OR_HIDE.some(([from, to]) => point >= from && point <= to),
  );
}

/** Undoes the escape, to show that nothing is lost. */
function unescape(text: string): string {
  return text.replace(/\\u\{([0-9a-f]+)\}/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
}

const hostile = fc.array(
  fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '\u001b[2J',
      '\u001b]0;title\u0007',
      '\u009b31m',
      '\r\n',
      '\u202e',
      '\u200b',
      '\\u{202e}',
      '\\',
      '\ud800',
      '\ufe0f',
      '\u{e0041}',
    ),
  ),
);

describe('text for a terminal', () => {
  const cases: readonly (readonly [what: string, text: string, escaped: string])[] = [
    ['leaves plain text of any script', 'naïve Größe 日本語 😀 a\\b', 'naïve Größe 日本語 😀 a\\b'],
    ['shows an ANSI sequence', '\u001b[31mred\u001b[0m', '\\u{1b}[31mred\\u{1b}[0m'],
    ['shows an OSC sequence', '\u001b]8;;https://evil\u0007x', '\\u{1b}]8;;https://evil\\u{7}x'],
    ['shows the one-byte forms of CSI and OSC', '\u009b2J\u009d0;x\u009c', '\\u{9b}2J\\u{9d}0;x\\u{9c}'],
    ['keeps to one line', 'a\r\nb\tc\u0085d\u2028e\u2029f', 'a\\u{d}\\u{a}b\\u{9}c\\u{85}d\\u{2028}e\\u{2029}f'],
    ['shows backspace, bell, NUL and DEL', '\b\u0007\0\u007f', '\\u{8}\\u{7}\\u{0}\\u{7f}'],
    ['shows bidi overrides and isolates', 'a\u202eb\u2066c\u2069\u061c', 'a\\u{202e}b\\u{2066}c\\u{2069}\\u{61c}'],
    ['shows zero-width characters', 'ad\u200bm\u200din\u2060\ufeff', 'ad\\u{200b}m\\u{200d}in\\u{2060}\\u{feff}'],
    ['shows invisible fillers and soft hyphens', '\u3164\u00ad\u034f\u115f', '\\u{3164}\\u{ad}\\u{34f}\\u{115f}'],
    ['shows tag characters and variation selectors', 'x\u{e0041}y\ufe0f', 'x\\u{e0041}y\\u{fe0f}'],
    ['shows lone surrogates', 'a\ud83db', 'a\\u{d83d}b'],
    ['marks text that looks like an escape', '\\u{202e}', '\\u{5c}u{202e}'],
    ['leaves the empty text', '', ''],
  ];
  for (const [what, text, escaped] of cases) {
    it(what, () => expect(escapeForTerminal(text)).toBe(escaped));
  }

  it('never holds a character that acts or hides', () => {
    fc.assert(fc.property(hostile, (parts) => !actsOrHides(escapeForTerminal(parts.join('')))));
  });

  it('loses nothing', () => {
    fc.assert(
      fc.property(hostile, (parts) => {
        const text = parts.join('');
        expect(unescape(escapeForTerminal(text))).toBe(text);
      }),
    );
  });
});

describe('JSON for a terminal', () => {
  it('parses to the same value and never holds a character that acts or hides', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), hostile), (value) => {
        const json = JSON.stringify(value);
        const escaped = escapeJsonForTerminal(json);
        expect(JSON.parse(escaped)).toEqual(JSON.parse(json));
        expect(actsOrHides(escaped)).toBe(false);
      }),
    );
  });

  it('writes characters beyond the first plane as surrogate pairs', () => {
    expect(escapeJsonForTerminal('"\u{e0041}"')).toBe('"\\udb40\\udc41"');
  });
});
