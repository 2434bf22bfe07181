import { createHash } from 'node:crypto';

const PLAIN_BYTES_MAX = 64;

/**
 * A text that differs whenever the bytes differ, for maps that take over after somebody made our own hash collide.
 * Long values go through SHA-256 because the engine hashes very long strings by their length alone.
 * @returns At most 65 characters.
 */
export function collisionKey(bytes: Uint8Array, start: number, end: number): string {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  if (value.length <= PLAIN_BYTES_MAX) return `=${value.toString('latin1')}`;
  return `#${createHash('sha256').update(value).digest().toString('latin1')}`;
}
