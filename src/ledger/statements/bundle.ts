import { verify, type KeyObject } from 'node:crypto';

import { IntegrityError } from '../../errors.ts';
import type { Signer } from '../../ports/signer.ts';
import { sha256Hex } from '../../record/sha256.ts';
import { IN_TOTO_PAYLOAD_TYPE, preAuthEncoding } from './dsse.ts';
import { isEd25519, publicKeyHint } from '../../record/public-key.ts';
import { STATEMENT_TYPE, type Statement } from './statement.ts';

/** Media type of a Sigstore bundle, version 0.3. Source: sigstore/protobuf-specs sigstore_bundle.proto. */
const BUNDLE_MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

interface Bundle {
  readonly mediaType: string;
  readonly verificationMaterial: { readonly publicKey: { readonly hint: string } };
  readonly dsseEnvelope: {
    readonly payload: string;
    readonly payloadType: string;
    readonly signatures: readonly [{ readonly sig: string; readonly keyid: string }];
  };
}

/** A statement whose signature verified, with who signed it and the digest that chains refer to. */
export interface VerifiedStatement {
  readonly statement: Statement;
  /** SSH fingerprint of the signing key. */
  readonly keyId: string;
  /** SHA-256 of the stored bundle bytes, hex. */
  readonly digest: string;
}

/**
 * Signs `statement` as a Sigstore bundle with exactly one DSSE signature, which stock cosign verifies, and verifies the
 * result before it leaves: a signature that nobody can check must never reach the log.
 * @param publicKey the key that readers will verify with; not asked of the signer, so that a mix-up shows (matrix Y5).
 * @returns the bytes to store; they are signed once and never made again.
 * @throws UnavailableError from a remote signer; IntegrityError STATEMENT_INVALID if the signature does not verify
 */
export async function signStatement(statement: Statement, signer: Signer, publicKey: KeyObject): Promise<Buffer> {
  const payload = Buffer.from(JSON.stringify(statement), 'utf8');
  const signature = await signer.sign(preAuthEncoding(IN_TOTO_PAYLOAD_TYPE, payload));
  const bytes = encodeBundle({
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: hintOf(publicKey) } },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: IN_TOTO_PAYLOAD_TYPE,
      signatures: [{ sig: Buffer.from(signature).toString('base64'), keyid: signer.keyId }],
    },
  });
  verifyBundle(bytes, 'new statement', (keyId) => (keyId === signer.keyId ? publicKey : undefined));
  return bytes;
}

/**
 * Verifies a stored bundle, then parses exactly the bytes that verified.
 *
 * The stored form is canonical: parsing and printing it again must give the same bytes, so white space, duplicate keys,
 * extra fields, base64 games and a second signature are all refused (matrix M9–M14). Key id and hint are not signed, yet
 * have one right value each, so no byte of a stored bundle can change unseen (matrix M1). Size was capped by the reader.
 * @param object name for error messages: the store key.
 * @param keyOf the trusted public key of a key id; undefined = not trusted.
 * @throws IntegrityError STATEMENT_INVALID
 * Trust: `bytes` come from the store and are hostile.
 */
export function verifyBundle(
  bytes: Uint8Array,
  object: string,
  keyOf: (keyId: string) => KeyObject | undefined,
): VerifiedStatement {
  const refuse = (why: string, cause?: unknown) =>
    new IntegrityError('STATEMENT_INVALID', object, `Cannot verify "${object}": ${why}`, { cause });
  const bundle = parseCanonical(bytes, encodeBundle);
  if (bundle === undefined) throw refuse('it is not a bundle in the stored form');
  const { payload: payloadBase64, payloadType, signatures } = bundle.dsseEnvelope;
  if (bundle.mediaType !== BUNDLE_MEDIA_TYPE) throw refuse('its media type is not a Sigstore bundle v0.3');
  if (payloadType !== IN_TOTO_PAYLOAD_TYPE) throw refuse(`its payload type is not "${IN_TOTO_PAYLOAD_TYPE}"`);
  const { keyid, sig } = signatures[0];
  const key = keyOf(keyid);
  if (key === undefined)
    throw refuse(
      `it is signed by key "${keyid}", which is not trusted here (if that key is one of yours, new or retired, the trust file of this machine is not the newest: copy that one here)`,
    );
  if (bundle.verificationMaterial.publicKey.hint !== hintOf(key))
    throw refuse(`its hint is not that of key "${keyid}"`);
  const payload = Buffer.from(payloadBase64, 'base64');
  const signature = Buffer.from(sig, 'base64');
  const digest = isEd25519(key) ? null : 'sha256';
  if (!verify(digest, preAuthEncoding(payloadType, payload), { key, dsaEncoding: 'der' }, signature))
    throw refuse('its signature does not verify');
  const statement = parseCanonical(payload, (value: Statement) => Buffer.from(JSON.stringify(value), 'utf8'));
  if (statement === undefined || !hasStatementShape(statement))
    throw refuse('its payload is not an in-toto statement in the stored form');
  return { statement, keyId: keyid, digest: sha256Hex(bytes) };
}

/** The one byte form of a bundle; a value of another shape throws or prints differently, which the caller checks. */
function encodeBundle(bundle: Bundle): Buffer {
  const { hint } = bundle.verificationMaterial.publicKey;
  const { payload, payloadType, signatures } = bundle.dsseEnvelope;
  const { sig, keyid } = signatures[0];
  const printed = {
    mediaType: bundle.mediaType,
    verificationMaterial: { publicKey: { hint: text(hint) } },
    dsseEnvelope: {
      payload: base64(payload),
      payloadType: text(payloadType),
      signatures: [{ sig: base64(sig), keyid: text(keyid) }],
    },
  };
  return Buffer.from(JSON.stringify(printed), 'utf8');
}

/** Printing a key as PEM and hashing it costs nearly as much as verifying a signature, and there are few keys. */
const HINTS = new WeakMap<KeyObject, string>();

function hintOf(key: KeyObject): string {
  const known = HINTS.get(key);
  if (known !== undefined) return known;
  const hint = publicKeyHint(key.export({ type: 'spki', format: 'pem' }).toString());
  HINTS.set(key, hint);
  return hint;
}

function parseCanonical<T>(bytes: Uint8Array, print: (value: T) => Buffer): T | undefined {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString('utf8')) as T;
    return print(value).equals(bytes) ? value : undefined;
  } catch {
    return undefined;
  }
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a string');
  return value;
}

function base64(value: unknown): string {
  const printed = text(value);
  if (Buffer.from(printed, 'base64').toString('base64') !== printed) throw new TypeError('not base64');
  return printed;
}

function hasStatementShape(value: Statement | null): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    value._type === STATEMENT_TYPE &&
    typeof value.predicateType === 'string' &&
    Array.isArray(value.subject) &&
    value.subject.length > 0 &&
    typeof value.predicate === 'object' &&
    value.predicate !== null
  );
}
