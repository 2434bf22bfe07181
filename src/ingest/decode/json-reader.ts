import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { DEPTH_MAX, FIELDS_MAX } from '../../record/schema.ts';
import { hashBytes } from './byte-hash.ts';
import { JsonText } from './json-text.ts';
import { KeySet } from './key-set.ts';
import { NumberText } from './number-text.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const SYNTAX = -DEAD_LETTER.syntax;
const DUPLICATE_KEY = -DEAD_LETTER['duplicate-key'];
const TOO_DEEP = -DEAD_LETTER['too-deep'];
const TOO_MANY_FIELDS = -DEAD_LETTER['too-many-fields'];
const UNSAFE_KEY = -DEAD_LETTER['unsafe-key'];

const TRUE = new TextEncoder().encode('true');
const FALSE = new TextEncoder().encode('false');
const NULL = new TextEncoder().encode('null');

const PROTO = namedKey('__proto__');
const CONSTRUCTOR = namedKey('constructor');
const PROTOTYPE = namedKey('prototype');

/**
 * Reads and checks the parts of one JSON record: literals, numbers, strings, keys, and whole values that nobody wants to
 * keep. Positions go in and come out as numbers; a negative position is minus a dead-letter code.
 *
 * Trust: the bytes are hostile. No recursion, no allocation that outgrows the record, time linear in its length.
 * Source: RFC 8259.
 */
export class JsonReader {
  readonly text = new JsonText();
  readonly number = new NumberText();
  readonly keys = new KeySet();
  /** Fields of the record so far, at all depths; the caller adds those that it reads itself. */
  fields = 0;
  #scopeNext = 0;
  /** Closing byte of each open container, by depth. */
  readonly #closers = new Uint8Array(DEPTH_MAX + 1);
  /** Scope of each open object, by depth. */
  readonly #scopes = new Int32Array(DEPTH_MAX + 1);
  /** 1 for an object that is the value of a key `constructor`, by depth. */
  readonly #constructors = new Uint8Array(DEPTH_MAX + 1);
  /** The key that was added last is `constructor`. */
  lastKeyIsConstructor = false;

  /**
   * Starts a record.
   * @param scopesUsed Scopes 0 … scopesUsed − 1 are the caller's.
   */
  open(bytes: Uint8Array, end: number, scopesUsed: number): void {
    this.text.open(bytes, end);
    if (this.keys.size !== 0) this.keys.reset();
    this.fields = 0;
    this.#scopeNext = scopesUsed;
  }

  /** Lets go of the last record and of what an unusually large one needed. */
  close(): void {
    this.keys.reset();
    this.keys.shrink();
    this.text.close();
  }

  /**
   * Adds the key that `text.scanString` has just read to object `scope`.
   * @param start @param end The key between its quotes.
   * @param inConstructor Whether the object is the value of a key `constructor`.
   * @returns 0, or minus a dead-letter code.
   */
  addKey(scope: number, start: number, end: number, inConstructor: boolean): number {
    const { text } = this;
    if (++this.fields > FIELDS_MAX) return TOO_MANY_FIELDS;
    const from = text.escaped ? text.textStart : start;
    const to = text.escaped ? text.textEnd : end;
    const source = text.escaped ? text.scratch : text.bytes;
    // `__proto__` and `constructor.prototype` reach Object.prototype in readers that merge parsed objects (matrix J3, J4).
    if (text.hash === PROTO.hash && isKey(PROTO, source, from, to)) return UNSAFE_KEY;
    if (inConstructor && text.hash === PROTOTYPE.hash && isKey(PROTOTYPE, source, from, to)) return UNSAFE_KEY;
    this.lastKeyIsConstructor = text.hash === CONSTRUCTOR.hash && isKey(CONSTRUCTOR, source, from, to);
    return this.keys.add(scope, text.bytes, text.scratch, text.escaped, from, to, text.hash) ? 0 : DUPLICATE_KEY;
  }

  /** Position after the literal that begins like one at `p`, or minus a dead-letter code. */
  readLiteral(p: number): number {
    const { bytes, end } = this.text;
    const c = bytes[p]!;
    const literal = c === LETTER_T ? TRUE : c === LETTER_F ? FALSE : NULL;
    if (p + literal.length > end) return SYNTAX;
    for (let i = 0; i < literal.length; i++) if (bytes[p + i] !== literal[i]) return SYNTAX;
    return p + literal.length;
  }

