import type { RecordChunk } from '../../record/chunk.ts';
import { AbortedTransactions } from './aborted-transactions.ts';
import type { AbortedTransaction } from './aborted-transactions.ts';
import type { CodecTable, Inflate } from './codecs.ts';
import { crc32c } from './crc32c.ts';
import { BATCH_HEADER_BYTES, BatchFault, BatchHeader, CRC_COVERS_FROM } from './record-batch.ts';
import type { BatchFaultCode } from './record-batch.ts';
import { ByteParts, RecordColumns } from './record-columns.ts';
import { appendRecords, isAbortMarker } from './records.ts';
import type { RecordPayload } from './records.ts';
import { SpanList } from './span-list.ts';

/** Caps and codecs of a decoder. */
export interface DecodeLimits {
  readonly codecs: CodecTable;
  /** Largest inflated payload of one batch, in bytes; beyond: BOMB. */
  readonly batchInflatedBytesMax: number;
}

/** The record batches of one partition in one fetch answer. */
export interface BatchRun {
  /** Whole batches, the last one perhaps cut off. */
  readonly bytes: Buffer;
  /** First offset wanted; records below it are dropped. */
  readonly wanted: number;
  /** Transactions that the broker says were aborted within these batches. */
  readonly aborted: readonly AbortedTransaction[];
  /** Reading stops after the batch that reaches this many inflated bytes; the rest is fetched again. */
  readonly inflatedBytesMax: number;
}

/** Why the first unread batch was not read. */
export interface RefusedBatch {
  readonly code: BatchFaultCode;
  readonly reason: string;
  /** Offsets that the batch claims, `[from, to)`. */
  readonly from: number;
  readonly to: number;
}

/** What a run of batches holds. */
export interface DecodedRun {
  /** null when no offset at or after the wanted one is accounted for. */
  readonly chunk: RecordChunk | null;
  /** Set only when nothing precedes the refused batch, except ORDER: then there is no chunk either. */
  readonly refused: RefusedBatch | null;
  /** Size of the first wanted batch when it is cut off (0 = unknown), else null. */
  readonly cutOffBytes: number | null;
  /** Bytes that inflating made. */
  readonly inflatedBytes: number;
}

/**
 * Turns the raw record batches of a fetch answer into a record chunk, without an object per record.
 *
 * Every batch's CRC32C is checked, also of batches that are skipped. A batch that is refused ends the chunk before it;
 * the next fetch then begins with it and names the fault. A batch that is cut off ends the chunk as well.
 * Trust: the bytes are hostile, up to an attacker who can produce any batch with a right CRC.
 */
export class BatchDecoder {
  readonly #limits: DecodeLimits;
  readonly #header = new BatchHeader();

  constructor(limits: DecodeLimits) {
    this.#limits = limits;
  }

