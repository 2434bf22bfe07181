import { isIP } from 'node:net';

/** What an address is for. Only `public` ones may be reached without leave. */
export type AddressClass =
  | 'public'
  | 'loopback'
  | 'private'
  | 'shared'
  | 'unique-local'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'documentation'
  | 'translated'
  | 'reserved';

/** A block of addresses of one family: all whose first `bits` bits are those of `bytes`. */
export interface AddressBlock {
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/**
 * First match wins; the last line of each family catches the rest. For IPv6 that is "reserved": only 2000::/3 is given out.
 * Addresses that carry an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo) are refused whatever they carry:
 * a gateway on the way decides where they lead, not this table.
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and later), RFC 6052 and 8215 (NAT64), RFC 3056
 * (6to4), RFC 4380 (Teredo), RFC 9637 (3fff::/20); metadata: the addresses that AWS, Azure, Google, Oracle and Alibaba publish.
 */
const CLASSES: readonly (readonly [block: string, addressClass: AddressClass])[] = [
  ['169.254.169.254/32', 'metadata'],
  ['169.254.170.2/32', 'metadata'],
  ['168.63.129.16/32', 'metadata'],
  ['100.100.100.200/32', 'metadata'],
  ['192.0.0.192/32', 'metadata'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', 'translated'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'reserved'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  ['0.0.0.0/0', 'public'],
  ['::1/128', 'loopback'],
  ['::/128', 'reserved'],
  ['::/96', 'translated'],
  ['::ffff:0:0/96', 'translated'],
  ['::ffff:0:0:0/96', 'translated'],
  ['64:ff9b::/96', 'translated'],
  ['64:ff9b:1::/48', 'translated'],
  ['2001::/32', 'translated'],
  ['2001::/23', 'reserved'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', 'translated'],
  ['3fff::/20', 'documentation'],
  ['2000::/3', 'public'],
  ['fd00:ec2::254/128', 'metadata'],
  ['fd20:ce::254/128', 'metadata'],
  ['fc00::/7', 'unique-local'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private'],
  ['ff00::/8', 'multicast'],
  ['::/0', 'reserved'],
];

const TABLE = CLASSES.map(([text, addressClass]) => ({ block: parseBlock(text) as AddressBlock, addressClass }));

/**
 * What `address` is for, by its bytes and not by its spelling.
 * @param address an IP address as `dns.lookup` or `URL` gives it (no brackets; an IPv6 zone is ignored).
 * @returns `reserved` for what is not an address at all.
 */
export function classifyAddress(address: string): AddressClass {
  const bytes = parseAddress(address);
  if (bytes === null) return 'reserved';
  return TABLE.find(({ block }) => isInBlock(bytes, block))?.addressClass ?? 'reserved';
}

/** The 4 or 16 bytes of an IP address; null if `text` is none. An IPv6 zone (`%eth0`) is ignored. */
export function parseAddress(text: string): Uint8Array | null {
  const family = isIP(text);
  if (family === 4) return Uint8Array.from(text.split('.'), Number);
  return family === 6 ? parseIpv6(text.split('%', 1)[0] ?? '') : null;
}

/** The block that `text` names as an address or as `address/bits`; null if it names none. */
export function parseBlock(text: string): AddressBlock | null {
  const match = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text);
  const bytes = parseAddress(match?.[1] ?? '');
  if (match === null || bytes === null) return null;
  const bits = match[2] === undefined ? bytes.length * 8 : Number(match[2]);
  return bits <= bytes.length * 8 ? { bytes, bits } : null;
}

/** Whether an address of 4 or 16 bytes lies in `block`; never across families. */
export function isInBlock(bytes: Uint8Array, block: AddressBlock): boolean {
  if (bytes.length !== block.bytes.length) return false;
  for (let at = 0; at * 8 < block.bits; at += 1) {
    const rest = block.bits - at * 8;
    const mask = rest >= 8 ? 0xff : (0xff << (8 - rest)) & 0xff;
    if ((((bytes[at] ?? 0) ^ (block.bytes[at] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** @param text valid IPv6 without zone: `isIP` has checked it. */
function parseIpv6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const front = groupBytes(head);
  const back = groupBytes(tail ?? '');
  const bytes = new Uint8Array(16);
  bytes.set(front, 0);
  bytes.set(back, 16 - back.length);
  return bytes;
}

/** Bytes of groups like `64:ff9b` or `ffff:1.2.3.4`. */
function groupBytes(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
