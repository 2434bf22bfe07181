/** Time, given from outside so that the simulator can own it. */
export interface Clock {
  /** Wall clock in milliseconds since 1970 UTC. May jump. */
  now(): number;
  /** Monotonic milliseconds; only differences mean anything. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
