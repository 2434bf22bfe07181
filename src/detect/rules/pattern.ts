/**
 * Patterns that run in linear time whatever the text: the regular part of regular expressions, as in RE2. JavaScript's own
 * engine backtracks, and a producer who knows the pattern could stop the gate with one value (matrix P9).
 * Source: Thompson, "Regular expression search algorithm" (1968); simulation as in R. Cox (2007).
 */

/** Longest pattern, most states after expanding counts, longest text: together they bound a match to about 1 ms. */
export const PATTERN_LENGTH_MAX = 512;
export const PATTERN_STATES_MAX = 512;
export const PATTERN_TEXT_MAX = 4_096;

/** A compiled pattern. */
export interface Pattern {
  /** True if the whole of `text` matches. A text longer than PATTERN_TEXT_MAX code points never does. */
  matches(text: string): boolean;
}

type Ranges = readonly (readonly [number, number])[];

/** A tree of what was parsed: a set of characters, a sequence, a choice, or a repetition. */
type Node =
  | { readonly kind: 'set'; readonly ranges: Ranges }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'choice'; readonly items: readonly Node[] }
  | { readonly kind: 'repeat'; readonly item: Node; readonly min: number; readonly max: number };

const LAST = 0x10ffff;
const DIGIT: Ranges = [[0x30, 0x39]];
const WORD: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x2028, 0x2029],
  [0xfeff, 0xfeff],
];
const NOT_NEWLINE: Ranges = invert([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
]);

/** Compiles a pattern: literals, `.`, `[a-z]`, `[^a-z]`, `\d \w \s` and their opposites, `( )`, `(?: )`, `|`, `* + ? {m,n}`; a
 * leading `^` and a trailing `$` may stand but change nothing, since the whole text must match.
 * @returns the pattern, or why it is none. */
export function compilePattern(source: string): Pattern | string {
  if (source.length > PATTERN_LENGTH_MAX) return `is longer than ${PATTERN_LENGTH_MAX} characters`;
  try {
    const body = source.replace(/^\^/, '').replace(/(?<!\\)\$$/, '');
    const machine = new Machine(new Parser(body).parse());
    return { matches: (text) => machine.run(text) };
  } catch (error) {
    if (error instanceof PatternFault) return error.message;
    throw error;
  }
}

class PatternFault extends Error {}

