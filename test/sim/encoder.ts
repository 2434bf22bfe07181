import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import { UnavailableError } from '../../src/errors.ts';
import { InlineEncoder } from '../../src/ledger/data/encode.ts';
import type { BatchEncoder, EncodedBatch } from '../../src/ports/batch-encoder.ts';
import type { BatchContent } from '../../src/record/batch-content.ts';
import type { SimProcess } from './process.ts';

/** The real encoder in a thread of its own, which takes its time and may break down. */
export class SimEncoder implements BatchEncoder {
  readonly #inner = new InlineEncoder(parquetFormat);
  readonly #process: SimProcess;
  readonly #brokenChance: number;

  /** @param brokenChance probability that the thread ends over a batch. */
  constructor(process: SimProcess, brokenChance: number) {
    this.#process = process;
    this.#brokenChance = brokenChance;
  }

  async encode(content: BatchContent, leaves: Uint8Array): Promise<EncodedBatch> {
    const encoded = this.#inner.encode(content, leaves);
    await this.#process.call('encode', (strikes) => {
      if (strikes('broken', this.#brokenChance))
        throw new UnavailableError('ENCODER_FAILED', 'Cannot encode a batch: simulated fault');
    });
    return encoded;
  }

  takeSpare(): null {
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
