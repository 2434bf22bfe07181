/*
 * How fast raw record batches become a record chunk, and what the CRC32C costs of it.
 * Run: npm run build && node dist/bench/kafka-decode.js
 */
import { BatchDecoder } from '../src/adapters/kafkajs/batch-decoder.ts';
import { CODECS } from '../src/adapters/kafkajs/codecs.ts';
import { crc32c } from '../src/adapters/kafkajs/crc32c.ts';
import { writeBatch } from '../test/support/record-batch.ts';
import type { WrittenBatch, WrittenRecord } from '../test/support/record-batch.ts';

const FETCH_BYTES = 1024 * 1024;
const RECORD_BYTES = 147;
const BATCH_RECORDS = 110;
const ROUNDS = 300;

const plain = { codec: 0, headers: false };
for (const shape of [plain, { codec: 1, headers: false }, { codec: 0, headers: true }]) {
  const { bytes, records, inflatedBytes } = makeFetch(shape.codec, shape.headers);
  const decoder = new BatchDecoder({ codecs: CODECS, batchInflatedBytesMax: 64 * FETCH_BYTES });
  const decode = (): void => {
    const { chunk } = decoder.decode({ bytes, wanted: 0, aborted: [], inflatedBytesMax: 64 * FETCH_BYTES });
    if (chunk?.count !== records) throw new Error(`Decoded ${chunk?.count} records, wanted ${records}`);
  };
  const decodeNs = measure(decode);
  const crcNs = measure(() => void crc32c(bytes, 0, bytes.length));
  const name = `${shape.codec === 1 ? 'gzip' : 'none'}${shape.headers ? ' with 2 headers' : ''}`;
  console.log(
    `${name.padEnd(20)} ${records} records, ${bytes.length} bytes (${inflatedBytes} inflated): ` +
      `${((inflatedBytes / decodeNs) * 1_000).toFixed(0)} MB/s, ${(decodeNs / records / 1_000).toFixed(3)} µs a record; ` +
      `CRC32C ${(crcNs / bytes.length).toFixed(2)} ns a byte = ${((crcNs / decodeNs) * 100).toFixed(0)} % of the time`,
  );
}

/** Record batches of `RECORD_BYTES`-byte records, as a producer with 16 KiB batches makes them, up to 1 MiB before compression. */
function makeFetch(codec: number, withHeaders: boolean): { bytes: Buffer; records: number; inflatedBytes: number } {
  const batches: Buffer[] = [];
  let records = 0;
  let inflatedBytes = 0;
  while (inflatedBytes < FETCH_BYTES) {
    const baseOffset = records;
    const batch: WrittenBatch = {
      baseOffset,
      baseTimestamp: 1_750_000_000_000n,
      records: makeRecords(records, withHeaders),
    };
    inflatedBytes += writeBatch(batch).length;
    batches.push(writeBatch({ ...batch, codec }));
    records += BATCH_RECORDS;
  }
  return { bytes: Buffer.concat(batches), records, inflatedBytes };
}

function makeRecords(first: number, withHeaders: boolean): WrittenRecord[] {
  return Array.from({ length: BATCH_RECORDS }, (_, i) => {
    const id = first + i;
    const value =
      `{"id":${id},"label":"cat ${id % 7}","score":${Math.sin(id)},"text":"`.padEnd(RECORD_BYTES - 22, 'abcdefgh') +
      '"}';
    const record: WrittenRecord = { timestampDelta: BigInt(i), key: `key-${id}`.padEnd(11), value };
    return withHeaders
      ? {
          ...record,
          headers: [
            ['source', 'sensor-1'],
            ['trace', String(id)],
          ],
        }
      : record;
  });
}

/** Median nanoseconds of one call. */
function measure(work: () => void): number {
  for (let i = 0; i < ROUNDS / 3; i++) work();
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = process.hrtime.bigint();
    work();
    times.push(Number(process.hrtime.bigint() - start));
  }
  return times.toSorted((a, b) => a - b)[ROUNDS >> 1]!;
}
