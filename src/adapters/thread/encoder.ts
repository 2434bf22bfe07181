import { Worker } from 'node:worker_threads';

import { HaltError, IntegrityError, UnavailableError, type ErrorCode } from '../../errors.ts';
import type { BatchEncoder, EncodedBatch } from '../../ports/batch-encoder.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { formatLogId } from '../../record/log-id.ts';
import { SpareBuffers } from './spare-buffers.ts';

/** Message to the thread; buffers of `content` move with it. */
export interface EncodeRequest {
  readonly id: number;
  readonly content: BatchContent;
  readonly leaves: Uint8Array;
}

/** Message back. */
export type EncodeReply =
  | {
      readonly id: number;
      readonly ok: true;
      readonly data: TransferredFile | null;
      readonly deadLetters: TransferredFile | null;
      /** What held the values of the decoded records. */
      readonly spare: ArrayBuffer;
    }
  | { readonly id: number; readonly ok: false; readonly code: ErrorCode; readonly message: string };

interface TransferredFile {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

/** A batch that nobody has encoded yet. */
interface Waiting {
  readonly name: string;
  readonly content: BatchContent;
  readonly leaves: Uint8Array;
  readonly resolve: (batch: EncodedBatch) => void;
  readonly reject: (error: Error) => void;
}

/** A thread and the batches that it has. */
interface Thread {
  readonly worker: Worker;
  readonly batches: Map<number, Waiting>;
  /** Runs while it has batches: the first of them must be answered in time. */
  timer: NodeJS.Timeout | undefined;
}

/** One that is being encoded and one that is ready: the thread never waits, and takes no more with it when it dies. */
const HANDED_OVER_MAX = 2;
/** Threads that one batch may cost before it counts as the cause. */
const DEATHS_MAX = 3;
/** Batches whose deaths are remembered; those that nobody asks for again are forgotten in time. */
const DEATHS_KNOWN_MAX = 1_000;
/** What the thread leaves behind are a few large buffers: where the young generation fills soon, they are freed soon. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 6 };
/** Far beyond what the largest batch takes. Arrow's reader can hang on what its writer wrote (apache/arrow-js#315). */
const BATCH_TIMEOUT_MS = 120_000;

/**
 * Encodes in one worker thread, batches in the order they came; their buffers are moved there and back, not copied.
 * Batches wait here, not in the thread, until it is their turn. How many wait is up to the callers: one each.
 */
export class ThreadEncoder implements BatchEncoder {
  readonly #script: URL;
  readonly #timeoutMs: number;
  readonly #queue: Waiting[] = [];
  /** Threads that died over a batch since it was last encoded, by log and start, oldest first. */
  readonly #deaths = new Map<string, number>();
  readonly #spares: SpareBuffers;
  #thread: Thread | null = null;
  #nextId = 0;
  #disposed = false;

  /**
   * @param script address of the built workers/encode.js.
   * @param options.spareBytesMax bytes of buffers that are kept for {@link takeSpare}.
   * @param options.timeoutMs longest that one batch may take; a thread that takes longer is ended.
   */
  constructor(script: URL, options: { spareBytesMax: number; timeoutMs?: number }) {
    this.#script = script;
    this.#spares = new SpareBuffers(options.spareBytesMax);
    this.#timeoutMs = options.timeoutMs ?? BATCH_TIMEOUT_MS;
  }

