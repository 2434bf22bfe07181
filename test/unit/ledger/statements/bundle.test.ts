import { createPublicKey } from 'node:crypto';

import { beforeAll, describe, expect, it } from 'vitest';

import { signStatement, verifyBundle } from '../../../../src/ledger/statements/bundle.ts';
import { IN_TOTO_PAYLOAD_TYPE, preAuthEncoding } from '../../../../src/ledger/statements/dsse.ts';
import { makeStatement, type Statement } from '../../../../src/ledger/statements/statement.ts';
import { publicKeyHint } from '../../../../src/record/public-key.ts';
import { sha256Hex } from '../../../../src/record/sha256.ts';
import { newSigner } from '../../../support/ledger.ts';

const signer = newSigner();
const publicKey = createPublicKey(signer.publicKeyPem);
const keyOf = (keyId: string) => (keyId === signer.keyId ? publicKey : undefined);
const statement = makeStatement(
  [{ name: 'batch.parquet', digest: { sha256: 'ab'.repeat(32) } }],
  'https://example.com/x/v1',
  {
    count: 3,
    text: 'Zürich "quoted"',
  },
);

interface Bundle {
  mediaType: string;
  verificationMaterial: { publicKey: { hint: string } };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid: string }[] };
}

/** A bundle around a payload that is signed as it is, whatever it holds. */
async function bundleOf(payload: Buffer, payloadType = IN_TOTO_PAYLOAD_TYPE): Promise<Bundle> {
  const signature = Buffer.from(await signer.sign(preAuthEncoding(payloadType, payload)));
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: publicKeyHint(signer.publicKeyPem) } },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType,
      signatures: [{ sig: signature.toString('base64'), keyid: signer.keyId }],
    },
  };
}

const encode = (bundle: unknown): Buffer => Buffer.from(JSON.stringify(bundle), 'utf8');
const check = (bytes: Uint8Array) => verifyBundle(bytes, 'log/7', keyOf);
const refusal = (why: RegExp) =>
  expect.objectContaining({
    code: 'STATEMENT_INVALID',
    object: 'log/7',
    message: expect.stringMatching(why) as string,
  });

