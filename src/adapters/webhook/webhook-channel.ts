import type { KeyObject } from 'node:crypto';

import { ConfigError, type ErrorFields, HeadgateError, UnavailableError } from '../../errors.ts';
import type { Alert, AlertChannel } from '../../ports/alert-channel.ts';
import type { Clock } from '../../ports/clock.ts';
import { RETRY_AFTER_MS_MAX } from '../../ports/job-rules.ts';
import { CLOUD_EVENT_TYPE, cloudEventBody } from './cloud-event.ts';
import { type PostAnswer, postPinned } from './post.ts';
import { readSecret, signWebhook } from './signature.ts';
import { readAllowedTargets, type ResolveHost, resolveHost, WebhookTarget } from './target.ts';

/** What a webhook channel is made of. */
export interface WebhookChannelOptions {
  /** Name from the configuration. */
  readonly name: string;
  /** An https URL without credentials; its path may be secret and is never shown. */
  readonly url: string;
  /** Signing secrets, at least one: see {@link readSecret}. During a rotation the old and the new one. */
  readonly secrets: readonly string[];
  /** Who speaks, as a URI reference: see {@link cloudEventBody}. */
  readonly source: string;
  /** Where the channel stands in the configuration, for messages, e.g. `alerts.channels[0]`. */
  readonly configPath: string;
  readonly clock: Clock;
  /** Hosts, addresses and blocks off the public internet that may be reached, also over http. Default none. */
  readonly allowPrivate?: readonly string[];
  /** For the whole delivery: name resolution, connection, answer. Milliseconds, default 10,000. */
  readonly deadlineMs?: number;
  /** Certificates to trust instead of the built-in ones, PEM. */
  readonly caPem?: string;
  /** Finds the addresses of a name. Default: the system's resolver. */
  readonly resolve?: ResolveHost;
}

/** Ids go into a header and into what is signed: visible ASCII, and no `.` (Standard Webhooks 1.0.0, "Signature scheme"). */
const ID = /^[!-\-/-~]{1,256}$/;

/**
 * Posts each alert as a CloudEvent, signed after Standard Webhooks. The id is the alert's on every try, so receivers can
 * drop repeats; the timestamp is that of the try, so they can refuse replays.
 *
 * Delivered means: the receiver answered 2xx. Everything else is UnavailableError ALERT_UNDELIVERED, with fields:
 * `status` (null without an answer), `permanent` (true when the same request is unlikely ever to be taken: redirects and
 * 4xx but 408, 425 and 429) and, if the receiver gave one, `retryAfterMs` of at most an hour.
 * Trust: neither the URL (whoever may set it must not reach inside, see {@link WebhookTarget}) nor the answer is trusted.
 */
export class WebhookChannel implements AlertChannel {
  readonly name: string;
  readonly #target: WebhookTarget;
  readonly #secrets: readonly KeyObject[];
  readonly #source: string;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #caPem: string | null;
  readonly #resolve: ResolveHost;

  /** @throws ConfigError ALERT_REFUSED for a target that can be told to be wrong without resolving its name; CONFIG_INVALID for secrets or the allow list */
  constructor(options: WebhookChannelOptions) {
    const { configPath } = options;
    if (options.secrets.length === 0) {
      const fault = { path: `${configPath}.secrets`, message: 'expected at least one secret, got none' };
      throw new ConfigError('CONFIG_INVALID', 'Cannot sign webhooks', [fault]);
    }
    this.name = options.name;
    this.#target = new WebhookTarget(
      options.url,
      readAllowedTargets(options.allowPrivate ?? [], `${configPath}.allowPrivate`),
      configPath,
    );
    this.#secrets = options.secrets.map((secret, index) => readSecret(secret, `${configPath}.secrets[${index}]`));
    this.#source = options.source;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs ?? 10_000;
    this.#caPem = options.caPem ?? null;
    this.#resolve = options.resolve ?? resolveHost;
  }

  /** @throws RangeError if the alert's id is not 1–256 visible ASCII characters without `.` */
  async deliver(alert: Alert, signal: AbortSignal): Promise<void> {
    if (!ID.test(alert.id)) throw new RangeError(`Cannot deliver alert "${alert.id}": its id must match ${ID.source}`);
    const answer = await this.#post(alert, signal);
    if (answer.status >= 200 && answer.status <= 299) return;
    const fields = { status: answer.status, permanent: isPermanent(answer.status), ...this.#retryAfter(answer) };
    throw this.#undelivered(
      alert,
      `answered ${answer.status}${isRedirect(answer.status) ? ', redirects are not followed' : ''}`,
      fields,
    );
  }

  async #post(alert: Alert, signal: AbortSignal): Promise<PostAnswer> {
    const body = cloudEventBody(alert, this.#source);
    const seconds = Math.floor(this.#clock.now() / 1000);
    const finished = new AbortController();
    const late = new AbortController();
    void this.#clock.sleep(this.#deadlineMs, finished.signal).then(() => late.abort());
    const end = AbortSignal.any([signal, late.signal]);
    try {
      const addresses = await unlessAborted(this.#target.resolve(this.#resolve), end);
      return await postPinned({
        url: this.#target.url,
        addresses,
        headers: {
          'content-type': CLOUD_EVENT_TYPE,
          'user-agent': 'headgate',
          'webhook-id': alert.id,
          'webhook-timestamp': String(seconds),
          'webhook-signature': signWebhook(alert.id, seconds, body, this.#secrets),
        },
        body,
        caPem: this.#caPem,
        signal: end,
      });
    } catch (cause) {
      if (cause instanceof HeadgateError) throw cause;
      const why = signal.aborted
        ? 'stopped before an answer'
        : late.signal.aborted
          ? `no answer within ${this.#deadlineMs} ms`
          : reason(cause);
      throw this.#undelivered(alert, why, { status: null, permanent: false }, cause);
    } finally {
      finished.abort();
    }
  }

  /** Seconds or an HTTP date (RFC 9110 §10.2.3); what is neither counts as not given. */
  #retryAfter({ retryAfter }: PostAnswer): { readonly retryAfterMs?: number } {
    if (retryAfter === null) return {};
    const ms = /^[0-9]{1,10}$/.test(retryAfter)
      ? Number(retryAfter) * 1000
      : Date.parse(retryAfter) - this.#clock.now();
    return Number.isNaN(ms) ? {} : { retryAfterMs: Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX) };
  }

  #undelivered(alert: Alert, why: string, fields: ErrorFields, cause?: unknown): UnavailableError {
    return new UnavailableError(
      'ALERT_UNDELIVERED',
      `Cannot deliver alert "${alert.id}" to channel "${this.name}" at "${this.#target.host}": ${why}`,
      { fields: { channel: this.name, ...fields }, cause },
    );
  }
}

function isRedirect(status: number): boolean {
  return status >= 300 && status <= 399;
}

function isPermanent(status: number): boolean {
  if (isRedirect(status)) return true;
  return status >= 400 && status <= 499 && status !== 408 && status !== 425 && status !== 429;
}

/** The first word of why: Node's code when it has one, since messages of resolvers and sockets name addresses inside. */
function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return 'the request failed';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

/** `promise`, or a rejection as soon as `signal` aborts: some work (name resolution) cannot be called off. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Error('stopped'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
