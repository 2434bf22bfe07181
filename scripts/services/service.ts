import type { ServiceContext } from './context.ts';
import type { Tool } from './toolchain.ts';

/** A user of the Kafka listener with SASL. */
export interface KafkaUser {
  readonly mechanism: 'scram-sha-256' | 'scram-sha-512' | 'plain';
  readonly username: string;
  readonly password: string;
}

/** How Kafka is reached. The secured listeners are unknown (null) when the broker was named by the environment. */
export interface KafkaAddress {
  /** `host:port` of the listener without security. */
  readonly brokers: readonly string[];
  readonly saslSsl: {
    readonly brokers: readonly string[];
    readonly caFile: string;
    readonly users: readonly KafkaUser[];
  } | null;
  readonly mtls: {
    readonly brokers: readonly string[];
    readonly caFile: string;
    readonly certificateFile: string;
    readonly keyFile: string;
  } | null;
}

/** How the S3 server is reached: path-style addressing, one root account. */
export interface S3Address {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** How Redis is reached. */
export interface RedisAddress {
  readonly url: string;
}

/** Where a program was installed. */
export interface ProgramAddress {
  readonly path: string;
}

/** Every part of the toolchain and its kind of address. */
export interface Addresses {
  readonly kafka: KafkaAddress;
  readonly s3: S3Address;
  readonly redis: RedisAddress;
  readonly cosign: ProgramAddress;
  readonly python: ProgramAddress;
}

export type ServiceName = keyof Addresses;
export type ServerName = 'kafka' | 's3' | 'redis';

/** What `status` says of one service. */
export interface ServiceStatus {
  readonly state: 'running' | 'installed' | 'stopped' | 'not installed';
  /** Address, pid or path, for people. */
  readonly detail: string;
}

/** One part of the toolchain: a server, or a program that tests call. */
export interface Service<Address> {
  readonly name: string;
  /** The address that the environment names, to be used as it is; null when it names none.
   * @throws {Error} if only a part of it is named. */
  readonly find: (environment: NodeJS.ProcessEnv) => Address | null;
  /** System tools that the coming install and start need: fewer once it is installed. */
  readonly tools: (context: ServiceContext) => Promise<readonly Tool[]>;
  /** Downloads or builds it below the services folder; does nothing when that was done before. @throws {Error} with the command that failed */
  readonly install: (context: ServiceContext) => Promise<void>;
  /** Starts it empty unless it runs already, and waits until it answers a real request; for a program: says where it is.
   * @throws {Error} with the end of its log if it ends or stays silent. */
  readonly start: (context: ServiceContext) => Promise<Address>;
  /** @returns false if there was nothing to stop. */
  readonly stop: (context: ServiceContext, signal?: NodeJS.Signals) => Promise<boolean>;
  readonly status: (context: ServiceContext) => Promise<ServiceStatus>;
}

/** A service with a process. */
export interface Server<Address> extends Service<Address> {
  /** Starts a stopped server again, on the same ports and with the data it had. @throws {Error} if it was never started */
  readonly resume: (context: ServiceContext) => Promise<Address>;
  /** One real request. @throws {Error} if it is not answered as it should be */
  readonly ping: (address: Address) => Promise<void>;
}