  /**
   * @throws IntegrityError ENCODING_UNFAITHFUL; UnavailableError ENCODER_FAILED when the thread dies or hangs: the next batch
   *   gets another one; HaltError ENCODER_FAILED when three threads in a row died of the batch that begins there
   */
  encode(content: BatchContent, leaves: Uint8Array): Promise<EncodedBatch> {
    const name = formatLogId(content.log);
    if (this.#disposed) return Promise.reject(failed(name, CLOSED));
    return new Promise((resolve, reject) => {
      this.#queue.push({ name, content, leaves, resolve, reject });
      this.#handOver();
    });
  }

  takeSpare(bytes: number): ArrayBuffer | null {
    return this.#spares.take(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const { name, reject } of this.#queue.splice(0)) reject(failed(name, CLOSED));
    await this.#thread?.worker.terminate();
  }

  #handOver(): void {
    while (!this.#disposed && this.#queue.length > 0) {
      const thread = (this.#thread ??= this.#start());
      const { worker, batches } = thread;
      if (batches.size >= HANDED_OVER_MAX) return;
      const batch = this.#queue.shift()!;
      const id = this.#nextId++;
      const request: EncodeRequest = { id, content: batch.content, leaves: batch.leaves };
      try {
        worker.postMessage(request, buffersOf(batch.content));
        batches.set(id, batch);
        if (batches.size === 1) this.#watch(thread);
      } catch (cause) {
        batch.reject(failed(batch.name, cause));
      }
    }
  }

  #start(): Thread {
    const thread: Thread = {
      worker: new Worker(this.#script, { resourceLimits: THREAD_LIMITS }),
      batches: new Map(),
      timer: undefined,
    };
    thread.worker.on('message', (reply: EncodeReply) => {
      if (reply.ok) this.#spares.keep(reply.spare);
      this.#settle(thread, reply);
      this.#watch(thread);
      this.#handOver();
    });
    thread.worker.on('messageerror', (cause) => this.#end(thread, cause));
    thread.worker.on('error', (cause) => this.#end(thread, cause));
    thread.worker.on('exit', () => this.#end(thread, new Error('the thread ended')));
    return thread;
  }

  /** Gives the batch that is next the full time. */
  #watch(thread: Thread): void {
    clearTimeout(thread.timer);
    if (thread.batches.size === 0) return;
    const late = (): void => this.#end(thread, new Error(`the thread gave no answer within ${this.#timeoutMs} ms`));
    thread.timer = setTimeout(late, this.#timeoutMs).unref();
  }

  /** A dead thread takes its batches with it, and only its own; the callers drop theirs and read those records again. */
  #end(thread: Thread, cause: unknown): void {
    if (this.#thread === thread) this.#thread = null;
    const [dying, ...others] = [...thread.batches.values()];
    thread.batches.clear();
    clearTimeout(thread.timer);
    if (dying !== undefined) dying.reject(this.#disposed ? failed(dying.name, CLOSED) : this.#afterDeath(dying, cause));
    for (const { name, reject } of others) reject(failed(name, cause));
    // It may still run: after a message that cannot be read, or in a loop without end.
    void thread.worker.terminate();
    this.#handOver();
  }

  /** The thread works on the first of its batches: that one may be what it died of. To try it for ever would be to stand still. */
  #afterDeath(batch: Waiting, cause: unknown): UnavailableError | HaltError {
    const count = (this.#deaths.get(placeOf(batch)) ?? 0) + 1;
    // Whoever lets a halted partition go on wants it tried again.
    this.#deaths.delete(placeOf(batch));
    if (count < DEATHS_MAX) {
      this.#deaths.set(placeOf(batch), count);
      if (this.#deaths.size > DEATHS_KNOWN_MAX) this.#deaths.delete(this.#deaths.keys().next().value!);
      return failed(batch.name, cause);
    }
    return new HaltError(
      'ENCODER_FAILED',
      `Cannot encode batch of "${batch.name}" from offset ${batch.content.start} on: ${count} threads in a row ended over it, the last one because ${reasonOf(cause)}`,
      { cause },
    );
  }

  #settle({ batches }: Thread, reply: EncodeReply): void {
    const batch = batches.get(reply.id);
    batches.delete(reply.id);
    if (batch === undefined) return;
    this.#deaths.delete(placeOf(batch));
    answer(batch, reply);
  }
}

/** Where a batch begins: what stays the same when its records are read again. */
function placeOf({ name, content }: Waiting): string {
  return `${name} ${content.start}`;
}

const CLOSED = new Error('the encoder is closed');

function answer(batch: Waiting, reply: EncodeReply): void {
  if (!reply.ok) return batch.reject(new IntegrityError(reply.code, batch.name, reply.message));
  const received = (file: TransferredFile | null): EncodedBatch['data'] =>
    file === null
      ? null
      : { bytes: Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength), sha256: file.sha256 };
  batch.resolve({ data: received(reply.data), deadLetters: received(reply.deadLetters) });
}

function failed(name: string, cause: unknown): UnavailableError {
  return new UnavailableError('ENCODER_FAILED', `Cannot encode batch of "${name}": ${reasonOf(cause)}`, { cause });
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Every distinct buffer in `content`, to be moved instead of copied. */
function buffersOf(content: BatchContent): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      // A view of a part must be copied: it may lie in Node's shared buffer pool, whose other views would break.
      // One that was moved before has no bytes: to move it again would lose the message, to copy it is an error.
      const { buffer, byteLength } = value;
      if (buffer instanceof ArrayBuffer && byteLength > 0 && byteLength === buffer.byteLength) buffers.add(buffer);
    } else if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
      for (const inner of Object.values(value)) visit(inner);
    }
  };
  visit({ decoded: content.decoded, dead: content.dead });
  return [...buffers];
}
