/** The records that the whole path is measured with: 8 columns and about 136 bytes of JSON, like an order. */
import { closeSync, openSync, writeSync } from 'node:fs';

const CITIES = ['Basel', 'Bern', 'Chur', 'Genf', 'Lugano'];
const BLOCK_RECORDS = 10_000;

/** JSON text of order `i`: the same on every machine. */
export function order(i: number): string {
  const noise = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  const at = new Date(1.7e12 + i * 40).toISOString();
  return `{"id":${i},"at":"${at}","customer":${noise % 99_991},"amount":${((noise % 100_000) / 100).toFixed(2)},"items":${(noise % 9) + 1},"city":"${CITIES[noise % 5]!}","express":${noise % 7 === 0},"score":${(noise / 2 ** 32).toFixed(6)}}`;
}

/** Writes orders 0 to `count` − 1, one a line. */
export function writeOrders(path: string, count: number): void {
  const file = openSync(path, 'w');
  for (let i = 0; i < count; i += BLOCK_RECORDS) {
    const lines = Array.from({ length: Math.min(BLOCK_RECORDS, count - i) }, (_, j) => `${order(i + j)}\n`);
    writeSync(file, lines.join(''));
  }
  closeSync(file);
}
