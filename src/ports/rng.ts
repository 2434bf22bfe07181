/** Randomness, given from outside so that the simulator can own it. In production: the operating system's generator. */
export interface Rng {
  /** `count` random bytes, fit for keys. */
  bytes(count: number): Uint8Array;
}
