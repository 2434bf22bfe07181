import { BlockList } from 'node:net';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { classifyAddress, isInBlock, parseAddress, parseBlock } from '../../../../src/adapters/webhook/address.ts';

const CASES: readonly (readonly [address: string, addressClass: string])[] = [
  ['93.184.216.34', 'public'],
  ['1.1.1.1', 'public'],
  ['2606:4700:4700::1111', 'public'],
  ['2a00:1450:4001:800::200e', 'public'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['0.0.0.0', 'reserved'],
  ['0.1.2.3', 'reserved'],
  ['10.0.0.1', 'private'],
  ['172.15.255.255', 'public'],
  ['172.16.0.0', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.0', 'public'],
  ['192.168.0.1', 'private'],
  ['100.63.255.255', 'public'],
  ['100.64.0.1', 'shared'],
  ['100.127.255.255', 'shared'],
  ['100.128.0.0', 'public'],
  ['169.254.1.1', 'link-local'],
  ['169.254.169.254', 'metadata'],
  ['169.254.170.2', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['192.0.0.8', 'reserved'],
  ['192.0.2.1', 'documentation'],
  ['192.88.99.1', 'translated'],
  ['198.17.255.255', 'public'],
  ['198.19.255.255', 'reserved'],
  ['198.51.100.7', 'documentation'],
  ['203.0.113.7', 'documentation'],
  ['224.0.0.1', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['::', 'reserved'],
  ['::1', 'loopback'],
  ['::127.0.0.1', 'translated'],
  ['::ffff:93.184.216.34', 'translated'],
  ['::ffff:a9fe:a9fe', 'translated'],
  ['::ffff:0:7f00:1', 'translated'],
  ['64:ff9b::a9fe:a9fe', 'translated'],
  ['64:ff9b:1::1', 'translated'],
  ['64:ff9b:2::1', 'reserved'],
  ['100::1', 'reserved'],
  ['2001::1', 'translated'],
  ['2001:0:53aa:64c::1', 'translated'],
  ['2001:20::1', 'reserved'],
  ['2001:200::1', 'public'],
  ['2001:db8::1', 'documentation'],
  ['2002:a9fe:a9fe::1', 'translated'],
  ['3fff:fff::1', 'documentation'],
  ['3fff:1000::1', 'public'],
  ['4000::1', 'reserved'],
  ['5f00::1', 'reserved'],
  ['fc00::1', 'unique-local'],
  ['fd00:ec2::254', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['fec0::1', 'private'],
  ['ff02::1', 'multicast'],
  ['hooks.example.com', 'reserved'],
  ['', 'reserved'],
];

describe('the class of an address', () => {
  for (const [address, addressClass] of CASES) {
    it(`calls ${address || 'the empty text'} ${addressClass}`, () => {
      expect(classifyAddress(address)).toBe(addressClass);
    });
  }

  it('calls an IPv4 address public exactly where the block list of Node, filled from the IANA registry, does not hold it', () => {
    const special = new BlockList();
    const blocks =
      '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 ' +
      '192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32';
    for (const block of blocks.split(' ')) {
      const [net = '', bits] = block.split('/');
      special.addSubnet(net, Number(bits), 'ipv4');
    }
    fc.assert(
      fc.property(fc.ipV4(), (address) => (classifyAddress(address) === 'public') !== special.check(address, 'ipv4')),
      { numRuns: 5_000 },
    );
  });

  it('calls an IPv6 address public exactly where the block list of Node says global unicast and nothing special', () => {
    const global = new BlockList();
    global.addSubnet('2000::', 3, 'ipv6');
    const special = new BlockList();
    special.addSubnet('2001::', 23, 'ipv6');
    special.addSubnet('2001:db8::', 32, 'ipv6');
    special.addSubnet('2002::', 16, 'ipv6');
    special.addSubnet('3fff::', 20, 'ipv6');
    const group = fc.integer({ min: 0, max: 0xffff });
    const first = fc.oneof(group, fc.constantFrom(0x2001, 0x2002, 0x3fff, 0x64, 0xfe80, 0xfd00, 0, 0x2600));
    const second = fc.oneof(group, fc.constantFrom(0, 0xdb8, 0x1ff, 0x200, 0xfff, 0x1000));
    const ipv6 = fc.tuple(first, second, fc.array(group, { minLength: 6, maxLength: 6 }));
    fc.assert(
      fc.property(ipv6, ([a, b, rest]) => {
        const address = [a, b, ...rest].map((value) => value.toString(16)).join(':');
        const isPublic = global.check(address, 'ipv6') && !special.check(address, 'ipv6');
        return (classifyAddress(address) === 'public') === isPublic;
      }),
      { numRuns: 5_000 },
    );
  });

  it('reads every way to write an IPv6 address as the same bytes', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
        expect(parseAddress(address)).toEqual(parseAddress(canonical));
      }),
    );
  });
});

describe('a block of addresses', () => {
  it('holds its first and last address and not their neighbours', () => {
    const block = parseBlock('10.1.128.0/17');
    expect(block).not.toBeNull();
    const holds = (address: string): boolean => isInBlock(parseAddress(address) ?? new Uint8Array(), block!);
    expect(['10.1.127.255', '10.1.128.0', '10.1.255.255', '10.2.0.0'].map(holds)).toEqual([false, true, true, false]);
  });

  it('of a single address is that address', () => {
    expect(parseBlock('::1')).toMatchObject({ bits: 128 });
    expect(parseBlock('127.0.0.1')).toMatchObject({ bits: 32 });
  });

  it('never holds an address of the other family', () => {
    expect(isInBlock(parseAddress('::ffff:10.0.0.1') ?? new Uint8Array(), parseBlock('0.0.0.0/0')!)).toBe(false);
  });

  for (const text of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/a',
    '10.0.0/8',
    'host/8',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
  ]) {
    it(`is not written "${text}"`, () => expect(parseBlock(text)).toBeNull());
  }
});
