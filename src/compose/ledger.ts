/*
 * compose/ is the only part that knows both the wings and the adapters. Vendor code is loaded when it is needed: a command
 * on local files never loads an S3 or Kafka client.
 */
import { readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join, resolve } from 'node:path';

import { DiskState } from '../adapters/disk/local-state.ts';
import { DiskStore } from '../adapters/disk/store.ts';
import { openPemSigner } from '../adapters/keys/pem-signer.ts';
import { systemClock } from '../adapters/system/clock.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ConfigError, NotFoundError } from '../errors.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { TrustRoot, type Role } from '../ledger/trust.ts';
import type { LocalState } from '../ports/local-state.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { openLedger, type LedgerContext } from '../respond/ledger-context.ts';
import { Marks } from '../respond/marks.ts';
import type { ActSettling } from '../ledger/control-log.ts';
import { WatchedStore, type StoreWatch } from './watched-store.ts';

/** Which private key a process needs: each signs in the role of its name. */
export type KeyName = Extract<Role, 'ingest' | 'publisher' | 'approver'>;

/** Opens the store that the configuration names. @throws UnavailableError, ConfigError */
export async function openStore({ config, folder }: LoadedConfig): Promise<ObjectStore> {
  const { url, endpoint, region, forcePathStyle, kmsKeyId, requestTimeoutMs } = config.store;
  if (!url.startsWith('s3://')) return DiskStore.open(resolve(folder, url));
  const { S3Store } = await import('../adapters/s3/store.ts');
  const [bucket = '', ...rest] = url.slice('s3://'.length).replace(/\/+$/, '').split('/');
  return new S3Store({ bucket, prefix: rest.join('/'), endpoint, region, forcePathStyle, kmsKeyId, requestTimeoutMs });
}

/** Reads the pinned trust root. @throws ConfigError TRUST_INVALID */
export async function readTrust({ config, folder }: LoadedConfig): Promise<TrustRoot> {
  const path = resolve(folder, config.trust);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'it does not exist' : cause.message;
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot read trust file "${path}": ${why} (mend: copy the pipeline’s trust.json here, or name it with trust in the configuration)`,
      [],
      { cause },
    );
  });
  const trust = TrustRoot.parse(text, path);
  const { pipeline } = trust.document;
  if (pipeline !== config.pipeline)
    throw new ConfigError(
      'TRUST_INVALID',
      `Cannot use trust file "${path}": it is for pipeline "${pipeline}", the configuration is for "${config.pipeline}"`,
    );
  return trust;
}

/**
 * Opens one of this machine's private keys and checks that the trust root lets it sign in its role: found out now, not at
 * the first signature, when records are read and waiting.
 * @throws ConfigError KEY_INVALID, TRUST_INVALID
 */
export async function openKey(
  { config, folder, passphraseFault }: LoadedConfig,
  trust: TrustRoot,
  name: KeyName,
): Promise<Signer> {
  const path = config.keys[name];
  if (path === null)
    throw new ConfigError(
      'KEY_INVALID',
      `Cannot sign as ${name}: keys.${name} is null, this machine does not act in that role (mend: call this on the machine that has the key, or name its file under keys.${name})`,
    );
  const passphrase = passphraseFault === undefined ? (config.keys.passphrase ?? undefined) : undefined;
  const signer = await openPemSigner(resolve(folder, path), passphrase).catch((error: unknown) => {
    if (passphraseFault === undefined || !(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.code, error.message, [passphraseFault], { cause: error });
  });
  trust.assertMaySign(signer.keyId, [name], `as keys.${name}`);
  return signer;
}

/** The ledger, and where this machine remembers what it has seen of it. */
export interface OpenedLedger extends LedgerContext, AsyncDisposable {
  readonly marks: Marks;
}

/** How a command that signs learns what became of its entries. */
export interface ActWatch extends Pick<ActSettling, 'appended'> {
  /** Watches the calls that find out what became of an entry that was sent. */
  readonly watch: StoreWatch;
}

/**
 * Opens the pipeline's ledger.
 * @param onRetry told of writes that failed and are tried again. @param watch told of all calls, if anyone is to be
 * @param act for a command that signs what a person decides: how its outcome is found out when it is stopped
 * @throws ConfigError, UnavailableError
 */
export async function openLedgerOf(
  loaded: LoadedConfig,
  onRetry: (error: Error) => void,
  watch?: StoreWatch,
  act?: ActWatch,
): Promise<OpenedLedger> {
  const trust = await readTrust(loaded);
  const opened = await openStore(loaded);
  const store = new WatchedStore(opened, { onRetry, watch });
  const marks = new Marks(openState(loaded), store.location, loaded.config.pipeline);
  const settling = act && {
    ...act,
    store: new WatchedStore(opened, { onRetry, watch: act.watch }),
    ended: act.watch.ended,
  };
  return {
    ...openLedger(store, trust, systemClock, settling),
    marks,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** Where this machine remembers what it has seen of the store. */
export function openState({ config, folder }: LoadedConfig): LocalState {
  return new DiskState(join(resolve(folder, config.stateFolder), 'marks'));
}

/** The author's name that entries carry: who runs the command, and where; `uid-N` for a user without a name, as containers have. */
export function actorName(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

/** Reads one object by its s3:// address, with the store's endpoint and credentials. @throws RequestError, UnavailableError */
export async function openS3Object({ config }: LoadedConfig, url: string, signal?: AbortSignal): Promise<Buffer> {
  const { S3Store } = await import('../adapters/s3/store.ts');
  const [bucket = '', ...rest] = url.slice('s3://'.length).split('/');
  const { endpoint, region, forcePathStyle, requestTimeoutMs } = config.store;
  await using store = new S3Store({
    bucket,
    prefix: '',
    endpoint,
    region,
    forcePathStyle,
    kmsKeyId: null,
    requestTimeoutMs,
  });
  const bytes = await store.get(rest.join('/'), BYTES_MAX.data, signal === undefined ? {} : { signal });
  if (bytes === null) throw new NotFoundError('NOT_FOUND', `Cannot read "${url}": it is not there`);
  return bytes;
}
