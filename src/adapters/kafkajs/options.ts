import { isIP } from 'node:net';

import { ConfigError } from '../../errors.ts';
import type { ConfigFault } from '../../errors.ts';

/** TLS to the brokers. The broker's certificate is always verified. */
export interface KafkaTlsOptions {
  /** PEM certificates of the CA; default: those that Node trusts. */
  readonly ca?: string | undefined;
  /** PEM client certificate, for mutual TLS; needs `key`. */
  readonly cert?: string | undefined;
  /** PEM private key of `cert`. Secret. */
  readonly key?: string | undefined;
  /** Name that the brokers' certificates must carry; default: the host name of each broker. */
  readonly serverName?: string | undefined;
}

/** How we say who we are. Secrets are used for nothing else and never logged. */
export type KafkaSaslOptions =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /** Gives a token for each new connection; reuses one while it is valid. */
      readonly token: () => Promise<string>;
    };

/** Options of the Kafka source. Times are in milliseconds, sizes in bytes. */
export interface KafkaSourceOptions {
  /** `host:port`, at least one; IPv6 hosts in brackets. */
  readonly brokers: readonly string[];
  /** Name in the brokers' logs and quotas. */
  readonly clientId: string;
  /** Consumer group. All its members must be Headgate. */
  readonly groupId: string;
  /** Topics to read, at least one. */
  readonly topics: readonly string[];
  readonly tls?: KafkaTlsOptions | null | undefined;
  readonly sasl?: KafkaSaslOptions | null | undefined;
  /** The group forgets a member that is silent for this long, 1,000–1,800,000; the broker has limits of its own. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long the group waits for its members when it divides partitions anew. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Longest wait of one fetch for new records. */
  readonly fetchWaitMs?: number | undefined;
  /** Most bytes that one poll asks for, over all brokers; one batch larger than this is still read. */
  readonly fetchBytesMax?: number | undefined;
  /** Most bytes of one partition in one poll; raised by itself while a batch is larger, up to 64 MiB. */
  readonly partitionBytesMax?: number | undefined;
  /** Largest inflated batch, and most bytes that one poll inflates beyond its first batches. */
  readonly batchInflatedBytesMax?: number | undefined;
  /** New partitions are noticed within this time. */
  readonly metadataMaxAgeMs?: number | undefined;
  /** Longest wait for a connection with TLS and SASL. */
  readonly connectTimeoutMs?: number | undefined;
  /** Longest wait for an answer, beyond the time that the request itself may take. */
  readonly requestTimeoutMs?: number | undefined;
}

/** Defaults of {@link KafkaSourceOptions}. */
export const KAFKA_SOURCE_DEFAULTS = {
  sessionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 60_000,
  fetchWaitMs: 500,
  fetchBytesMax: 16 * 1024 * 1024,
  partitionBytesMax: 2 * 1024 * 1024,
  batchInflatedBytesMax: 64 * 1024 * 1024,
  metadataMaxAgeMs: 30_000,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
} as const;

/** Host and port of a broker; an IPv6 host has no brackets. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

type Timing = { readonly [Name in keyof typeof KAFKA_SOURCE_DEFAULTS]: number };

/** Options with defaults filled in and addresses parsed. */
export interface KafkaSettings extends Timing {
  readonly brokers: readonly BrokerAddress[];
  readonly clientId: string;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly tls: KafkaTlsOptions | null;
  readonly sasl: KafkaSaslOptions | null;
}

const LIMITS: { readonly [Name in keyof Timing]: readonly [min: number, max: number] } = {
  sessionTimeoutMs: [1_000, 1_800_000],
  rebalanceTimeoutMs: [1_000, 3_600_000],
  fetchWaitMs: [1, 60_000],
  fetchBytesMax: [1_024, 1_024 ** 3],
  partitionBytesMax: [1_024, 64 * 1_024 ** 2],
  // Positions in a chunk have 32 bits; it may hold twice this much.
  batchInflatedBytesMax: [1_024, 512 * 1_024 ** 2],
  metadataMaxAgeMs: [100, 3_600_000],
  connectTimeoutMs: [100, 300_000],
  requestTimeoutMs: [1_000, 300_000],
};

/** Source: Kafka's `Topic.validate`. */
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;

/** Checks and completes options. @throws {ConfigError} with every fault at once */
export function resolveOptions(options: KafkaSourceOptions): KafkaSettings {
  const faults: ConfigFault[] = [];
  const brokers = options.brokers.map((text, i) => parseBroker(text, `brokers[${i}]`, faults));
  if (brokers.length === 0) faults.push({ path: 'brokers', message: 'must name at least one broker as "host:port"' });
  if (options.topics.length === 0) faults.push({ path: 'topics', message: 'must name at least one topic' });
  options.topics.forEach((topic, i) => checkTopic(topic, `topics[${i}]`, faults));
  for (const name of ['clientId', 'groupId'] as const) {
    if (options[name] === '') faults.push({ path: name, message: 'must not be empty' });
  }
  const { tls = null, sasl = null } = options;
  if (tls !== null && (tls.cert === undefined) !== (tls.key === undefined)) {
    faults.push({ path: 'tls', message: 'must have both cert and key, or neither' });
  }
  const timing = resolveTiming(options, faults);
  if (faults.length > 0) throw new ConfigError('CONFIG_INVALID', 'Cannot read from Kafka with these options', faults);
  const { clientId, groupId } = options;
  return { ...timing, brokers, clientId, groupId, topics: [...new Set(options.topics)].toSorted(), tls, sasl };
}

function resolveTiming(options: KafkaSourceOptions, faults: ConfigFault[]): Timing {
  const timing: Partial<Record<keyof Timing, number>> = {};
  for (const name of Object.keys(LIMITS) as (keyof Timing)[]) {
    const value = options[name] ?? KAFKA_SOURCE_DEFAULTS[name];
    const [min, max] = LIMITS[name];
    if (!Number.isInteger(value) || value < min || value > max) {
      faults.push({ path: name, message: `must be a whole number from ${min} to ${max}, is ${value}` });
    }
    timing[name] = value;
  }
  return timing as Timing;
}

function parseBroker(text: string, path: string, faults: ConfigFault[]): BrokerAddress {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(portText);
  if (host === undefined || port < 1 || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    faults.push({ path, message: `must be "host:port", is ${JSON.stringify(text)}` });
    return { host: '', port: 0 };
  }
  return { host, port };
}

function checkTopic(topic: string, path: string, faults: ConfigFault[]): void {
  if (!TOPIC_NAME.test(topic) || topic === '.' || topic === '..') {
    const message = `must have 1–249 characters of A–Z, a–z, 0–9, ".", "_" and "-", is ${JSON.stringify(topic)}`;
    faults.push({ path, message });
  }
}

/** `host:port` as people write it. */
export function formatAddress({ host, port }: BrokerAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
