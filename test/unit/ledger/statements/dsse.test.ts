import { createPublicKey, verify } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { preAuthEncoding } from '../../../../src/ledger/statements/dsse.ts';

/** Source: secure-systems-lab/dsse protocol.md, "Test Vectors". */
const EXAMPLE = {
  type: 'http://example.com/HelloWorld',
  body: 'hello world',
  x: 46950820868899156662930047687818585632848591499744589407958293238635476079160n,
  y: 5640078356564379163099075877009565129882514886557779369047442380624545832820n,
  signature: 'A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==',
};

const coordinate = (value: bigint): string =>
  Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64url');

describe('preAuthEncoding', () => {
  it('gives the bytes of the protocol’s example', () => {
    const encoded = preAuthEncoding(EXAMPLE.type, Buffer.from(EXAMPLE.body));
    expect(encoded.toString('utf8')).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  });

  it('gives bytes that the signature of the protocol’s example verifies over', () => {
    const jwk = { kty: 'EC', crv: 'P-256', x: coordinate(EXAMPLE.x), y: coordinate(EXAMPLE.y) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const signature = Buffer.from(EXAMPLE.signature, 'base64');
    const encoded = preAuthEncoding(EXAMPLE.type, Buffer.from(EXAMPLE.body));
    expect(verify('sha256', encoded, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
  });

  it('counts bytes, not characters, and keeps every byte of the payload', () => {
    const payload = Buffer.from([0x00, 0xff, 0x20]);
    expect(preAuthEncoding('é', payload)).toEqual(Buffer.concat([Buffer.from('DSSEv1 2 é 3 ', 'utf8'), payload]));
    expect(preAuthEncoding('', Buffer.alloc(0)).toString()).toBe('DSSEv1 0  0 ');
  });

  it('tells apart what would run together without lengths', () => {
    expect(preAuthEncoding('a b', Buffer.from('c'))).not.toEqual(preAuthEncoding('a', Buffer.from('b c')));
  });
});
