/** Names one partition log: where its records come from. */
export interface LogId {
  /** Kafka's cluster id, or `file`. */
  readonly cluster: string;
  /** Topic name, or the configured name of a file source. */
  readonly topic: string;
  /** Partition number in decimal, or the id of a file's relative path. */
  readonly partition: string;
}

/** `cluster/topic/partition`, for people and for map keys. Each part is already free of `/` (see {@link encodeSegment}). */
export function formatLogId(id: LogId): string {
  return `${encodeSegment(id.cluster)}/${encodeSegment(id.topic)}/${encodeSegment(id.partition)}`;
}

/** Inverse of {@link formatLogId}; undefined unless `text` is exactly what it would print. */
export function parseLogId(text: string): LogId | undefined {
  const parts = text.split('/');
  if (parts.length !== 3) return undefined;
  const [cluster, topic, partition] = parts.map(decodeSegment);
  if (cluster === undefined || topic === undefined || partition === undefined) return undefined;
  const id = { cluster, topic, partition };
  return formatLogId(id) === text ? id : undefined;
}

/**
 * One path segment for any text: unreserved ASCII stays, every other byte becomes `%XX`; a leading dot is escaped, the
 * empty text is `%`. Injective, so `a.b` and `a_b`, `..` and `%2E%2E` never share a key (matrix K32).
 * Trust: `text` may be hostile (topic names, file paths).
 */
export function encodeSegment(text: string): string {
  if (text === '') return '%';
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain =
      (byte >= 0x30 && byte <= 0x39) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      (byte >= 0x61 && byte <= 0x7a) ||
      byte === 0x2d ||
      byte === 0x5f ||
      (byte === 0x2e && out !== '');
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

function decodeSegment(segment: string): string | undefined {
  if (segment === '%') return '';
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
