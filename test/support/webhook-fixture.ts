import { systemClock } from '../../src/adapters/system/clock.ts';
import type { HostAddress, ResolveHost } from '../../src/adapters/webhook/target.ts';
import { WebhookChannel, type WebhookChannelOptions } from '../../src/adapters/webhook/webhook-channel.ts';
import { UnavailableError } from '../../src/errors.ts';
import type { Alert } from '../../src/ports/alert-channel.ts';

/** The secret of {@link channelTo}. */
export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** A signal that never aborts. */
export const NEVER = new AbortController().signal;

/** An alert with text in it that needs care. */
export const ALERT: Alert = {
  id: 'sha256-b3f0',
  type: 'dev.headgate.batch.quarantined',
  subject: 'kafka/orders/3@100-199',
  time: '2026-09-01T12:00:00.000Z',
  severity: 'critical',
  summary: 'Batch held: "amount" drifted \u202e',
  data: { offsets: [100, 199] },
};

const v4 = (address: string): HostAddress => ({ address, family: 4 });

/** Resolves every name to 127.0.0.1. */
export const toLoopback: ResolveHost = () => Promise.resolve([v4('127.0.0.1')]);

/** Gives one list of addresses a call; the last one stays. Keeps the names that were asked for. */
export function scriptedResolver(...answers: readonly string[][]): {
  readonly resolve: ResolveHost;
  readonly asked: string[];
} {
  const asked: string[] = [];
  const left = [...answers];
  const resolve: ResolveHost = async (hostname) => {
    asked.push(hostname);
    const answer = left.length > 1 ? left.shift() : left[0];
    return (answer ?? []).map(v4);
  };
  return { resolve, asked };
}

/** A channel that may reach 127.0.0.1 and has two seconds. */
export function channelTo(url: string, options: Partial<WebhookChannelOptions> = {}): WebhookChannel {
  return new WebhookChannel({
    name: 'ops',
    url,
    secrets: [SECRET],
    source: '/headgate/orders',
    configPath: 'alerts.channels[0]',
    clock: systemClock,
    allowPrivate: ['127.0.0.1'],
    deadlineMs: 2_000,
    ...options,
  });
}

/** The UnavailableError that a delivery ends with. @throws {Error} whatever else it ends with */
export async function failureOf(delivery: Promise<void>): Promise<UnavailableError> {
  const error: unknown = await delivery.then(
    () => new Error('it was delivered'),
    (reason: unknown) => reason,
  );
  if (error instanceof UnavailableError) return error;
  throw error;
}
