import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/*
 * Every import from inside kafkajs 2.2.4 stands here; a unit test pins the SHA-256 of each file behind it.
 *
 * Taken: `Connection`, that is the socket's life, TLS and SASL. Not taken: everything above it, because it
 * - fails the metadata of all topics when one topic has an error (protocol/requests/metadata/v0/response.js),
 * - retries behind our back with timers that nothing can cancel (retry/index.js),
 * - commits a default offset when the wanted one is out of range (consumer/consumerGroup.js),
 * - keeps the member id of a waiting JoinGroup to itself, so that a shutdown cannot leave the group (broker/index.js),
 * - cuts text and bytes that reach past the end of an answer instead of refusing them (protocol/decoder.js).
 * What is wrong in `Connection` itself is replaced on each instance in link.ts.
 */

/** The part of kafkajs's logger that `Connection` calls. */
export interface InternalLogger {
  namespace(name: string): InternalLogger;
  debug(message: string, extra?: Record<string, unknown>): void;
  info(message: string, extra?: Record<string, unknown>): void;
  warn(message: string, extra?: Record<string, unknown>): void;
  error(message: string, extra?: Record<string, unknown>): void;
}

/** An encoded body in the shape of kafkajs's `Encoder`. */
export interface InternalEncoded {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** What `Connection.send` takes. */
export interface InternalProtocol<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    readonly encode: () => Promise<InternalEncoded>;
  };
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<T>;
    readonly parse: (decoded: T) => Promise<T>;
  };
}

/** One step of a SASL exchange: bytes to the broker, each with a length of 4 bytes before them, and bytes back. */
export type InternalSaslStep = <T>(step: {
  readonly request: { readonly encode: () => Promise<Buffer> };
  readonly response: { readonly decode: (answer: Buffer) => Promise<T>; readonly parse: (decoded: T) => Promise<T> };
}) => Promise<T>;

/** SASL in kafkajs's own words. */
export interface InternalSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer';
  readonly username?: string;
  readonly password?: string;
  /** Takes the place of the built-in mechanism. */
  readonly authenticationProvider?: (connection: { readonly saslAuthenticate: InternalSaslStep }) => {
    readonly authenticate: () => Promise<void>;
  };
}

/** Options of `Connection`. */
export interface InternalConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly logger: InternalLogger;
  readonly sasl: InternalSasl | null;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly enforceRequestTimeout: boolean;
  readonly socketFactory: (target: {
    readonly host: string;
    readonly port: number;
    readonly onConnect: () => void;
  }) => Socket;
}

/** Lowest and highest version of an API that a broker speaks, by API key. */
export type InternalVersions = Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>;

/** One socket to one broker. */
export interface InternalConnection {
  isConnected(): boolean;
  connect(): Promise<unknown>;
  authenticate(): Promise<void>;
  setVersions(versions: InternalVersions): void;
  setSupportAuthenticationProtocol(isSupported: boolean): void;
  send<T>(protocol: InternalProtocol<T>): Promise<T>;
  rejectRequests(error: Error): void;
  processData: (data: Buffer) => void;
  /** Set by the broker when it authenticates us; 0 ms = for ever. */
  readonly sessionLifetime: { toNumber(): number };
  /** So long before the session ends, the next request authenticates anew. */
  reauthenticationThreshold: number;
  readonly requestQueue: {
    fulfillRequest(answer: { readonly correlationId: number; readonly payload: Buffer; readonly size: number }): void;
    scheduleCheckPendingRequests: () => void;
    destroy(): void;
  };
}

const require = createRequire(import.meta.url);

/** kafkajs/src/network/connection.js */
export const Connection = require('kafkajs/src/network/connection') as new (
  options: InternalConnectionOptions,
) => InternalConnection;
