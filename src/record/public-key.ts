import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

import { ConfigError } from '../errors.ts';

/**
 * Parses an ECDSA P-256 or Ed25519 public key. Which of the two it is decides alone how its signatures are verified: no
 * signed document ever chooses.
 * @throws ConfigError KEY_INVALID for anything else (matrix Y3)
 */
export function parsePublicKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new ConfigError('KEY_INVALID', 'Cannot read a public key: not PEM (SPKI)', [], { cause });
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (isEd25519(key) || (key.asymmetricKeyType === 'ec' && curve === 'prime256v1')) return key;
  throw new ConfigError(
    'KEY_INVALID',
    `Cannot use public key: it is ${key.asymmetricKeyType} ${curve ?? ''}, wanted ECDSA P-256 or Ed25519`.replace(
      ' ,',
      ',',
    ),
  );
}

/** Whether a key signs with Ed25519, which hashes for itself, and not with ECDSA P-256. */
export function isEd25519(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ed25519';
}

/**
 * Key id of a public key: its SSH fingerprint, `SHA256:` + unpadded base64 of SHA-256 over the SSH wire form.
 * This form, unlike a hex id, is accepted by cosign 2 and 3 and by securesystemslib.
 * Source: RFC 5656 §3.1 and RFC 8709 §4 (wire forms), ssh-keygen -lf.
 */
export function sshFingerprint(publicKeyPem: string): string {
  const key = parsePublicKey(publicKeyPem);
  const { x, y } = key.export({ format: 'jwk' });
  const parts = isEd25519(key)
    ? [Buffer.from('ssh-ed25519'), Buffer.from(x!, 'base64url')]
    : [
        Buffer.from('ecdsa-sha2-nistp256'),
        Buffer.from('nistp256'),
        Buffer.concat([Buffer.from([0x04]), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]),
      ];
  const wire = Buffer.concat(parts.flatMap((part) => [uint32(part.length), part]));
  return `SHA256:${createHash('sha256').update(wire).digest('base64').replace(/=+$/, '')}`;
}

/** Hex SHA-256 of the public key's PEM: the bundle hint that OpenSSF model-signing checks. */
export function publicKeyHint(publicKeyPem: string): string {
  return createHash('sha256').update(publicKeyPem).digest('hex');
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
