import type { Alert } from '../../ports/alert-channel.ts';

/** Media type of {@link cloudEventBody}. */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json; charset=UTF-8';

/**
 * An alert as a CloudEvent in structured JSON, UTF-8. Same alert, same bytes: nothing in it tells of the sending.
 * `data` holds `severity`, `summary` and, under `facts`, the alert's own data; integers beyond 2^53 become decimal text.
 * @param source who speaks: a URI reference that, with the id, is unique for all time, e.g. `/headgate/orders`.
 * Source: CloudEvents 1.0.2 §3 "Context Attributes" and its JSON event format.
 */
export function cloudEventBody(alert: Alert, source: string): Uint8Array {
  const event = {
    specversion: '1.0',
    id: alert.id,
    source,
    type: alert.type,
    subject: alert.subject,
    time: alert.time,
    datacontenttype: 'application/json',
    data: { severity: alert.severity, summary: alert.summary, facts: alert.data },
  };
  const json = JSON.stringify(event, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  return Buffer.from(json, 'utf8');
}
