import { WireFault } from './wire.ts';

const LENGTH_BYTES = 4;
/** A TLS alert record begins so: the listener speaks TLS and we do not. */
const TLS_ALERT = 0x15_03;

/**
 * Cuts a byte stream into Kafka's frames: a length of 4 bytes, then that many bytes. Each frame is copied once into a
 * buffer of its own size.
 *
 * Trust: the peer may be anything that listens on the port. A length that no Kafka answer has is a fault before anything
 * is allocated; kafkajs's own reader collects up to 2 GiB, and a negative length throws out of its socket handler and ends
 * the process.
 */
export class FrameReader {
  readonly #bytesMax: number;
  readonly #onFrame: (frame: Buffer) => void;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthBytes = 0;
  #frame: Buffer | null = null;
  #frameBytes = 0;

  /** @param bytesMax largest frame that is taken */
  constructor(bytesMax: number, onFrame: (frame: Buffer) => void) {
    this.#bytesMax = bytesMax;
    this.#onFrame = onFrame;
  }

  /** Takes the next bytes of the stream. @throws {WireFault} for a length that cannot be; the stream is then of no more use */
  push(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      if (this.#frame === null) {
        const taken = data.copy(this.#length, this.#lengthBytes, at);
        this.#lengthBytes += taken;
        at += taken;
        if (this.#lengthBytes < LENGTH_BYTES) return;
        this.#frame = Buffer.allocUnsafeSlow(this.#readLength());
        this.#frameBytes = 0;
      }
      const taken = data.copy(this.#frame, this.#frameBytes, at);
      this.#frameBytes += taken;
      at += taken;
      if (this.#frameBytes < this.#frame.length) return;
      const frame = this.#frame;
      this.#frame = null;
      this.#lengthBytes = 0;
      this.#onFrame(frame);
    }
  }

  #readLength(): number {
    const length = this.#length.readInt32BE(0);
    if (this.#length.readUInt16BE(0) === TLS_ALERT) {
      throw new WireFault('the broker answers in TLS, but TLS is not configured');
    }
    if (length < LENGTH_BYTES || length > this.#bytesMax) {
      throw new WireFault(
        `an answer claims ${length} bytes, at most ${this.#bytesMax} are taken: is this a Kafka listener?`,
      );
    }
    return length;
  }
}
