import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { RecordBuffer, standingAtStart } from '../../../src/adapters/file/record-buffer.ts';
import { BatchBuilder } from '../../../src/ingest/batch-builder.ts';
import { createJsonDecoder } from '../../../src/ingest/decode/json-decoder.ts';
import { BATCH_KEY_BYTES } from '../../../src/record/leaf.ts';
import type { RecordChunk } from '../../../src/record/chunk.ts';
import { positionOf } from '../adapters/file/reading.ts';
import { schemaOf } from './decode/decoded-values.ts';

const LAYOUT = { format: 'ndjson', delimiter: ',', recordBytesMax: 1_000 } as const;
const LIMITS = { recordsMax: 1_000, bytesMax: 1_000_000, recordBytesMax: 1_000, recordTimeMaxMs: null };

function chunkOf(text: string): RecordChunk {
  const buffer = new RecordBuffer('test', LAYOUT, standingAtStart());
  buffer.space(text.length).set(Buffer.from(text));
  buffer.add(text.length, true);
  return buffer.take(1_000, 1_000_000)!;
}

function builder(start: number, limits: Partial<typeof LIMITS>): BatchBuilder {
  return new BatchBuilder({
    log: { cluster: 'file', topic: 't', partition: 'a' },
    topicId: null,
    start,
    limits: { ...LIMITS, ...limits },
    decoder: createJsonDecoder(schemaOf('json', { a: 'int64' })),
    observer: { add: () => undefined },
    batchKey: Buffer.alloc(BATCH_KEY_BYTES),
    nowMs: null,
  });
}

describe('the source position of a batch', () => {
  it('is that behind its last record, also when it ends inside of a chunk', () => {
    const text = '{"a":1}\n{"a":22}\r\n\n{"a":333}\n';
    const chunk = chunkOf(text);
    const first = builder(0, { bytesMax: 10 });
    expect(first.add(chunk, 0)).toBe(2);
    expect(first.finish()).toMatchObject({ content: { end: 2 }, position: positionOf(Buffer.from(text), 18) });
    const second = builder(2, { recordsMax: 1 });
    expect(second.add(chunk, 2)).toBe(3);
    expect(second.finish()).toMatchObject({ content: { end: 3 }, position: positionOf(Buffer.from(text), 19) });
    const third = builder(3, {});
    expect(third.add(chunk, 3)).toBe(4);
    expect(third.finish()).toMatchObject({ content: { end: 4 }, position: positionOf(Buffer.from(text), text.length) });
  });

  it('goes with its end for every limit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1_000), { minLength: 1, maxLength: 30 }),
        fc.nat(60),
        fc.nat(6),
        (values, bytes, records) => {
          const lines = values.map((a) => `${JSON.stringify({ a })}\n`);
          const text = lines.join('');
          const chunk = chunkOf(text);
          for (let at = 0; at < chunk.count;) {
            const batch = builder(at, { bytesMax: bytes + 1, recordsMax: records + 1 });
            at = batch.add(chunk, at);
            const { content, position } = batch.finish();
            expect(content.end).toBe(at);
            expect(position).toEqual(positionOf(Buffer.from(text), lines.slice(0, at).join('').length));
          }
        },
      ),
    );
  });
});
