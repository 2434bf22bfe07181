import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

import { APIS } from '../../src/adapters/kafkajs/calls.ts';
import type { ApiName } from '../../src/adapters/kafkajs/calls.ts';
import { WireReader, WireWriter } from '../../src/adapters/kafkajs/wire.ts';

/** A request as it came. */
export interface FakeRequest {
  readonly api: ApiName;
  readonly version: number;
  /** Body after the header. */
  readonly body: WireReader;
  readonly socket: Socket;
}

/** What to answer: the body, nothing at all (never), or raw bytes instead of a frame. */
export type FakeAnswer = Buffer | null | { readonly raw: Buffer };
export type FakeHandler = (request: FakeRequest) => FakeAnswer | Promise<FakeAnswer>;

/** A broker made of handlers, for what no real broker does on demand. Answers in order, like a real one. */
export class FakeBroker implements AsyncDisposable {
  readonly handlers = new Map<ApiName, FakeHandler>();
  /** Names of the requests that came, without ApiVersions and Metadata. */
  readonly seen: ApiName[] = [];
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (socket) => this.#serve(socket));
    this.handlers.set('ApiVersions', () => apiVersionsAnswer());
  }

  static async start(): Promise<FakeBroker> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeBroker(server);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  on(api: ApiName, handler: FakeHandler): this {
    this.handlers.set(api, handler);
    return this;
  }

  /** Ends all connections. */
  disconnectAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnectAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    let pending = Buffer.alloc(0);
    let turn = Promise.resolve();
    socket.on('data', (data) => {
      pending = Buffer.concat([pending, data]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
        const frame = pending.subarray(4, 4 + pending.readInt32BE(0));
        pending = pending.subarray(4 + frame.length);
        turn = turn.then(() => this.#answer(socket, frame));
      }
    });
  }

  async #answer(socket: Socket, frame: Buffer): Promise<void> {
    const body = new WireReader(frame);
    const [key, version, correlationId] = [body.int16(), body.int16(), body.int32()];
    body.nullableText();
    const api = (Object.keys(APIS) as ApiName[]).find((name) => APIS[name].key === key)!;
    if (api !== 'ApiVersions' && api !== 'Metadata') this.seen.push(api);
    const handler = this.handlers.get(api);
    if (handler === undefined) {
      socket.destroy();
      return;
    }
    const answer = await handler({ api, version, body, socket });
    if (answer === null) return;
    if ('raw' in answer) socket.write(answer.raw);
    else socket.write(frameOf(correlationId, answer));
  }
}

/** A frame with its length and correlation id. */
export function frameOf(correlationId: number, body: Buffer): Buffer {
  return new WireWriter()
    .int32(body.length + 4)
    .int32(correlationId)
    .raw(body)
    .finish();
}

/** Every API in the versions that we speak, with changes. */
export function apiVersionsAnswer(changes: Partial<Record<ApiName, readonly [number, number] | null>> = {}): Buffer {
  const entries = (Object.keys(APIS) as ApiName[]).flatMap((api) => {
    const change = changes[api];
    if (change === null) return [];
    const range = change ?? [Math.min(...APIS[api].versions), Math.max(...APIS[api].versions)];
    return [[APIS[api].key, ...range] as const];
  });
  const writer = new WireWriter().int16(0);
  return writer
    .array(entries, ([key, min, max]) => void writer.int16(key).int16(min).int16(max))
    .int32(0)
    .finish();
}

/** A topic of a fake cluster: leader of each partition by index. */
export interface FakeTopic {
  readonly name: string;
  readonly leaders: readonly number[];
  readonly errorCode?: number;
  /** 32 hex digits; none is told in old versions. */
  readonly id?: string;
}

/** Metadata in the version that was asked for. */
export function metadataAnswer(
  version: number,
  brokers: ReadonlyMap<number, FakeBroker>,
  topics: readonly FakeTopic[],
  clusterId: string | null = 'fake-cluster',
): Buffer {
  return version >= 9 ? flexibleMetadata(brokers, topics, clusterId) : plainMetadata(brokers, topics, clusterId);
}

function plainMetadata(
  brokers: ReadonlyMap<number, FakeBroker>,
  topics: readonly FakeTopic[],
  clusterId: string | null,
): Buffer {
  const writer = new WireWriter().int32(0);
  writer.array(
    [...brokers],
    ([id, { port }]) => void writer.int32(id).text('127.0.0.1').int32(port).nullableText(null),
  );
  writer.nullableText(clusterId).int32(1);
  writer.array(topics, ({ name, leaders, errorCode = 0 }) => {
    writer.int16(errorCode).text(name).int8(0);
    writer.array(
      leaders,
      (leader) => void writer.int16(0).int32(leaders.indexOf(leader)).int32(leader).int32(0).int32(0).int32(0),
    );
  });
  return writer.finish();
}

function flexibleMetadata(
  brokers: ReadonlyMap<number, FakeBroker>,
  topics: readonly FakeTopic[],
  clusterId: string | null,
): Buffer {
  const writer = new WireWriter().noTags().int32(0);
  writer.compactArray([...brokers], ([id, { port }]) => {
    writer.int32(id).compactText('127.0.0.1').int32(port).unsignedVarint(0).noTags();
  });
  if (clusterId === null) writer.unsignedVarint(0);
  else writer.compactText(clusterId);
  writer.int32(1);
  writer.compactArray(topics, ({ name, leaders, errorCode = 0, id = '' }) => {
    writer.int16(errorCode).compactText(name).uuid(id.padStart(32, '0')).int8(0);
    writer.compactArray([...leaders.entries()], ([index, leader]) => {
      writer.int16(0).int32(index).int32(leader).int32(0);
      for (let i = 0; i < 3; i++) writer.unsignedVarint(1);
      writer.noTags();
    });
    writer.int32(0).noTags();
  });
  return writer.noTags().finish();
}