/** Recursive descent over the code points of a pattern; depth is bounded by its length. */
class Parser {
  readonly #points: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#points = Array.from(source);
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#at < this.#points.length) throw new PatternFault(`has an unmatched ")" at ${this.#at}`);
    return node;
  }

  #choice(): Node {
    const items = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  #sequence(): Node {
    const items: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      items.push(this.#repeated(this.#atom()));
    }
    return { kind: 'sequence', items };
  }

  #repeated(item: Node): Node {
    if (this.#take('*')) return { kind: 'repeat', item, min: 0, max: Infinity };
    if (this.#take('+')) return { kind: 'repeat', item, min: 1, max: Infinity };
    if (this.#take('?')) return { kind: 'repeat', item, min: 0, max: 1 };
    if (this.#peek() !== '{') return item;
    const rest = this.#points.slice(this.#at).join('');
    const bounds = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(rest);
    if (bounds === null) throw new PatternFault(`has a malformed count at ${this.#at}`);
    this.#at += bounds[0].length;
    const min = Number(bounds[1]);
    const max = bounds[2] === undefined ? min : bounds[3] === '' ? Infinity : Number(bounds[3]);
    if (max < min) throw new PatternFault(`has a count whose bounds cross at ${this.#at}`);
    return { kind: 'repeat', item, min, max };
  }

  #atom(): Node {
    const point = this.#points[this.#at++]!;
    if (point === '(') {
      if (this.#take('?') && !this.#take(':'))
        throw new PatternFault(`uses a kind of group that is not supported at ${this.#at}`);
      const node = this.#choice();
      if (!this.#take(')')) throw new PatternFault('has an unmatched "("');
      return node;
    }
    if (point === '[') return { kind: 'set', ranges: this.#class() };
    if (point === '.') return { kind: 'set', ranges: NOT_NEWLINE };
    if (point === '\\') return { kind: 'set', ranges: this.#escape() };
    if ('*+?{}]^$'.includes(point)) throw new PatternFault(`has "${point}" where it means nothing, at ${this.#at - 1}`);
    return { kind: 'set', ranges: single(point) };
  }

  #class(): Ranges {
    const negated = this.#take('^');
    const ranges: [number, number][] = [];
    while (!this.#take(']')) {
      const low = this.#classItem();
      const dash = this.#peek() === '-' && this.#points[this.#at + 1] !== ']';
      if (!dash) ranges.push(...low.map(([a, b]): [number, number] => [a, b]));
      else {
        this.#at += 1;
        const high = this.#classItem();
        if (low.length !== 1 || high.length !== 1 || low[0]![0] > high[0]![1])
          throw new PatternFault(`has a malformed range at ${this.#at}`);
        ranges.push([low[0]![0], high[0]![1]]);
      }
    }
    return negated ? invert(ranges) : ranges;
  }

  #classItem(): Ranges {
    const point = this.#points[this.#at++];
    if (point === undefined) throw new PatternFault('has an unmatched "["');
    return point === '\\' ? this.#escape() : single(point);
  }

  #escape(): Ranges {
    const point = this.#points[this.#at++];
    const known: Record<string, Ranges> = {
      d: DIGIT,
      D: invert(DIGIT),
      w: WORD,
      W: invert(WORD),
      s: SPACE,
      S: invert(SPACE),
      t: single('	'),
      n: single('\n'),
      r: single('\r'),
    };
    if (point !== undefined && Object.hasOwn(known, point)) return known[point]!;
    // Letters and digits are kept for meanings we do not have, such as back-references.
    if (point === undefined || /[A-Za-z0-9]/.test(point))
      throw new PatternFault(`has an escape that is not supported at ${this.#at - 1}`);
    return single(point);
  }

  #peek(): string | undefined {
    return this.#points[this.#at];
  }

  #take(point: string): boolean {
    if (this.#points[this.#at] !== point) return false;
    this.#at += 1;
    return true;
  }
}

/** A nondeterministic automaton: each state either takes a character of its set or goes on to two others for free. */
class Machine {
  readonly #sets: (Ranges | null)[] = [];
  readonly #next: number[] = [];
  readonly #other: number[] = [];
  readonly #start: number;
  static readonly #ACCEPT = -1;
  /** Step at which a state was last entered, so that none is entered twice at one place of the text. */
  readonly #entered: Int32Array;
  #active: number[] = [];
  #accepting = false;

  constructor(root: Node) {
    this.#start = this.#build(root, Machine.#ACCEPT);
    this.#entered = new Int32Array(this.#sets.length);
  }

  run(text: string): boolean {
    this.#entered.fill(0);
    this.#active = [];
    this.#accepting = false;
    let step = 1;
    this.#enter(this.#start, step);
    for (const character of text) {
      step += 1;
      if (step > PATTERN_TEXT_MAX + 1) return false;
      const point = character.codePointAt(0)!;
      const current = this.#active;
      this.#active = [];
      this.#accepting = false;
      for (const state of current) if (holds(this.#sets[state]!, point)) this.#enter(this.#next[state]!, step);
      if (this.#active.length === 0 && !this.#accepting) return false;
    }
    return this.#accepting;
  }

  /** Adds a state and all that it reaches for free. */
  #enter(first: number, step: number): void {
    const stack = [first];
    for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
      if (state === Machine.#ACCEPT) this.#accepting = true;
      else if (this.#entered[state] !== step) {
        this.#entered[state] = step;
        if (this.#sets[state] === null) stack.push(this.#next[state]!, this.#other[state]!);
        else this.#active.push(state);
      }
    }
  }

  /** Builds the states of a node, from its end backwards; returns the first. */
  #build(node: Node, after: number): number {
    switch (node.kind) {
      case 'set':
        return this.#add(node.ranges, after, after);
      case 'sequence':
        return node.items.reduceRight((next, item) => this.#build(item, next), after);
      case 'choice':
        return node.items.map((item) => this.#build(item, after)).reduce((a, b) => this.#add(null, a, b));
      case 'repeat':
        return this.#buildRepeat(node.item, node.min, node.max, after);
      default:
        return node satisfies never;
    }
  }

  #buildRepeat(item: Node, min: number, max: number, after: number): number {
    let next = after;
    if (max === Infinity) {
      next = this.#add(null, after, after);
      this.#next[next] = this.#build(item, next);
    } else for (let i = min; i < max; i++) next = this.#add(null, this.#build(item, next), after);
    for (let i = 0; i < min; i++) {
      const before = next;
      next = this.#build(item, next);
      // An item without a state matches nothing but nothing; repeating it changes nothing, however often.
      if (next === before) break;
    }
    return next;
  }

  #add(ranges: Ranges | null, next: number, other: number): number {
    if (this.#sets.length >= PATTERN_STATES_MAX) throw new PatternFault(`needs more than ${PATTERN_STATES_MAX} states`);
    this.#sets.push(ranges);
    this.#next.push(next);
    this.#other.push(other);
    return this.#sets.length - 1;
  }
}

function holds(ranges: Ranges, point: number): boolean {
  for (const [low, high] of ranges) if (point >= low && point <= high) return true;
  return false;
}

function single(character: string): Ranges {
  const point = character.codePointAt(0)!;
  return [[point, point]];
}

function invert(ranges: Ranges): Ranges {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (low > from) gaps.push([from, low - 1]);
    from = Math.max(from, high + 1);
  }
  if (from <= LAST) gaps.push([from, LAST]);
  return gaps;
}