  /**
   * Checks one value of any kind without keeping it.
   * @param start First byte of the value: no white space.
   * @param depth Containers that are open around it.
   * @param inConstructor Whether it is the value of a key `constructor`.
   * @returns Position after the value, or minus a dead-letter code.
   */
  skipValue(start: number, depth: number, inConstructor: boolean): number {
    const { bytes, end } = this.text;
    this.lastKeyIsConstructor = inConstructor;
    let p = start;
    let level = depth;
    for (;;) {
      if (p >= end) return SYNTAX;
      const c = bytes[p]!;
      if (c === BRACE_OPEN || c === BRACKET_OPEN) {
        if (level === DEPTH_MAX) return TOO_DEEP;
        this.#open(++level, c);
        p = this.text.skipSpace(p + 1);
        if (p < end && bytes[p] !== this.#closers[level]) {
          if (c === BRACE_OPEN) p = this.#readKey(p, level);
          if (p < 0) return p;
          continue;
        }
      } else {
        p = this.#skipScalar(p, c);
        if (p < 0) return p;
      }
      // A value, or an empty container up to its closing byte, lies behind: close what ends here.
      for (;;) {
        if (level === depth) return p;
        p = this.text.skipSpace(p);
        if (p >= end) return SYNTAX;
        const next = bytes[p]!;
        if (next === COMMA) break;
        if (next !== this.#closers[level]) return SYNTAX;
        level--;
        p++;
      }
      p = this.text.skipSpace(p + 1);
      if (this.#closers[level] === BRACE_CLOSE) p = this.#readKey(p, level);
      else this.lastKeyIsConstructor = false;
      if (p < 0) return p;
    }
  }

  #open(level: number, opener: number): void {
    const isObject = opener === BRACE_OPEN;
    this.#closers[level] = isObject ? BRACE_CLOSE : BRACKET_CLOSE;
    this.#constructors[level] = isObject && this.lastKeyIsConstructor ? 1 : 0;
    this.lastKeyIsConstructor = false;
    if (isObject) this.#scopes[level] = this.#scopeNext++;
  }

  #skipScalar(p: number, first: number): number {
    if (first === QUOTE) {
      const { text } = this;
      const used = text.scratchUsed;
      const close = text.scanString(p + 1);
      text.scratchUsed = used;
      return close < 0 ? close : close + 1;
    }
    if (first === MINUS || (first >= ZERO && first <= NINE)) {
      return this.number.scan(this.text.bytes, p, this.text.end);
    }
    return first === LETTER_T || first === LETTER_F || first === LETTER_N ? this.readLiteral(p) : SYNTAX;
  }

  /** Reads a key, its colon and the white space around. @returns Position of the value, or minus a dead-letter code. */
  #readKey(at: number, level: number): number {
    const { text } = this;
    if (at >= text.end || text.bytes[at] !== QUOTE) return SYNTAX;
    const close = text.scanString(at + 1);
    if (close < 0) return close;
    const code = this.addKey(this.#scopes[level]!, at + 1, close, this.#constructors[level] === 1);
    if (code !== 0) return code;
    const p = this.skipColon(close + 1);
    return p < 0 ? p : text.skipSpace(p);
  }

  /** Position after the colon that follows a key, or minus a dead-letter code. @param at Position after the key's closing quote. */
  skipColon(at: number): number {
    const { text } = this;
    const p = text.skipSpace(at);
    return p < text.end && text.bytes[p] === COLON ? p + 1 : SYNTAX;
  }
}

interface NamedKey {
  readonly bytes: Uint8Array;
  readonly hash: number;
}

function namedKey(name: string): NamedKey {
  const bytes = new TextEncoder().encode(name);
  return { bytes, hash: hashBytes(bytes, 0, bytes.length) };
}

function isKey(key: NamedKey, source: Uint8Array, start: number, end: number): boolean {
  if (end - start !== key.bytes.length) return false;
  for (let i = 0; i < key.bytes.length; i++) if (source[start + i] !== key.bytes[i]) return false;
  return true;
}
