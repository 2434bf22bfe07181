import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

import { ConfigError } from '../../errors.ts';

const PREFIX = 'whsec_';
const BYTES_MIN = 24;
const BYTES_MAX = 64;

/**
 * A signing secret as a key that no log or dump shows.
 * @param text `whsec_` and base64 of 24–64 bytes, or a raw text of at least 24 bytes, used as it stands.
 * @param path where it stands in the configuration.
 * @throws ConfigError CONFIG_INVALID if it is neither; the message never holds it
 * Source: Standard Webhooks 1.0.0, "Signature scheme".
 */
export function readSecret(text: string, path: string): KeyObject {
  const bytes = text.startsWith(PREFIX) ? decodeBase64(text.slice(PREFIX.length)) : Buffer.from(text, 'utf8');
  if (bytes === null) throw fault(path, `expected base64 after ${PREFIX}`);
  if (bytes.length < BYTES_MIN) throw fault(path, `expected at least ${BYTES_MIN} bytes, got ${bytes.length}`);
  if (text.startsWith(PREFIX) && bytes.length > BYTES_MAX) {
    throw fault(path, `expected at most ${BYTES_MAX} bytes, got ${bytes.length}`);
  }
  return createSecretKey(bytes);
}

/**
 * The value of `webhook-signature`: one `v1` signature a secret, so that receivers accept either while a secret is rotated.
 * @param id of the message; free of `.`, or what is signed could be cut differently.
 * @param timestampSeconds whole seconds since 1970 of this try.
 * Source: Standard Webhooks 1.0.0, "Signature scheme": HMAC-SHA256 over `id.timestamp.body`.
 */
export function signWebhook(
  id: string,
  timestampSeconds: number,
  body: Uint8Array,
  secrets: readonly KeyObject[],
): string {
  return secrets
    .map(
      (secret) =>
        `v1,${createHmac('sha256', secret).update(`${id}.${timestampSeconds}.`).update(body).digest('base64')}`,
    )
    .join(' ');
}

/** Strict: what does not encode back to the same text is no base64. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

function fault(path: string, message: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', 'Cannot use a webhook secret', [{ path, message }]);
}
