/** What people are told. Holds no record value and no category value unless its column was opted in. */
export interface Alert {
  /** Stable across retries and rebuilds: derived from the digest of the entry that caused it. */
  readonly id: string;
  /** CloudEvents type, e.g. `dev.headgate.batch.quarantined`. */
  readonly type: string;
  /** What it is about: the log and offsets of a batch, or a ref. */
  readonly subject: string;
  /** Time of the cause (not of the sending), ISO 8601 UTC. */
  readonly time: string;
  readonly severity: 'info' | 'warning' | 'critical';
  /** One sentence for a person. */
  readonly summary: string;
  /** Facts for a program. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A place where people hear. Delivers at least once; receivers drop repeats by id. */
export interface AlertChannel {
  /** Name from the configuration; part of the receipt's key. */
  readonly name: string;
  /** @throws UnavailableError ALERT_UNDELIVERED to be tried again; ConfigError ALERT_REFUSED never */
  deliver(alert: Alert, signal: AbortSignal): Promise<void>;
}
