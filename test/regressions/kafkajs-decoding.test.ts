import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';

import { BatchDecoder } from '../../src/adapters/kafkajs/batch-decoder.ts';
import type { DecodedRun } from '../../src/adapters/kafkajs/batch-decoder.ts';
import type { AbortedTransaction } from '../../src/adapters/kafkajs/aborted-transactions.ts';
import { CODECS } from '../../src/adapters/kafkajs/codecs.ts';
import { chunkRecords } from '../support/chunk-records.ts';
import { writeBatch, writeMarker, writeVarint } from '../support/record-batch.ts';

/*
 * What kafkajs 2.2.4 makes of the same bytes. Each case shows first that the hole is there, in kafkajs's own code, and
 * then that ours is closed. If the first half ever fails, kafkajs was mended and the case may go.
 */

const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object;
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages') as (
  decoder: object,
) => Promise<StockMessage[]>;
const filterAbortedMessages = require('kafkajs/src/consumer/filterAbortedMessages') as (input: {
  messages: StockMessage[];
  abortedTransactions: { producerId: string; firstOffset: string }[];
}) => StockMessage[];

interface StockMessage {
  readonly offset: string;
  readonly value: Buffer | null;
  readonly isControlRecord: boolean;
}

const MIB = 1024 * 1024;

describe('kafkajs 2.2.4', () => {
  it('delivers a batch whose CRC32C is wrong; we do not', async () => {
    const batch = writeBatch({ records: [{ value: 'flipped' }], crc: 0 });
    expect(await stockValues([batch])).toEqual(['flipped']);
    expect(decode([batch])).toMatchObject({ chunk: null, refused: { code: 'CRC' } });
  });

  it('dies of a batch with 200,000 records (tulios/kafkajs#1723); we read it', async () => {
    const batch = writeBatch({ codec: 1, records: Array.from({ length: 200_000 }, () => ({ value: null })) });
    expect(batch.length).toBeLessThan(MIB);
    await expect(stock([batch])).rejects.toThrow(RangeError);
    expect(decode([batch]).chunk?.count).toBe(200_000);
  });

  it('inflates whatever it is given; we stop at the cap', async () => {
    const batch = writeBatch({ codec: 1, records: [{ value: Buffer.alloc(32 * MIB) }] });
    expect(batch.length).toBeLessThan(40_000);
    expect((await stock([batch]))[0]!.value).toHaveLength(32 * MIB);
    expect(decode([batch])).toMatchObject({ chunk: null, refused: { code: 'BOMB' }, inflatedBytes: 0 });
  });

  it('takes codecs that do not exist for none; we refuse them', async () => {
    const batch = writeBatch({ codec: 5, records: [{ value: 'as if plain' }] });
    expect(await stockValues([batch])).toEqual(['as if plain']);
    expect(decode([batch])).toMatchObject({ refused: { code: 'CODEC' } });
  });

  it('delivers records twice when a batch repeats offsets; we halt', async () => {
    const batches = [
      writeBatch({ records: [{ value: 'a' }, { value: 'b' }] }),
      writeBatch({ baseOffset: 1, records: [{ value: 'b' }] }),
    ];
    expect(await stockValues(batches)).toEqual(['a', 'b', 'b']);
    expect(decode(batches)).toMatchObject({ refused: { code: 'ORDER' } });
  });

  it('reads a value that reaches past its batch as a shorter one; we refuse it', async () => {
    const claim = writeVarint(40n);
    const body = Buffer.concat([Buffer.from([0, 0, 0, 1]), claim, Buffer.alloc(15, 0x61)]);
    const payload = Buffer.concat([writeVarint(BigInt(body.length)), body]);
    const batch = writeBatch({ payload, recordCount: 1 });
    expect(await stockValues([batch])).toEqual(['a'.repeat(15)]);
    expect(decode([batch])).toMatchObject({ refused: { code: 'MALFORMED' } });
  });

  it('leaks a record of an aborted transaction when two began before the fetch; we leak none', async () => {
    const batches = [
      transactional(10, 2n, 'leak'),
      transactional(11, 1n, 'hidden'),
      writeMarker('abort', 1n, 12),
      writeMarker('abort', 2n, 13),
    ];
    const aborted = [
      { producerId: 1n, firstOffset: 3 },
      { producerId: 2n, firstOffset: 5 },
    ];
    expect(await stockCommitted(batches, aborted)).toEqual(['leak']);
    expect(committed(batches, aborted, 10)).toEqual([]);
  });

  it('takes a record with key 00000000 for the end of its transaction and leaks all that follow; we leak none', async () => {
    const batches = [
      writeBatch({
        producerId: 1n,
        isTransactional: true,
        records: [{ key: Buffer.alloc(4), value: 'fake end' }, { value: 'leak' }],
      }),
      writeMarker('abort', 1n, 2),
    ];
    const aborted = [{ producerId: 1n, firstOffset: 0 }];
    expect(await stockCommitted(batches, aborted)).toEqual(['fake end', 'leak']);
    expect(committed(batches, aborted, 0)).toEqual([]);
  });
});

function transactional(baseOffset: number, producerId: bigint, value: string): Buffer {
  return writeBatch({ baseOffset, producerId, isTransactional: true, records: [{ value }] });
}

function stock(batches: readonly Buffer[]): Promise<StockMessage[]> {
  const bytes = Buffer.concat(batches);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return decodeMessages(new Decoder(Buffer.concat([length, bytes])));
}

async function stockValues(batches: readonly Buffer[]): Promise<string[]> {
  return (await stock(batches)).map(({ value }) => String(value));
}

async function stockCommitted(batches: readonly Buffer[], aborted: readonly AbortedTransaction[]): Promise<string[]> {
  const abortedTransactions = aborted.map(({ producerId, firstOffset }) => ({
    producerId: String(producerId),
    firstOffset: String(firstOffset),
  }));
  const messages = filterAbortedMessages({ messages: await stock(batches), abortedTransactions });
  return messages.filter(({ isControlRecord }) => !isControlRecord).map(({ value }) => String(value));
}

function decode(batches: readonly Buffer[], aborted: readonly AbortedTransaction[] = [], wanted = 0): DecodedRun {
  const decoder = new BatchDecoder({ codecs: CODECS, batchInflatedBytesMax: 16 * MIB });
  return decoder.decode({ bytes: Buffer.concat(batches), wanted, aborted, inflatedBytesMax: 16 * MIB });
}

function committed(
  batches: readonly Buffer[],
  aborted: readonly AbortedTransaction[],
  wanted: number,
): (string | null)[] {
  return chunkRecords(decode(batches, aborted, wanted).chunk!).map(({ value }) => value);
}
