/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES;

/**
 * CRC-32C of `bytes[from, to)`, as Kafka stores it in a record batch.
 * @param bytes any byte array; `0 ≤ from ≤ to ≤ bytes.length`.
 * @returns an unsigned 32-bit integer; 0 for no bytes.
 * Cost: about 0.6 ns a byte (bench/kafka-decode.ts). node:zlib has CRC-32 only, which is another polynomial.
 * Source: RFC 3720 §B.4; slicing-by-8 after Kounavis and Berry, "Novel Table Lookup-Based Algorithms", 2008.
 */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = -1;
  let at = from;
  while (at < to && ((bytes.byteOffset + at) & 3) !== 0) crc = T0[(crc ^ bytes[at++]!) & 255]! ^ (crc >>> 8);
  // Words are read through an Int32Array: a third faster than assembling them from bytes, and right on little-endian hosts only.
  const pairs = LITTLE_ENDIAN ? (to - at) >>> 3 : 0;
  if (pairs > 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, pairs * 2);
    for (let i = 0; i < words.length; i += 2) {
      const low = crc ^ words[i]!;
      const high = words[i + 1]!;
      crc =
        T7[low & 255]! ^
        T6[(low >>> 8) & 255]! ^
        T5[(low >>> 16) & 255]! ^
        T4[low >>> 24]! ^
        T3[high & 255]! ^
        T2[(high >>> 8) & 255]! ^
        T1[(high >>> 16) & 255]! ^
        T0[high >>> 24]!;
    }
    at += pairs * 8;
  }
  while (at < to) crc = T0[(crc ^ bytes[at++]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

type EightTables = [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array];

/** Table k maps a byte to its effect on the register k bytes later. */
function makeTables(): EightTables {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256)) as EightTables;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0][byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[k - 1]![byte]!;
      tables[k]![byte] = (before >>> 8) ^ tables[0][before & 255]!;
    }
  }
  return tables;
}
