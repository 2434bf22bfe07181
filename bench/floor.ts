/**
 * The floor that Headgate is measured against: read a file of newline-delimited JSON, JSON.parse each record into an
 * object, and one SHA-256 a record. No product code, and frozen: changing it would change what every published ratio
 * means.
 *
 * Run: node dist/bench/floor.js FILE → one line of JSON: {"records": N, "seconds": S}
 */
import { hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

const CHUNK_BYTES = 1_048_576;

function floor(path: string): number {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);
  let kept = 0;
  let records = 0;
  let sink = 0;
  for (
    let read = readSync(file, buffer, kept, CHUNK_BYTES, null);
    read > 0;
    read = readSync(file, buffer, kept, CHUNK_BYTES, null)
  ) {
    const filled = kept + read;
    const end = buffer.subarray(0, filled).lastIndexOf(10) + 1;
    for (const line of buffer.toString('utf8', 0, end - 1).split('\n')) {
      const object = JSON.parse(line) as Record<string, unknown>;
      sink += hash('sha256', line, 'binary').charCodeAt(0) + (object === null ? 1 : 0);
      records++;
    }
    buffer.copyWithin(0, end, filled);
    kept = filled - end;
  }
  closeSync(file);
  if (sink < 0) throw new Error('unreachable: keeps the loop from being optimised away');
  return records;
}

const started = performance.now();
const records = floor(process.argv[2]!);
process.stdout.write(`${JSON.stringify({ records, seconds: (performance.now() - started) / 1_000 })}\n`);
