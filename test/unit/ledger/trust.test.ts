import { generateKeyPairSync } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { TrustRoot, type TrustDocument } from '../../../src/ledger/trust.ts';
import { newSigner, trustOf } from '../../support/ledger.ts';

const keys = { ingest: newSigner(), publisher: newSigner(), approver: newSigner(), janitor: newSigner() };
const document = trustOf(keys);
const refusal = (why: RegExp) =>
  expect.objectContaining({ code: 'TRUST_INVALID', message: expect.stringMatching(why) as string }) as Error;
const withKey = (change: Partial<TrustDocument['keys'][number]>): unknown => ({
  ...document,
  keys: [{ ...document.keys[0], ...change }, ...document.keys.slice(1)],
});

describe('TrustRoot', () => {
  it('knows the keys of its file and no others', () => {
    const trust = TrustRoot.parse(JSON.stringify(document), 'trust.json');
    expect(trust.key(keys.ingest.keyId)).toBeDefined();
    expect(trust.nameOf(keys.ingest.keyId)).toBe('ingest');
    for (const other of [newSigner().keyId, '', 'constructor', '__proto__']) expect(trust.key(other)).toBeUndefined();
  });

  it('lets a key do only what its roles allow, and names the object that went further (M8)', () => {
    const trust = TrustRoot.of(document, 'trust.json');
    expect(() => trust.assertRole(keys.ingest.keyId, ['ingest'], 'log/1')).not.toThrow();
    expect(() => trust.assertRole(keys.ingest.keyId, ['publisher', 'ingest'], 'log/1')).not.toThrow();
    for (const keyId of [keys.publisher.keyId, newSigner().keyId]) {
      const wrong = expect.objectContaining({ code: 'STATEMENT_INVALID', object: 'log/1' }) as Error;
      expect(() => trust.assertRole(keyId, ['ingest'], 'log/1')).toThrow(wrong);
    }
    expect(trust.hasRole('janitor')).toBe(true);
  });

  it('tells a key of this machine that may not sign from tampering: its file or its roles are to be mended', () => {
    const trust = TrustRoot.of(document, 'trust.json');
    expect(() => trust.assertMaySign(keys.approver.keyId, ['publisher', 'approver'], 'a learn')).not.toThrow();
    expect(() => trust.assertMaySign(keys.ingest.keyId, ['approver'], 'a hold')).toThrow(
      refusal(/^Cannot sign a hold with key "ingest": its role is ingest/),
    );
    expect(() => trust.assertMaySign('SHA256:other', ['approver'], 'a hold')).toThrow(
      refusal(/key "SHA256:other": the trust file does not name it/),
    );
  });

  it('refuses a key under an id that is not its fingerprint', () => {
    const swapped = withKey({ keyId: keys.publisher.keyId });
    expect(() => TrustRoot.of(swapped, 'trust.json')).toThrow(refusal(/has fingerprint/));
  });

  it('refuses a key that is named twice: its roles would depend on the order', () => {
    const twice = { ...document, keys: [...document.keys, { ...document.keys[0], roles: ['approver'] }] };
    expect(() => TrustRoot.of(twice, 'trust.json')).toThrow(refusal(/twice/));
  });

  it('refuses a key of another curve', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    expect(() => TrustRoot.of(withKey({ publicKey: pem }), 'trust.json')).toThrow(
      expect.objectContaining({ code: 'KEY_INVALID' }) as Error,
    );
  });

  it.each([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ ...document, version: 2 })],
    ['no keys', JSON.stringify({ ...document, keys: [] })],
    ['no pipeline', JSON.stringify({ ...document, pipeline: '' })],
    ['an unknown role', JSON.stringify(withKey({ roles: ['root' as 'ingest'] }))],
    ['a key without a role', JSON.stringify(withKey({ roles: [] }))],
    ['a field that it does not know', JSON.stringify({ ...document, threshold: 1 })],
  ])('refuses a file with %s', (_, text) => {
    expect(() => TrustRoot.parse(text, 'trust.json')).toThrow(refusal(/trust\.json/));
  });
});
