/*
 * Names on disk are bytes: any but `/` and NUL. Here they are texts that hold all of them: a byte that is not UTF-8 stands
 * as U+DC80 to U+DCFF, as in Python (PEP 383), and so do line breaks, which patterns would not match. No name has such a
 * character of its own, because UTF-8 cannot write a lone surrogate; so no two names are spelled alike.
 */
const SURROGATE = 0xdc00;
/** Of the line separators, the last byte of their code point says which; of the others, all of it. */
const LINE_BREAK = /[\n\r\u2028\u2029]/g;
const ESCAPED_LINE_BREAK = /[\u{dc0a}\u{dc0d}\u{dc28}\u{dc29}]/gu;
const ESCAPED_BYTE = /[\u{dc80}-\u{dcff}]/gu;
const LINE_SEPARATOR_PAGE = 0x2000;
const SLASH = 0x2f;

/** The spelling of a path given as bytes. */
export function spellPath(path: Buffer): string {
  const parts: string[] = [];
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    parts.push(spellName(path.subarray(start, end)));
    start = end + 1;
  }
  return parts.join('/');
}

function spellName(name: Buffer): string {
  const text = name.toString('utf8');
  const plain = Buffer.from(text, 'utf8').equals(name)
    ? text
    : name
        .toString('latin1')
        .replace(/[\u0080-\u00ff]/g, (byte) => String.fromCharCode(SURROGATE + byte.charCodeAt(0)));
  return plain.replace(LINE_BREAK, (c) => String.fromCharCode(SURROGATE + (c.charCodeAt(0) & 0xff)));
}

/** The name that a spelling stands for; null if that is not UTF-8. */
export function nameOf(spelling: string): string | null {
  return spelling.search(ESCAPED_BYTE) >= 0 ? null : withLineBreaks(spelling);
}

/** What the file system is to be asked for: the bytes of a name that no text can hold. */
export function pathOf(spelling: string): string | Buffer {
  const name = nameOf(spelling);
  if (name !== null) return name;
  const parts = withLineBreaks(spelling).split(/([\u{dc80}-\u{dcff}])/u);
  // Every other part is what was split at: one byte.
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part, 'utf8') : Buffer.of(part.charCodeAt(0) - SURROGATE))),
  );
}

/** A name for people, as shells quote it: a byte that is not UTF-8 is `\xFF`. */
export function describeName(spelling: string): string {
  const hex = (c: string): string => `\\x${(c.charCodeAt(0) - SURROGATE).toString(16).toUpperCase()}`;
  return withLineBreaks(spelling).replace(ESCAPED_BYTE, hex);
}

function withLineBreaks(spelling: string): string {
  return spelling.replace(ESCAPED_LINE_BREAK, (c) => {
    const code = c.charCodeAt(0) - SURROGATE;
    return String.fromCharCode(code === 0x0a || code === 0x0d ? code : LINE_SEPARATOR_PAGE + code);
  });
}
