import { BatchDecoder } from '../../../../src/adapters/kafkajs/batch-decoder.ts';
import type { BatchRun, DecodedRun } from '../../../../src/adapters/kafkajs/batch-decoder.ts';
import { CODECS } from '../../../../src/adapters/kafkajs/codecs.ts';

export const MIB = 1024 * 1024;

/** Decodes batches laid end to end, with the caps of production unless said otherwise. */
export function decodeRun(
  batches: readonly Buffer[],
  run: Partial<Omit<BatchRun, 'bytes'>> & { batchInflatedBytesMax?: number } = {},
): DecodedRun {
  const { batchInflatedBytesMax = 64 * MIB, ...rest } = run;
  const decoder = new BatchDecoder({ codecs: CODECS, batchInflatedBytesMax });
  return decoder.decode({ bytes: Buffer.concat(batches), wanted: 0, aborted: [], inflatedBytesMax: 64 * MIB, ...rest });
}
