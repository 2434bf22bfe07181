import type { SeededRng } from './rng.ts';

const CITIES = ['Basel', 'Bern', 'Chur', 'Genf'] as const;

/** An order as the stream ordinarily has them. */
export function orderOf(rng: SeededRng, id: number): string {
  return JSON.stringify({ id, amount: rng.between(500, 9_500) / 100, city: rng.pick(CITIES) });
}

/** One that breaks the rule of the simulated pipeline. */
export function brokenOrderOf(rng: SeededRng, id: number): string {
  return JSON.stringify({ id, amount: -rng.between(1, 9_500), city: rng.pick(CITIES) });
}

/** Bytes that are no order at all. */
export function garbageOf(rng: SeededRng): string {
  return rng.pick(['', '{', 'null', '{"id":"x"}', '{"id":1,"id":2}', '\u0000\u0001']);
}