  decode(run: BatchRun): DecodedRun {
    const reading = new RunReading(run, this.#limits, this.#header);
    let at = 0;
    let refused: RefusedBatch | null = null;
    let cutOffBytes: number | null = null;
    while (at < run.bytes.length && reading.inflatedBytes < run.inflatedBytesMax) {
      try {
        if (this.#header.load(run.bytes, at) === 'truncated') {
          if (!reading.hasProgress) cutOffBytes = this.#header.bytes;
          break;
        }
        reading.readBatch(at);
      } catch (error) {
        if (!(error instanceof BatchFault)) throw error;
        if (reading.hasProgress && error.code !== 'ORDER') break;
        refused = describeRefusal(error, this.#header);
        break;
      }
      at += this.#header.bytes;
    }
    const chunk = refused === null && reading.hasProgress ? reading.finish() : null;
    return { chunk, refused, cutOffBytes, inflatedBytes: reading.inflatedBytes };
  }
}

function describeRefusal({ code, message }: BatchFault, header: BatchHeader): RefusedBatch {
  return { code, reason: message, from: header.baseOffset, to: header.lastOffset + 1 };
}

/** The state of reading one run. */
class RunReading {
  inflatedBytes = 0;
  readonly #run: BatchRun;
  readonly #limits: DecodeLimits;
  readonly #header: BatchHeader;
  readonly #aborted: AbortedTransactions;
  readonly #columns: RecordColumns;
  readonly #spans: SpanList;
  readonly #parts = new ByteParts();
  /** Address of the run's own bytes in the chunk, once a batch that is not compressed needs them. */
  #runAddress: number | null = null;
  #previousLast = -1;

  constructor(run: BatchRun, limits: DecodeLimits, header: BatchHeader) {
    this.#run = run;
    this.#limits = limits;
    this.#header = header;
    this.#aborted = new AbortedTransactions(run.aborted);
    // A guess at the number of records; the columns grow where it is too low.
    this.#columns = new RecordColumns(run.bytes.length >>> 7);
    this.#spans = new SpanList(run.wanted);
  }

  get hasProgress(): boolean {
    return this.#spans.end > this.#spans.from;
  }

  /** Reads the batch that the header was loaded from; after a throw nothing of it remains. */
  readBatch(at: number): void {
    const { bytes, wanted } = this.#run;
    const header = this.#header;
    const { baseOffset, lastOffset, leaderEpoch } = header;
    const crc = crc32c(bytes, at + CRC_COVERS_FROM, at + header.bytes);
    if (crc !== header.crc) throw new BatchFault('CRC', `CRC32C is ${hex(crc)}, the batch says ${hex(header.crc)}`);
    if (baseOffset <= this.#previousLast) {
      throw new BatchFault('ORDER', `a batch at offset ${baseOffset} follows one that ends at ${this.#previousLast}`);
    }
    this.#aborted.advance(lastOffset);
    if (header.isControl) {
      if (isAbortMarker(this.#payload(at), header)) this.#aborted.endAborted(header.producerId);
      this.#spans.add(baseOffset, lastOffset + 1, leaderEpoch, 'control');
    } else if (header.isTransactional && this.#aborted.has(header.producerId)) {
      this.#spans.add(baseOffset, lastOffset + 1, leaderEpoch, 'aborted');
    } else if (lastOffset >= wanted) {
      const before = this.#columns.count;
      try {
        appendRecords(this.#payload(at), header, wanted, this.#columns);
      } catch (error) {
        this.#columns.truncate(before);
        throw error;
      }
      // A batch without records (left) stays in the log to keep its producer's sequence number.
      this.#spans.add(baseOffset, lastOffset + 1, leaderEpoch, this.#columns.count === before ? 'compacted' : null);
    }
    this.#previousLast = lastOffset;
  }

  finish(): RecordChunk {
    const columns = this.#columns;
    const count = columns.count;
    return {
      from: this.#spans.from,
      nextOffset: this.#spans.end,
      count,
      bytes: count === 0 ? new Uint8Array(0) : this.#parts.join(),
      offsets: columns.offsets.subarray(0, count),
      timestamps: columns.timestamps.subarray(0, count),
      timestampTypes: columns.timestampTypes.subarray(0, count),
      keyStarts: columns.keyStarts.subarray(0, count),
      keyLengths: columns.keyLengths.subarray(0, count),
      valueStarts: columns.valueStarts.subarray(0, count),
      valueLengths: columns.valueLengths.subarray(0, count),
      headers: columns.finishHeaders(),
      spans: this.#spans.finish(),
      position: null,
    };
  }

  #payload(at: number): RecordPayload {
    const { bytes } = this.#run;
    const from = at + BATCH_HEADER_BYTES;
    const to = at + this.#header.bytes;
    const { codec } = this.#header;
    if (codec === 0) {
      this.#runAddress ??= this.#parts.add(bytes);
      return { bytes, from, to, address: this.#runAddress };
    }
    const inflate = this.#inflateFor(codec);
    const inflated = inflate(bytes.subarray(from, to), this.#limits.batchInflatedBytesMax);
    this.inflatedBytes += inflated.length;
    return { bytes: inflated, from: 0, to: inflated.length, address: this.#parts.add(inflated) };
  }

  #inflateFor(codec: number): Inflate {
    const entry = this.#limits.codecs.get(codec);
    if (entry === undefined) throw new BatchFault('CODEC', `compression codec ${codec} does not exist`);
    if (entry.inflate === null)
      throw new BatchFault('CODEC', `compression codec ${entry.name} is not supported by this build`);
    return entry.inflate;
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
