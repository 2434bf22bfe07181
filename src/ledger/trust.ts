import type { KeyObject } from 'node:crypto';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { ConfigError, IntegrityError } from '../errors.ts';
import { parsePublicKey, sshFingerprint } from '../record/public-key.ts';

/** What a key may sign. `ingest` writes partition logs, `publisher` moves refs, `approver` is a person, `janitor` deletes. */
export const ROLES = ['ingest', 'publisher', 'approver', 'janitor'] as const;
export type Role = (typeof ROLES)[number];

const TrustFile = Type.Object(
  {
    version: Type.Literal(1),
    pipeline: Type.String({ minLength: 1, maxLength: 200 }),
    keys: Type.Array(
      Type.Object(
        {
          keyId: Type.String({ maxLength: 100 }),
          name: Type.String({ minLength: 1, maxLength: 200 }),
          roles: Type.Array(Type.Enum([...ROLES]), { minItems: 1 }),
          publicKey: Type.String({ maxLength: 1_000 }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1_000 },
    ),
  },
  { additionalProperties: false },
);

/** Content of a trust file. */
export type TrustDocument = Static<typeof TrustFile>;

/** The keys a reader believes, from a local file that the operator pinned. The store is never asked whom to trust. */
export class TrustRoot {
  readonly document: TrustDocument;
  readonly #keys: ReadonlyMap<
    string,
    { readonly key: KeyObject; readonly name: string; readonly roles: readonly Role[] }
  >;

  private constructor(document: TrustDocument) {
    this.document = document;
    this.#keys = new Map(
      document.keys.map(({ keyId, name, roles, publicKey }) => [
        keyId,
        { key: parsePublicKey(publicKey), name, roles },
      ]),
    );
  }

  /** @throws ConfigError TRUST_INVALID, KEY_INVALID */
  static parse(text: string, name: string): TrustRoot {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new ConfigError('TRUST_INVALID', `Cannot use trust file "${name}": it is not JSON`, [], { cause });
    }
    return TrustRoot.of(value, name);
  }

  /** @throws ConfigError TRUST_INVALID, KEY_INVALID */
  static of(value: unknown, name: string): TrustRoot {
    if (!Value.Check(TrustFile, value)) {
      const faults = Value.Errors(TrustFile, value).map((fault) => ({
        path: fault.instancePath || '/',
        message: fault.message,
      }));
      throw new ConfigError('TRUST_INVALID', `Cannot use trust file "${name}": it has faults`, faults);
    }
    for (const { keyId, publicKey } of value.keys) {
      const actual = sshFingerprint(publicKey);
      if (actual !== keyId)
        throw new ConfigError(
          'TRUST_INVALID',
          `Cannot use trust file "${name}": key "${keyId}" has fingerprint "${actual}"`,
        );
    }
    if (new Set(value.keys.map(({ keyId }) => keyId)).size !== value.keys.length) {
      throw new ConfigError('TRUST_INVALID', `Cannot use trust file "${name}": it names a key twice`);
    }
    return new TrustRoot(value);
  }

  /** Public key of `keyId`, or undefined if it is not trusted for anything. */
  key(keyId: string): KeyObject | undefined {
    return this.#keys.get(keyId)?.key;
  }

  /** Name of a key, for people. */
  nameOf(keyId: string): string {
    return this.#keys.get(keyId)?.name ?? keyId;
  }

  /**
   * Checks that `keyId` holds one of `roles`.
   * @throws IntegrityError STATEMENT_INVALID naming `object` (matrix M8: a valid key in the wrong role is tampering)
   */
  assertRole(keyId: string, roles: readonly Role[], object: string): void {
    const held = this.#keys.get(keyId)?.roles ?? [];
    if (!held.some((role) => roles.includes(role))) {
      throw new IntegrityError(
        'STATEMENT_INVALID',
        object,
        `Cannot accept "${object}": key "${keyId}" has the role ${held.join(', ') || 'none'}, wanted ${roles.join(' or ')}`,
      );
    }
  }

  /**
   * Checks before anything is signed that a key of this machine may sign what is wanted.
   * @param what names what is to be signed, for the message.
   * @throws ConfigError TRUST_INVALID when the key is not trusted or holds none of `roles`
   */
  assertMaySign(keyId: string, roles: readonly Role[], what: string): void {
    const known = this.#keys.get(keyId);
    if (known?.roles.some((role) => roles.includes(role)) === true) return;
    const found =
      known === undefined
        ? 'the trust file does not name it'
        : `its role is ${known.roles.join(', ')} in the trust file`;
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot sign ${what} with key "${known?.name ?? keyId}": ${found}, wanted ${roles.join(' or ')} (mend: name the right file under keys in the configuration)`,
    );
  }

  /** True when some key holds `role`. */
  hasRole(role: Role): boolean {
    return [...this.#keys.values()].some(({ roles }) => roles.includes(role));
  }
}