describe('a signed statement', () => {
  let stored: Buffer;
  let bundle: Bundle;

  beforeAll(async () => {
    stored = await signStatement(statement, signer, publicKey);
    bundle = JSON.parse(stored.toString('utf8')) as Bundle;
  });

  it('verifies and gives back what was signed, who signed it and the digest of the stored bytes', () => {
    expect(check(stored)).toEqual({ statement, keyId: signer.keyId, digest: sha256Hex(stored) });
  });

  it('is a Sigstore bundle v0.3 with one DSSE signature over the in-toto statement', () => {
    expect(bundle).toEqual({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: publicKeyHint(signer.publicKeyPem) } },
      dsseEnvelope: {
        payload: Buffer.from(JSON.stringify(statement)).toString('base64'),
        payloadType: 'application/vnd.in-toto+json',
        signatures: [{ sig: expect.any(String) as string, keyid: signer.keyId }],
      },
    });
  });

  it('is refused after any change of any one byte (M1)', () => {
    for (let at = 0; at < stored.length; at++) {
      for (const change of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(stored);
        changed[at]! ^= change;
        expect(() => check(changed), `byte ${at} xor ${change}`).toThrow(refusal(/./) as Error);
      }
    }
  });

  it('is refused when cut short or with bytes added at either end', () => {
    for (let length = 0; length < stored.length; length += 7)
      expect(() => check(stored.subarray(0, length))).toThrow(refusal(/stored form/) as Error);
    for (const extra of [' ', '\n', '\0', '{}', '\ufeff']) {
      expect(() => check(Buffer.concat([stored, Buffer.from(extra)]))).toThrow(refusal(/stored form/) as Error);
      expect(() => check(Buffer.concat([Buffer.from(extra), stored]))).toThrow(refusal(/stored form/) as Error);
    }
  });

  it('is refused from a key that is not trusted, such as one that was revoked (M7)', () => {
    expect(() => verifyBundle(stored, 'log/7', () => undefined)).toThrow(
      refusal(/not trusted here .*copy that one here/) as Error,
    );
  });

  it('is refused under another key of the same id', () => {
    const other = createPublicKey(newSigner().publicKeyPem);
    expect(() => verifyBundle(stored, 'log/7', () => other)).toThrow(refusal(/hint/) as Error);
  });

  it('is refused with a second signature, the same or another (M9)', async () => {
    const [signature] = bundle.dsseEnvelope.signatures;
    const again = Buffer.from(
      await signer.sign(preAuthEncoding(IN_TOTO_PAYLOAD_TYPE, Buffer.from(bundle.dsseEnvelope.payload, 'base64'))),
    );
    for (const second of [signature!, { sig: again.toString('base64'), keyid: signer.keyId }]) {
      const twice = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [signature, second] } };
      expect(() => check(encode(twice))).toThrow(refusal(/stored form/) as Error);
    }
    const none = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [] } };
    expect(() => check(encode(none))).toThrow(refusal(/stored form/) as Error);
  });

  // DSSE calls the key id a hint. Here it has one right value, so that no byte of a stored bundle can change unseen (M1).
  it('is refused with a wrong key id, although the key is right (M10, stricter than DSSE)', () => {
    const { sig } = bundle.dsseEnvelope.signatures[0]!;
    for (const keyid of ['', 'SHA256:wrong']) {
      const changed = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [{ sig, keyid }] } };
      expect(() => check(encode(changed))).toThrow(refusal(/not trusted here .*copy that one here/) as Error);
    }
  });

  it('is refused with another payload type, also one that is signed (M11)', async () => {
    const relabelled = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payloadType: 'application/json' } };
    expect(() => check(encode(relabelled))).toThrow(refusal(/payload type/) as Error);
    const signed = await bundleOf(Buffer.from(JSON.stringify(statement)), 'application/json');
    expect(() => check(encode(signed))).toThrow(refusal(/payload type/) as Error);
  });

  it('is refused with another media type', () => {
    const changed = { ...bundle, mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' };
    expect(() => check(encode(changed))).toThrow(refusal(/media type/) as Error);
  });

  it.each([
    ['another statement type (M12)', { _type: 'https://in-toto.io/Statement/v0.1' }],
    ['no subject', { subject: [] }],
    ['no predicate', { predicate: null }],
    ['a predicate that is no object', { predicate: 'text' }],
    ['a predicate type that is no text', { predicateType: 7 }],
  ])('is refused with %s, validly signed', async (_, change) => {
    const signed = await bundleOf(Buffer.from(JSON.stringify({ ...statement, ...change })));
    expect(() => check(encode(signed))).toThrow(refusal(/in-toto statement/) as Error);
  });

  it('is refused in base64url, without padding, or with white space in the base64 (M13)', () => {
    const { payload, signatures } = bundle.dsseEnvelope;
    const { sig, keyid } = signatures[0]!;
    const games = (text: string): string[] =>
      [
        text.replaceAll('+', '-').replaceAll('/', '_'),
        text.replace(/=+$/, ''),
        `${text}\n`,
        ` ${text}`,
        `${text}=`,
        `${text}====`,
      ].filter((each) => each !== text);
    for (const each of games(payload)) {
      expect(() => check(encode({ ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload: each } }))).toThrow(
        refusal(/stored form/) as Error,
      );
    }
    for (const each of games(sig)) {
      const changed = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [{ sig: each, keyid }] } };
      expect(() => check(encode(changed))).toThrow(refusal(/stored form/) as Error);
    }
  });

  it('is refused when the last base64 digit hides other bits that decode alike (M13)', async () => {
    // One byte over a multiple of three leaves four unused bits in the last digit but the padding.
    let padded = bundle;
    for (let pad = 0; !padded.dsseEnvelope.payload.endsWith('=='); pad++)
      padded = await bundleOf(Buffer.from(JSON.stringify({ ...statement, predicate: { pad: 'x'.repeat(pad) } })));
    const { payload } = padded.dsseEnvelope;
    expect(check(encode(padded)).keyId).toBe(signer.keyId);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const last = alphabet.indexOf(payload.at(-3)!);
    const twin = `${payload.slice(0, -3)}${alphabet[last + 1]!}==`;
    expect(Buffer.from(twin, 'base64')).toEqual(Buffer.from(payload, 'base64'));
    expect(() => check(encode({ ...padded, dsseEnvelope: { ...padded.dsseEnvelope, payload: twin } }))).toThrow(
      refusal(/stored form/) as Error,
    );
  });

  it('is refused with white space, other key order, an extra or a missing field around it', () => {
    const { mediaType, verificationMaterial, dsseEnvelope } = bundle;
    const forms = [
      JSON.stringify(bundle, null, 1),
      JSON.stringify({ dsseEnvelope, verificationMaterial, mediaType }),
      JSON.stringify({ ...bundle, extra: 1 }),
      JSON.stringify({ mediaType, dsseEnvelope }),
      stored.toString('utf8').replace('"mediaType":', '"mediaType":"x","mediaType":'),
      stored.toString('utf8').replace('mediaType', '\\u006dediaType'),
    ];
    for (const form of forms) expect(() => check(Buffer.from(form))).toThrow(refusal(/stored form/) as Error);
  });

  it.each([
    ['duplicate keys', (text: string) => text.replace('"count":3', '"count":4,"count":3')],
    ['white space', (text: string) => text.replace('"count":3', '"count": 3')],
    ['another spelling of a number', (text: string) => text.replace('"count":3', '"count":3.0')],
    ['an escape that is not needed', (text: string) => text.replace('count', '\\u0063ount')],
    ['a byte order mark', (text: string) => `\ufeff${text}`],
    ['something behind it', (text: string) => `${text} `],
    ['null', () => 'null'],
    ['no JSON at all', () => '{'],
  ])('is refused with %s in the payload, validly signed (M14)', async (_, change) => {
    const text = JSON.stringify(statement);
    expect(change(text)).not.toBe(text);
    const signed = await bundleOf(Buffer.from(change(text), 'utf8'));
    expect(() => check(encode(signed))).toThrow(refusal(/in-toto statement/) as Error);
  });

  it('is refused with invalid UTF-8 in the payload, validly signed', async () => {
    const payload = Buffer.from(JSON.stringify(statement));
    payload[payload.indexOf('Z')] = 0xff;
    const signed = await bundleOf(payload);
    expect(() => check(encode(signed))).toThrow(refusal(/in-toto statement/) as Error);
  });
});

