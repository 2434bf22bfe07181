/** Signs with one private key that never leaves the implementation (PEM file, KMS, Vault transit). */
export interface Signer {
  /** SSH fingerprint of the public key: `SHA256:` + unpadded base64. */
  readonly keyId: string;
  /** Public key, SPKI PEM. */
  readonly publicKeyPem: string;
  /** ECDSA P-256 over SHA-256 of `bytes`, DER encoded, or, with an Ed25519 key, Ed25519 over `bytes`. @throws UnavailableError when a remote signer is out of reach */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}
