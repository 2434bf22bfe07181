import { S3ServiceException } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  isCertainlyUnwritten,
  isMissingKey,
  NO_ANSWER,
  NOT_SENT,
  uncertain,
  unavailable,
} from '../../../../src/adapters/s3/failures.ts';
import { UnavailableError, UncertainError } from '../../../../src/errors.ts';

/** As the SDK throws it. */
function answer(httpStatusCode: number, name = 'Some', message = 'some reason'): S3ServiceException {
  return new S3ServiceException({ name, message, $fault: 'client', $metadata: { httpStatusCode } });
}

/** As Node throws it. */
function network(code: string, message = 'some reason'): Error {
  return Object.assign(new Error(message), { code });
}

const messageOf = (cause: unknown): string => unavailable('read', 'a/b', cause).message;

describe('a missing object', () => {
  it('is what the server calls one', () => {
    expect(isMissingKey(answer(404, 'NoSuchKey'))).toBe(true);
  });

  it.each([
    ['a missing bucket', answer(404, 'NoSuchBucket')],
    ['an unknown account', answer(404, 'XAdminUserNotFound')],
    ['a proxy’s 404', answer(404, 'NotFound')],
    ['the name with another status', answer(403, 'NoSuchKey')],
    ['no answer', network('ECONNRESET')],
    ['an error without a status', Object.assign(new Error('x'), { name: 'NoSuchKey' })],
    ['nothing', undefined],
    ['null', null],
  ])('is not %s', (_, cause) => {
    expect(isMissingKey(cause)).toBe(false);
  });
});

describe('a write', () => {
  it.each<[string, unknown]>([
    ['refused', answer(403, 'AccessDenied')],
    ['malformed', answer(400, 'AuthorizationHeaderMalformed')],
    ['sent to the wrong region', answer(301, 'PermanentRedirect')],
    ['not implemented', answer(501, 'NotImplemented')],
    ['one too many', answer(429, 'TooManyRequests')],
    ['sent to where nobody listens', network('ECONNREFUSED')],
    ['sent to a name that is unknown', network('ENOTFOUND')],
    ['sent to whom is not trusted', network('DEPTH_ZERO_SELF_SIGNED_CERT')],
    ['without an account', Object.assign(new Error('x'), { name: 'CredentialsProviderError' })],
    ['stopped before it was sent', network(NOT_SENT)],
  ])('has certainly not happened when it was %s', (_, cause) => {
    expect(isCertainlyUnwritten(cause)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['an internal error', answer(500, 'InternalError')],
    ['a gateway that gave up', answer(502, 'Bad')],
    ['a busy server', answer(503, 'SlowDown')],
    ['a gateway that waited', answer(504, 'Bad')],
    ['a request that took too long', answer(408, 'RequestTimeout')],
    ['another write of the same key', answer(409, 'ConditionalRequestConflict')],
    ['an answer that cannot be read', answer(200, 'Error')],
    ['a reset', network('ECONNRESET')],
    ['a broken pipe', network('EPIPE')],
    ['silence', network(NO_ANSWER)],
    ['anything else', new Error('x')],
    ['nothing', undefined],
  ])('may have happened behind %s', (_, cause) => {
    expect(isCertainlyUnwritten(cause)).toBe(false);
  });
});

describe('a message', () => {
  it('names what was tried, why it failed and how to mend it', () => {
    const error = unavailable('read', 'a/b', answer(404, 'NoSuchBucket', 'The specified bucket does not exist.'));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.code).toBe('STORE_UNAVAILABLE');
    expect(error.message).toBe(
      'Cannot read "a/b" in the store: NoSuchBucket: The specified bucket does not exist. (mend: create the bucket, or correct store.url)',
    );
    expect(error.cause).toBeInstanceOf(S3ServiceException);
  });

  it('says what is not known of a create', () => {
    const error = uncertain('a/b', network('ECONNRESET', 'read ECONNRESET'));
    expect(error).toBeInstanceOf(UncertainError);
    expect(error.code).toBe('STORE_UNCERTAIN');
    expect(error.message).toMatch(/^Cannot tell whether "a\/b" was created: read ECONNRESET \(mend: .*store\.endpoint/);
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown key id', answer(403, 'InvalidAccessKeyId'), /set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/],
    ['an expired session', answer(400, 'ExpiredToken'), /set AWS_ACCESS_KEY_ID/],
    ['a missing permission', answer(403, 'AccessDenied'), /allow this account s3:GetObject.*s3:ListBucket/],
    ['a refusal without a name', answer(403), /allow this account/],
    ['a wrong clock', answer(403, 'RequestTimeTooSkewed'), /set the clock of this machine/],
    ['a wrong region', answer(400, 'AuthorizationHeaderMalformed'), /set store\.region/],
    ['a bucket elsewhere', answer(301, 'PermanentRedirect'), /set store\.region/],
    ['a missing KMS key', answer(400, 'KMS.NotFoundException'), /correct store\.kmsKeyId/],
    ['a server without conditions', answer(501, 'NotImplemented'), /a server that knows If-None-Match/],
    ['a busy server', answer(503, 'SlowDown'), /wait, it is tried again/],
    ['a gateway', answer(502, 'Some'), /wait, it is tried again/],
    ['a self-signed certificate', network('DEPTH_ZERO_SELF_SIGNED_CERT'), /NODE_EXTRA_CA_CERTS/],
    ['TLS with one that has none', network('EPROTO'), /http or https/],
    ['silence', network(NO_ANSWER), /raise store\.requestTimeoutMs/],
  ])('tells how to mend %s', (_, cause, mend) => {
    expect(/\(mend: (.*)\)$/.exec(messageOf(cause))?.[1]).toMatch(mend);
  });

  it('does not pass on what the SDK says of an answer without a body', () => {
    expect(messageOf(answer(403, 'Unknown', 'UnknownError'))).toContain(': HTTP 403 without an S3 error (mend:');
    const unread = 'XML parse error. Deserialization error: to see the raw response, inspect';
    expect(messageOf(answer(502, 'SyntaxError', unread))).toContain(': HTTP 502 without an S3 error (mend:');
  });

  it('falls back on the code of an error without words', () => {
    expect(messageOf(network('ECONNREFUSED', ''))).toContain(': ECONNREFUSED (mend:');
  });

  it('is one short line of visible characters, whatever the server has sent', () => {
    const hostile = fc.string({ unit: 'binary', maxLength: 2_000 });
    fc.assert(
      fc.property(hostile, hostile, fc.integer({ min: 200, max: 599 }), (name, message, status) => {
        const error = unavailable('read', 'a/b', answer(status, name, message));
        expect(error.message).toMatch(/^Cannot read "a\/b" in the store: /);
        expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(error.message.length).toBeLessThan(600);
      }),
    );
    expect(messageOf(answer(500, 'A\nB\u001b[31m', 'c\u202ed'.repeat(1_000))).length).toBeLessThan(600);
  });
});