describe('signStatement', () => {
  it('refuses to return what readers could not verify: a private key that does not belong to the public one (Y5)', async () => {
    const mixedUp = { ...signer, sign: (bytes: Uint8Array) => newSigner().sign(bytes) };
    await expect(signStatement(statement, mixedUp, publicKey)).rejects.toMatchObject({ code: 'STATEMENT_INVALID' });
    const stranger = newSigner();
    await expect(signStatement(statement, stranger, publicKey)).rejects.toMatchObject({ code: 'STATEMENT_INVALID' });
  });

  it('signs anew each time, over the same payload', async () => {
    const [a, b] = await Promise.all([
      signStatement(statement, signer, publicKey),
      signStatement(statement, signer, publicKey),
    ]);
    expect(a).not.toEqual(b);
    expect(check(a).statement).toEqual(check(b).statement);
  });

  it('keeps text of any kind: quotes, controls, lone surrogates, names of prototypes', async () => {
    const odd: Statement = makeStatement(
      [{ name: '\ud800', digest: { sha256: '' } }],
      'x',
      JSON.parse('{"__proto__":1,"a\\u0000b":"\\"\\\\"}'),
    );
    const bytes = await signStatement(odd, signer, publicKey);
    expect(JSON.stringify(check(bytes).statement)).toBe(JSON.stringify(odd));
  });
});

describe('makeStatement', () => {
  it('needs something to speak about', () => {
    expect(() => makeStatement([], 'https://example.com/x/v1', {})).toThrow(RangeError);
  });
});
