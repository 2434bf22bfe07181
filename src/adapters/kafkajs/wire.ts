/**
 * Bytes that do not parse as what they should be. Never leaves this folder: whoever reads turns it into an error that
 * names the broker, or into a halt that names the batch.
 */
export class WireFault extends Error {
  override readonly name = 'WireFault';
}

/**
 * Reads Kafka's primitive types from an answer, strictly: nothing is read past the end, no length is trusted.
 * Trust: the bytes may come from anything that listens on the port.
 * Source: https://kafka.apache.org/protocol#protocol_types
 */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  /** @throws {WireFault} beyond ±2^53: offsets and times of that size are no Kafka offsets. */
  int64(): number {
    const at = this.#take(8);
    const value = this.#bytes.readInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new WireFault(`int64 ${value} at byte ${at} is beyond 2^53`);
    return value;
  }

  bigInt64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  text(): string {
    return this.nullableText() ?? fault('text is null');
  }

  nullableText(): string | null {
    const length = this.int16();
    return length === -1 ? null : this.#slice(length).toString('utf8');
  }

  bytes(): Buffer {
    return this.nullableBytes() ?? fault('bytes are null');
  }

  /** A view, not a copy. */
  nullableBytes(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.#slice(length);
  }

  /** A null array reads as empty. @param itemBytesMin least size of an item, so that a false count cannot make us allocate. */
  array<T>(itemBytesMin: number, read: () => T): T[] {
    return this.#items(this.int32(), itemBytesMin, read);
  }

  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1)]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value <= 0xffff_ffff ? value : fault('varint is longer than 32 bits');
    }
    return fault('varint is longer than 5 bytes');
  }

  compactNullableText(): string | null {
    const length = this.unsignedVarint() - 1;
    return length === -1 ? null : this.#slice(length).toString('utf8');
  }

  /** A view, not a copy. */
  compactNullableBytes(): Buffer | null {
    const length = this.unsignedVarint() - 1;
    return length === -1 ? null : this.#slice(length);
  }

  compactArray<T>(itemBytesMin: number, read: () => T): T[] {
    return this.#items(this.unsignedVarint() - 1, itemBytesMin, read);
  }

  /** 16 bytes in hex. */
  uuid(): string {
    return this.#slice(16).toString('hex');
  }

  /** Tagged fields of flexible versions; all are optional by definition. */
  skipTags(): void {
    const count = this.unsignedVarint();
    for (let i = 0; i < count; i++) {
      this.unsignedVarint();
      this.#slice(this.unsignedVarint());
    }
  }

  #items<T>(count: number, itemBytesMin: number, read: () => T): T[] {
    if (count === -1) return [];
    if (count < 0 || count * itemBytesMin > this.remaining) {
      throw new WireFault(`array of ${count} items does not fit into ${this.remaining} bytes`);
    }
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  #slice(length: number): Buffer {
    if (length < 0) throw new WireFault(`length ${length} at byte ${this.#at} is negative`);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) {
      throw new WireFault(`${length} bytes wanted at byte ${at}, only ${this.#bytes.length - at} there`);
    }
    this.#at = at + length;
    return at;
  }
}

function fault(message: string): never {
  throw new WireFault(message);
}

/** Writes Kafka's primitive types. Source: https://kafka.apache.org/protocol#protocol_types */
export class WireWriter {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    const part = Buffer.allocUnsafe(1);
    part.writeInt8(value);
    return this.raw(part);
  }

  int16(value: number): this {
    const part = Buffer.allocUnsafe(2);
    part.writeInt16BE(value);
    return this.raw(part);
  }

  int32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeInt32BE(value);
    return this.raw(part);
  }

  int64(value: number): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigInt64BE(BigInt(value));
    return this.raw(part);
  }

  nullableText(text: string | null): this {
    if (text === null) return this.int16(-1);
    const content = Buffer.from(text, 'utf8');
    return this.int16(content.length).raw(content);
  }

  text(text: string): this {
    return this.nullableText(text);
  }

  bytes(content: Uint8Array): this {
    return this.int32(content.length).raw(content);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  unsignedVarint(value: number): this {
    const bytes: number[] = [];
    let rest = value >>> 0;
    for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
    bytes.push(rest);
    return this.raw(Buffer.from(bytes));
  }

  compactText(text: string): this {
    const content = Buffer.from(text, 'utf8');
    return this.unsignedVarint(content.length + 1).raw(content);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsignedVarint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  /** @param hex 32 digits */
  uuid(hex: string): this {
    return this.raw(Buffer.from(hex, 'hex'));
  }

  /** No tagged fields. */
  noTags(): this {
    return this.unsignedVarint(0);
  }

  raw(content: Uint8Array): this {
    this.#parts.push(content instanceof Buffer ? content : Buffer.from(content));
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
