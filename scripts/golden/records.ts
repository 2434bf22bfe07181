import type { MemoryRecord } from '../../src/adapters/memory/broker.ts';
import type { Column } from '../../src/record/schema.ts';

/** Columns of the topic `orders`. */
export const ORDER_COLUMNS: readonly Column[] = [
  { name: 'id', path: ['id'], type: 'int64' },
  { name: 'amount', path: ['amount'], type: 'float64' },
  { name: 'tax', path: ['tax'], type: 'decimal', precision: 9, scale: 2 },
  { name: 'ship.city', path: ['ship', 'city'], type: 'string' },
  { name: 'at', path: ['at'], type: 'timestamp', unit: 'us' },
];

type Headers = readonly { readonly name: Uint8Array; readonly value: Uint8Array | null }[];

/** A record with headers beside what the broker in memory keeps. */
export interface GoldenRecord extends MemoryRecord {
  readonly headers?: Headers;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** Orders `[first, first + count)`, the same in every run; each has its own mix of keys, headers, timestamps and nulls. */
export function orders(first: number, count: number, amountFactor = 1): GoldenRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const id = first + i;
    const noise = Math.imul(id + 1, 0x9e3779b1) >>> 0;
    const cents = 2_000 + (noise % 6_000);
    const order = {
      id,
      amount: (cents / 100) * amountFactor,
      tax: id % 7 === 0 ? null : Math.floor(cents / 10) / 100,
      ship: { city: ['Basel', 'Zürich', 'Genève', null][noise % 4] },
      at: new Date(1_735_000_000_000 + id * 1_000).toISOString(),
    };
    return {
      value: bytes(JSON.stringify(order)),
      key: id % 4 === 0 ? null : bytes(id % 4 === 1 ? '' : `k${id}`),
      ...(id % 6 === 0 ? {} : { timestamp: 1_735_000_000_000n + BigInt(id) * 1_000n }),
      ...(id % 3 === 0 ? { headers: HEADERS } : {}),
    };
  });
}

/** A name twice, a null, an empty value, bytes that are no UTF-8. */
const HEADERS: Headers = [
  { name: bytes('trace'), value: bytes('a') },
  { name: bytes('trace'), value: null },
  { name: Uint8Array.of(0xff, 0x00), value: bytes('') },
];

/** Records that must become dead letters. */
export const BROKEN: readonly GoldenRecord[] = [
  { value: null, key: bytes('tombstone') },
  { value: bytes('{"id": 1') },
  { value: bytes('{"id": "one"}'), headers: HEADERS },
];

/** A CSV file of another topic, whose schema is inferred. */
export const RETURNS_CSV = [
  'order;reason;refunded',
  ...Array.from({ length: 5 }, (_, i) => `${i * 3};${['broken', '"too; large"', ''][i % 3]};${i % 2 === 0}`),
  '1;late;true;one field too many',
  '',
].join('\n');
