import type { Socket } from 'node:net';

import { checkVersions, pickVersion } from './broker-versions.ts';
import { APIS, apiVersionsCall } from './calls.ts';
import type { Call } from './calls.ts';
import { dial } from './dial.ts';
import { connectionFailure, unavailable } from './failures.ts';
import { FrameReader } from './frame-reader.ts';
import { Connection } from './internals.ts';
import type { InternalConnection, InternalProtocol, InternalSasl, InternalVersions } from './internals.ts';
import { quietLogger } from './log.ts';
import type { KafkaLog } from './log.ts';
import { oauthBearer } from './oauth-bearer.ts';
import { formatAddress } from './options.ts';
import type { BrokerAddress, KafkaSaslOptions, KafkaSettings } from './options.ts';
import { WireReader } from './wire.ts';

/** A fetch answer may exceed the bytes asked for by one batch; one beyond 64 MiB is named by its header, so leave room for it. */
const FRAME_SLACK_BYTES = 256 * 1024 * 1024;
/** After a failed connection the next one waits, doubling from here. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 5_000;
/** Authenticates anew within the last tenth of a session, at most so long before its end. */
const REAUTHENTICATE_SHARE = 0.1;
const REAUTHENTICATE_MAX_MS = 10_000;

/** A connection and its socket. */
interface Line {
  readonly connection: InternalConnection;
  /** Set as soon as kafkajs dials. */
  socket: Socket | null;
  /** Set once the connection may carry requests. */
  versions: InternalVersions | null;
  /** Set at the first answer: the broker takes us for what we are. */
  isProven: boolean;
}

/**
 * One lane to one broker: connects when it is first used and again after it was lost; one request at a time.
 *
 * A broker answers the requests of a connection in order, so a second request in flight would gain nothing, and kafkajs
 * takes an answer that arrives while it authenticates anew for part of the authentication.
 * A request that fails leaves nothing behind: its socket is closed, so that a late answer cannot meet the next request.
 */
export class BrokerLink {
  /** `host:port`. */
  readonly address: string;
  readonly #target: BrokerAddress;
  readonly #settings: KafkaSettings;
  readonly #log: KafkaLog;
  #line: Line | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** Ends the wait that is going on. One slot, not a promise to race against: that would keep every answer alive as long as the socket. */
  #interrupt: ((error: Error) => void) | null = null;
  #isDestroyed = false;
  #failures = 0;
  #retryAtMs = 0;
  #lastFailure: Error | null = null;

  constructor(target: BrokerAddress, settings: KafkaSettings, log: KafkaLog) {
    this.#target = target;
    this.#settings = settings;
    this.#log = log;
    this.address = formatAddress(target);
  }

  /**
   * Sends a request and reads its answer.
   * @param timeoutMs longest wait for the answer; default: the request time-out
   * @throws {UnavailableError} when the broker cannot be reached or its answer does not parse
   * @throws {ConfigError} when TLS, SASL or the broker's version make it impossible
   */
  send<T>(call: Call<T>, timeoutMs: number = this.#settings.requestTimeoutMs): Promise<T> {
    const answer = this.#turn.then(() => this.#exchange(call, timeoutMs));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Closes the connection; requests under way and later ones fail. */
  destroy(): void {
    this.#isDestroyed = true;
    this.#drop(this.#closedError());
  }

  async #exchange<T>(call: Call<T>, timeoutMs: number): Promise<T> {
    const line = await this.#connected();
    const { connection, versions } = line;
    try {
      const version = pickVersion(call, versions!);
      const sent = connection.send(protocolOf(call, version));
      const payload = await this.#within(timeoutMs, `answer to ${call.api}`, sent);
      line.isProven = true;
      return call.decode(new WireReader(payload), version);
    } catch (error) {
      this.#drop(error as Error);
      const wantsSasl = !line.isProven && this.#settings.sasl === null;
      throw connectionFailure(this.address, error, wantsSasl ? 'if this is a SASL listener, set sasl' : undefined);
    }
  }

