/**
 * Everything that acts on a terminal or hides from the eye instead of being shown: controls (C0, DEL, C1, hence every
 * ANSI and OSC sequence), format characters (bidi overrides and isolates, zero-width characters, tags, soft hyphen), line
 * and paragraph separators, lone surrogates, private use, fillers and variation selectors.
 * Source: Unicode Standard Annex #44, general categories C and Z, property Default_Ignorable_Code_Point.
 */
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{DI}]/gu;

/** The same, and a backslash that would make plain text look like one of our escapes. */
const UNSHOWABLE_OR_ESCAPE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{DI}]|\\(?=u\{)/gu;

/**
 * `text` in a form that is safe to print on a terminal and in a log, on one line: each control, bidi, zero-width or
 * otherwise invisible character becomes `\u{…}` with its code point in lower-case hex; all else stays. Injective: a
 * backslash before `u{` becomes `\u{5c}`.
 * Trust: `text` may be hostile (record values, topic and file names, answers of servers).
 */
export function escapeForTerminal(text: string): string {
  return text.replace(UNSHOWABLE_OR_ESCAPE, (character) => `\\u{${codePoint(character).toString(16)}}`);
}

/**
 * `json` with the characters of {@link escapeForTerminal} as JSON's own `\uXXXX`: safe to print, and parses to the same value.
 * @param json JSON text as `JSON.stringify` gives it without indentation, so that such characters stand in strings only.
 */
export function escapeJsonForTerminal(json: string): string {
  return json.replace(UNSHOWABLE, (character) => {
    let escaped = '';
    for (let at = 0; at < character.length; at += 1) {
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }
    return escaped;
  });
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}
