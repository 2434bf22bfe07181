/**
 * A stream of pseudo-random numbers that follows from its seed alone. Not fit for keys: the simulator uses it where the
 * system's generator would be used.
 * Source: sfc32 of Chris Doty-Humphrey's PractRand; seeds are spread by the finaliser of MurmurHash3.
 */
export class SeededRng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param name streams of one seed with different names have nothing in common. */
  constructor(seed: number, name: string) {
    this.#a = mix(seed, 0x9e3779b9);
    this.#b = mix(hashText(name), 0x85ebca6b);
    this.#c = mix(seed ^ hashText(`${name}'`), 0xc2b2ae35);
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** Uniform whole number of 32 bits. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Uniform whole number in [`from`, `to`], both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of `choices`, which must not be empty. */
  pick<Choice>(choices: readonly Choice[]): Choice {
    return choices[this.between(0, choices.length - 1)]!;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.uint32() & 0xff);
  }
}

/** Uniform in [0, 1), from a seed and two numbers: the same for the same three, whatever was drawn before. */
export function fractionOf(seed: number, one: number, other: number): number {
  return mix(mix(mix(seed, 0x9e3779b9) ^ one, 0x85ebca6b) ^ other, 0xc2b2ae35) / 0x1_0000_0000;
}

/** 32 bits that follow from a text. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function mix(value: number, salt: number): number {
  let hash = Math.imul(value ^ salt, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
}
