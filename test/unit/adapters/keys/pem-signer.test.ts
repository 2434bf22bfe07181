import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { generateKeyFile, openPemSigner, pemSigner } from '../../../../src/adapters/keys/pem-signer.ts';
import { parsePublicKey, publicKeyHint, sshFingerprint } from '../../../../src/record/public-key.ts';
import { sha256Hex } from '../../../../src/record/sha256.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** Known answers: `ssh-keygen -i -m PKCS8 -f pub.pem | ssh-keygen -lf -`, OpenSSH 9.2p1. The second point has a leading zero byte. */
const FINGERPRINTS = [
  {
    pem: `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYBBcZEu3ub3K6L11WbuGih01xulD
CwYKT3hgts6s7qX9ObR6QQ6HRrefkO8u/R9WuKXU7rV7L54imurWth3MMA==
-----END PUBLIC KEY-----
`,
    fingerprint: 'SHA256:TgX5CU0Lq4th//JfkKBju5LppBuOm6fpMcK/GftUDxc',
  },
  {
    pem: `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAEDEQydzVftebO6ht+llF7rXpc5r
6ojhhTLVJUmd5rIixQkVPLT1pGF/4YhySC11pKqU/v9kUotcdZjWJn5Kuw==
-----END PUBLIC KEY-----
`,
    fingerprint: 'SHA256:tj5zrIH4Fyk8QRKkRvLfM3rGcIcpnSYNmZGkRMWg5vo',
  },
  {
    pem: `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=
-----END PUBLIC KEY-----
`,
    fingerprint: 'SHA256:z/fSv0Z0RZS+Lccbc6ZoOWwt/fbj1VFJGSBKQbo4icE',
  },
];

const invalid = (why: RegExp) => ({ code: 'KEY_INVALID', message: expect.stringMatching(why) as string });

describe('sshFingerprint', () => {
  it.each(FINGERPRINTS)('is what ssh-keygen prints: $fingerprint', ({ pem, fingerprint }) => {
    expect(sshFingerprint(pem)).toBe(fingerprint);
    expect(publicKeyHint(pem)).toBe(sha256Hex(Buffer.from(pem)));
  });
});

describe('a key file', () => {
  let path: string;

  beforeEach(async () => {
    path = join(await temporaryFolder(), 'key.pem');
  });

  it('is made for its owner only and signs what its public key verifies', async () => {
    const publicPem = await generateKeyFile(path, undefined);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const signer = await openPemSigner(path, undefined);
    expect(signer.publicKeyPem).toBe(publicPem);
    expect(signer.keyId).toBe(sshFingerprint(publicPem));
    const bytes = Buffer.from('a batch');
    const signature = await signer.sign(bytes);
    expect(verify('sha256', bytes, { key: createPublicKey(publicPem), dsaEncoding: 'der' }, signature)).toBe(true);
  });

  it('opens with its passphrase, and with no other and not without one (Y4)', async () => {
    const publicPem = await generateKeyFile(path, 'correct horse');
    expect(await readFile(path, 'utf8')).toContain('ENCRYPTED');
    expect((await openPemSigner(path, 'correct horse')).publicKeyPem).toBe(publicPem);
    await expect(openPemSigner(path, 'battery staple')).rejects.toMatchObject(invalid(/passphrase is wrong/));
    await expect(openPemSigner(path, undefined)).rejects.toMatchObject(invalid(/no passphrase is set/));
  });

  it('is never overwritten', async () => {
    await generateKeyFile(path, undefined);
    const before = await readFile(path);
    await expect(generateKeyFile(path, undefined)).rejects.toMatchObject(invalid(/a key is never overwritten/));
    expect(await readFile(path)).toEqual(before);
  });

  it('is refused when it is missing (Y1)', async () => {
    await expect(openPemSigner(path, undefined)).rejects.toMatchObject(invalid(/Cannot read key file/));
  });

  it.each([0o644, 0o640, 0o604, 0o610])('is refused with mode %o, which lets others in (Y2)', async (mode) => {
    await generateKeyFile(path, undefined);
    await chmod(path, mode);
    await expect(openPemSigner(path, undefined)).rejects.toMatchObject(invalid(/chmod 600/));
  });

  it.each([
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
    ['Ed25519', generateKeyPairSync('ed25519')],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 1_024 })],
  ])('is refused with a %s key, by a message that names the file (Y3)', async (name, { privateKey, publicKey }) => {
    await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await expect(openPemSigner(path, undefined)).rejects.toMatchObject(invalid(/key\.pem.*wanted ECDSA P-256/));
    const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    if (name === 'Ed25519') return expect(parsePublicKey(publicPem).asymmetricKeyType).toBe('ed25519');
    expect(() => parsePublicKey(publicPem)).toThrow(expect.objectContaining(invalid(/wanted ECDSA P-256/)) as Error);
  });

  it('is refused when it holds something else', async () => {
    for (const text of ['', 'not a key', FINGERPRINTS[0]!.pem]) {
      expect(() => pemSigner(text, 'k', undefined)).toThrow(
        expect.objectContaining(invalid(/not a PKCS#8 PEM/)) as Error,
      );
    }
  });

  it('never prints what is in it', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const text of [pem, pem.replace('PRIVATE', 'ENCRYPTED PRIVATE')]) {
      try {
        pemSigner(text, 'k', 'a secret passphrase');
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toContain(pem.split('\n')[1]);
        expect(String(error)).not.toContain('secret');
      }
    }
  });
});
