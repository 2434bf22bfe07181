import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { open, readFile, rm, stat } from 'node:fs/promises';

import { ConfigError } from '../../errors.ts';
import type { Signer } from '../../ports/signer.ts';
import { sshFingerprint } from '../../record/public-key.ts';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/**
 * Opens a P-256 private key from a PKCS#8 PEM file.
 * @param passphrase of an encrypted key; undefined for a plain one.
 * @throws ConfigError KEY_INVALID: missing, readable by others, wrong curve, wrong passphrase (matrix Y1–Y4)
 */
export async function openPemSigner(path: string, passphrase: string | undefined): Promise<Signer> {
  return pemSigner(await readPrivateFile(path), path, passphrase);
}

/** The signer of a PEM already in memory; `name` is for messages. @throws ConfigError KEY_INVALID */
export function pemSigner(pem: string, name: string, passphrase: string | undefined): Signer {
  const key = parsePrivateKey(pem, name, passphrase);
  assertP256(key, name);
  const publicKeyPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return {
    keyId: sshFingerprint(publicKeyPem),
    publicKeyPem,
    sign: async (bytes) => sign('sha256', bytes, { key, dsaEncoding: 'der' }),
  };
}

/**
 * Makes a new P-256 key pair and writes the private key, mode 0600, encrypted when a passphrase is given.
 * @returns the public key, SPKI PEM
 * @throws ConfigError KEY_INVALID if the file exists: a key is never overwritten
 */
export async function generateKeyFile(path: string, passphrase: string | undefined): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
  });
  try {
    await writePrivateFile(path, pem);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'it exists already, and a key is never overwritten' : message;
    throw new ConfigError('KEY_INVALID', `Cannot write key file "${path}": ${why}`, [], { cause });
  }
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** Creates the file, or leaves nothing behind that looks like a key. */
async function writePrivateFile(path: string, pem: string | Buffer): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(pem);
    await file.sync();
  } catch (cause) {
    await rm(path, { force: true });
    throw cause;
  } finally {
    await file.close();
  }
}

async function readPrivateFile(path: string): Promise<string> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
      const found = (mode & 0o777).toString(8);
      throw new ConfigError(
        'KEY_INVALID',
        `Cannot use key file "${path}": its mode is ${found}, wanted 600 (mend: chmod 600 ${path})`,
      );
    }
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError('KEY_INVALID', `Cannot read key file "${path}": ${await whyUnreadable(path, cause)}`, [], {
      cause,
    });
  }
}

async function whyUnreadable(path: string, cause: unknown): Promise<string> {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT')
    return 'it does not exist (mend: copy it here, or make one with headgate keys generate and add what that prints to the trust file)';
  if (code === 'EISDIR') return 'it is a folder, wanted a file';
  if (code !== 'EACCES') return message;
  const owner = await stat(path).then(
    ({ uid }) => `it belongs to user ${uid}`,
    () => 'its folder is closed to it',
  );
  return `this process is user ${process.getuid?.()} and may not, ${owner} (mend: run it as the owner of the key)`;
}

function parsePrivateKey(pem: string, name: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    const encrypted = pem.includes('ENCRYPTED');
    const why = encrypted
      ? passphrase === undefined
        ? 'it is encrypted and no passphrase is set'
        : 'the passphrase is wrong'
      : 'it is not a PKCS#8 PEM';
    throw new ConfigError('KEY_INVALID', `Cannot use key file "${name}": ${why}`, [], { cause });
  }
}

function assertP256({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, name: string): void {
  const curve = asymmetricKeyDetails?.namedCurve;
  if (asymmetricKeyType === 'ec' && curve === 'prime256v1') return;
  const found = [asymmetricKeyType, curve].filter((part) => part !== undefined).join(' ');
  throw new ConfigError('KEY_INVALID', `Cannot use key file "${name}": it is ${found}, wanted ECDSA P-256`);
}
