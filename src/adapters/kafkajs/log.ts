import type { ErrorFields } from '../../errors.ts';
import type { InternalLogger } from './internals.ts';

/** Receives what the adapter has to say. Fields are safe to keep: no record values, no secrets. */
export type KafkaLog = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: ErrorFields) => void;

/** Fields of kafkajs that are worth keeping and cannot hold a record or a secret. */
const KEPT_FIELDS = ['broker', 'clientId', 'correlationId', 'size', 'error'] as const;

/**
 * A logger for kafkajs that never writes by itself. All of it is `debug`: whatever goes wrong on a connection is thrown
 * as an error of ours, and told once.
 */
export function quietLogger(log: KafkaLog): InternalLogger {
  const tell = (message: string, extra: Record<string, unknown> = {}): void => {
    const fields: Record<string, string | number> = {};
    for (const name of KEPT_FIELDS) {
      const value = extra[name];
      if (typeof value === 'string' || typeof value === 'number') fields[name] = value;
    }
    log('debug', message, fields);
  };
  const logger: InternalLogger = { namespace: () => logger, debug: tell, info: tell, warn: tell, error: tell };
  return logger;
}
