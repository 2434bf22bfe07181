import { UncertainError, UnavailableError } from '../../errors.ts';

/** `code` of an error that this adapter makes when a call was stopped before anything was sent. */
export const NOT_SENT = 'NOT_SENT';
/** `code` of an error that this adapter makes when the server was silent for too long. */
export const NO_ANSWER = 'NO_ANSWER';

/** Longest part of a server's message that is passed on: it is not trusted to be short. */
const REASON_LENGTH_MAX = 300;

const UNREACHED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];
const UNTRUSTED = [
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];
const UNKNOWN_ACCOUNT = [
  'CredentialsProviderError',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound',
];

const CREDENTIALS =
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to an account of this server, or give a profile or role that the AWS SDK finds';
const PERMISSIONS =
  'allow this account s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket; without the last even a free key is refused';
const REGION = "set store.region to the bucket's";
const OVERLOAD = 'wait, it is tried again; if it stays, see how the server is doing';
const CONDITIONS = 'use a server that knows If-None-Match on PUT';
const NETWORK = 'see whether the server runs and what lies between, and whether store.endpoint is its address';

/** What to do about an error, by the name that a server gives it or the code that Node does. */
const MENDS: ReadonlyMap<string, string> = new Map([
  ...each(['NoSuchBucket'], 'create the bucket, or correct store.url'),
  ...each(UNKNOWN_ACCOUNT, CREDENTIALS),
  ...each(['AccessDenied'], PERMISSIONS),
  ...each(['RequestTimeTooSkewed'], 'set the clock of this machine: it differs too much from the server’s'),
  ...each(['AuthorizationHeaderMalformed', 'PermanentRedirect', 'TemporaryRedirect'], REGION),
  ...each(['KMS.NotFoundException', 'KMS.DisabledException', 'KMS.InvalidStateException'], 'correct store.kmsKeyId'),
  ...each(['NotImplemented'], CONDITIONS),
  ...each(['SlowDown', 'ServiceUnavailable', 'InternalError', 'TooManyRequests'], OVERLOAD),
  ...each([...UNREACHED, 'ECONNRESET', 'EPIPE', 'TimeoutError'], NETWORK),
  ...each([NO_ANSWER], 'see whether the server and the network are well, or raise store.requestTimeoutMs'),
  ...each(UNTRUSTED, 'name the CA of its certificate in NODE_EXTRA_CA_CERTS, or correct store.endpoint'),
  ...each(['EPROTO'], 'see whether the server speaks TLS, and correct store.endpoint: http or https'),
]);

/** The same by status, for answers whose name says nothing. */
const STATUS_MENDS: ReadonlyMap<number, string> = new Map([
  [301, REGION],
  [401, CREDENTIALS],
  [403, PERMISSIONS],
  [404, 'correct store.endpoint and store.url: what answered does not say that the object is missing'],
  [429, OVERLOAD],
  [500, OVERLOAD],
  [501, CONDITIONS],
  [502, OVERLOAD],
  [503, OVERLOAD],
  [504, OVERLOAD],
]);

/** HTTP status of an SDK error; undefined if there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode;
}

/**
 * True when the server said that there is no such object. Not every 404 says so: a missing bucket, an account that the
 * server does not know, and a proxy that knows no such host are 404 too, and must not look like a free key.
 */
export function isMissingKey(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) === 'NoSuchKey';
}

/**
 * True when the server said no, or was never reached. Another 5xx than 501, or a cut connection, may hide a write that
 * happened; 409 says that someone else is writing the key at this moment, and only reading it tells who has won.
 */
export function isCertainlyUnwritten(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return (status >= 300 && status < 500 && ![408, 409].includes(status)) || status === 501;
  const code = codeOf(error);
  return [...UNREACHED, ...UNTRUSTED, NOT_SENT].includes(code) || nameOf(error) === 'CredentialsProviderError';
}

/** The store did not do what it was asked, for a reason that `cause` gives. */
export function unavailable(verb: string, what: string, cause: unknown): UnavailableError {
  return new UnavailableError('STORE_UNAVAILABLE', `Cannot ${verb} "${what}" in the store: ${explain(cause)}`, {
    cause,
  });
}

/** Nobody knows whether `key` was created. */
export function uncertain(key: string, cause: unknown): UncertainError {
  return new UncertainError('STORE_UNCERTAIN', `Cannot tell whether "${key}" was created: ${explain(cause)}`, {
    cause,
  });
}

/** What was wrong and, where it is known, how to mend it: one line, whatever the server has sent. */
function explain(error: unknown): string {
  const name = nameOf(error);
  const code = codeOf(error);
  const status = statusOf(error);
  const mend = MENDS.get(name) ?? MENDS.get(code) ?? STATUS_MENDS.get(status ?? 0);
  const reason =
    reasonOf(error)
      .replace(/[\p{C}\p{Z}]+/gu, ' ')
      .trim() || code;
  const short = reason.length > REASON_LENGTH_MAX ? `${reason.slice(0, REASON_LENGTH_MAX)}…` : reason;
  return mend === undefined ? short : `${short} (mend: ${mend})`;
}

function reasonOf(error: unknown): string {
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // What the SDK says where an answer has no body, or one that is not S3's.
  if (status !== undefined && (message === 'UnknownError' || message.includes('Deserialization error')))
    return `HTTP ${status} without an S3 error`;
  const name = nameOf(error);
  return name === 'Error' || name === '' ? message : `${name}: ${message}`;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function each(names: readonly string[], mend: string): [string, string][] {
  return names.map((name) => [name, mend]);
}