  async #connected(): Promise<Line> {
    if (this.#isDestroyed) throw this.#closedError();
    if (this.#line?.socket?.destroyed === false && this.#line.connection.isConnected()) return this.#line;
    this.#drop(this.#closedError());
    // Callers ask again at once; a broker that is down must not be dialled thousands of times a second.
    if (this.#lastFailure !== null && performance.now() < this.#retryAtMs) throw this.#lastFailure;
    const line: Line = { connection: this.#makeConnection(), socket: null, versions: null, isProven: false };
    this.#line = line;
    try {
      await this.#within(this.#settings.connectTimeoutMs, 'connection', this.#establish(line));
      this.#failures = 0;
      this.#lastFailure = null;
      return line;
    } catch (error) {
      this.#drop(error as Error);
      const failure = connectionFailure(this.address, error);
      // One line an outage.
      if (this.#failures === 0 && !this.#isDestroyed) this.#log('warn', failure.message, { broker: this.address });
      this.#retryAtMs = performance.now() + Math.min(RECONNECT_MIN_MS * 2 ** this.#failures++, RECONNECT_MAX_MS);
      this.#lastFailure = failure;
      throw failure;
    }
  }

  /** Connects, asks for versions, checks them, authenticates. */
  async #establish(line: Line): Promise<void> {
    const { connection } = line;
    await connection.connect();
    const payload = await connection.send(protocolOf(apiVersionsCall, 2));
    line.versions = checkVersions(this.address, apiVersionsCall.decode(new WireReader(payload), 2));
    connection.setVersions(line.versions);
    // Every broker that passes the check knows SaslAuthenticate.
    connection.setSupportAuthenticationProtocol(true);
    await connection.authenticate();
    // kafkajs's fixed 10 s would authenticate before every request of a shorter session, which brokers refuse (KIP-368).
    const lifetimeMs = connection.sessionLifetime.toNumber();
    connection.reauthenticationThreshold = Math.min(REAUTHENTICATE_MAX_MS, lifetimeMs * REAUTHENTICATE_SHARE);
  }

  /** One `Connection` a socket: kafkajs would put the rest of a dead socket's bytes before those of the next one. */
  #makeConnection(): InternalConnection {
    const { clientId, sasl, connectTimeoutMs, fetchBytesMax, tls } = this.#settings;
    const connection = new Connection({
      ...this.#target,
      clientId,
      logger: quietLogger(this.#log),
      sasl: sasl === null ? null : toInternalSasl(sasl),
      // Deadlines are ours; this one must not come first.
      connectionTimeout: connectTimeoutMs + 1_000,
      requestTimeout: 0,
      enforceRequestTimeout: false,
      socketFactory: ({ onConnect }) => {
        const socket = dial(this.#target, tls, onConnect);
        this.#watch(socket, connection);
        return socket;
      },
    });
    // With nothing pending, kafkajs's own version arms a timer of 1 ms again and again for as long as the connection lives.
    connection.requestQueue.scheduleCheckPendingRequests = () => undefined;
    const frames = new FrameReader(fetchBytesMax + FRAME_SLACK_BYTES, (frame) => {
      const correlationId = frame.readInt32BE(0);
      connection.requestQueue.fulfillRequest({ correlationId, payload: frame.subarray(4), size: frame.length });
    });
    connection.processData = (data) => {
      try {
        frames.push(data);
      } catch (error) {
        this.#lose(connection, error as Error);
      }
    };
    return connection;
  }

  #watch(socket: Socket, connection: InternalConnection): void {
    if (this.#line?.connection === connection) this.#line.socket = socket;
    socket.once('error', (error) => this.#lose(connection, error));
    // kafkajs does not listen for it: a socket that closes without an error would leave its requests waiting.
    socket.once('close', () =>
      this.#lose(connection, unavailable(`Cannot go on with Kafka broker "${this.address}": it closed the connection`)),
    );
  }

  /** The current connection is of no more use; an old one does not matter. */
  #lose(connection: InternalConnection, error: Error): void {
    if (this.#line?.connection === connection) this.#drop(error);
  }

  #drop(error: Error): void {
    const line = this.#line;
    this.#line = null;
    if (line !== null) {
      line.connection.rejectRequests(error);
      line.connection.requestQueue.destroy();
      // With an error, so that kafkajs clears the timer of a connection that is still being made.
      line.socket?.destroy(error);
    }
    this.#interrupt?.(error);
  }

  /** The result of `work`, unless the time is over or the connection is lost first. */
  #within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const finish = (settle: () => void): void => {
        // Late results come when the slot already belongs to the next wait.
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        this.#interrupt = null;
        settle();
      };
      const timer = setTimeout(() => {
        finish(() =>
          reject(unavailable(`Cannot wait longer than ${ms} ms for the ${what} of Kafka broker "${this.address}"`)),
        );
      }, ms);
      this.#interrupt = (error) => finish(() => reject(error));
      work.then(
        (value) => finish(() => resolve(value)),
        (error: unknown) => finish(() => reject(error)),
      );
    });
  }

  #closedError(): Error {
    return unavailable(`Cannot use the connection to Kafka broker "${this.address}": it was closed`);
  }
}

function protocolOf<T>(call: Call<T>, version: number): InternalProtocol<Buffer> {
  return {
    request: {
      apiKey: APIS[call.api].key,
      apiVersion: version,
      apiName: call.api,
      encode: () => {
        const body = call.encode(version);
        return Promise.resolve({ buf: body, buffer: body });
      },
    },
    // The answer is read by us, outside kafkajs, so that its faults are ours to name.
    // Throttle times are not waited for: the broker itself reads nothing more from a connection that it throttles (KIP-219).
    response: { decode: (payload) => Promise.resolve(payload), parse: (payload) => Promise.resolve(payload) },
  };
}

function toInternalSasl(sasl: KafkaSaslOptions): InternalSasl {
  return sasl.mechanism === 'oauthbearer' ? oauthBearer(sasl.token) : { ...sasl };
}
