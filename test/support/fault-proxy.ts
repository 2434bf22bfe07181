import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What a {@link FaultProxy} does with the connections that go through it. */
export type Fault =
  | { readonly kind: 'pass' }
  /** Every piece of an answer arrives so much later. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Requests get through; each connection is ended once so many bytes of answers went through it. 0 = the answer is lost. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** As `cut`, but the connection stays and says nothing more. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Accepts connections and requests, and passes neither on. */
  | { readonly kind: 'silent' }
  /** Resets every connection (RST). */
  | { readonly kind: 'reset' }
  /** Nobody listens; open connections are reset. */
  | { readonly kind: 'refuse' };

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  /** Bytes of answers that were let through under the present fault. */
  answered: number;
}

/** A port of ours in front of a real server, on which the network can be made to fail without touching the server. */
export class FaultProxy implements AsyncDisposable {
  readonly port: number;
  /** Connections that were accepted so far. */
  accepted = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #connections = new Set<Connection>();
  #server: Server;
  #fault: Fault = { kind: 'pass' };

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    this.#serve(server);
  }

  /** Opens a proxy on a free loopback port. @param targetUrl where the real server listens: scheme, host and port */
  static async open(targetUrl: string): Promise<FaultProxy> {
    const { protocol, hostname, port } = new URL(targetUrl);
    const target = { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) };
    return new FaultProxy(await listen(0), target);
  }

  /** The proxy as an HTTP server. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#connections.size;
  }

  /** Changes what happens from now on, also to connections that are open; bytes of answers are counted anew. */
  async set(fault: Fault): Promise<void> {
    const wasRefusing = this.#fault.kind === 'refuse';
    this.#fault = fault;
    for (const connection of this.#connections) connection.answered = 0;
    if (fault.kind === 'reset' || fault.kind === 'refuse') this.#dropAll();
    if (fault.kind === 'refuse' && !wasRefusing) await new Promise((resolve) => this.#server.close(resolve));
    if (fault.kind !== 'refuse' && wasRefusing) {
      this.#server = await listen(this.port);
      this.#serve(this.#server);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.set({ kind: 'refuse' });
  }

  #serve(server: Server): void {
    server.on('connection', (near: Socket) => {
      this.accepted++;
      if (this.#fault.kind === 'reset') {
        near.resetAndDestroy();
        return;
      }
      const connection = { near, far: connect(this.#target), answered: 0 };
      this.#connections.add(connection);
      this.#forward(connection);
    });
  }

  #forward(connection: Connection): void {
    const { near, far } = connection;
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#drop(connection));
    }
    near.on('data', (request: Buffer) => {
      if (this.#fault.kind !== 'silent') far.write(request);
    });
    far.on('data', (answer: Buffer) => {
      const fault = this.#fault;
      if (fault.kind === 'latency') setTimeout(() => near.write(answer), fault.ms).unref();
      else if (fault.kind === 'pass') near.write(answer);
      else if (fault.kind === 'cut' || fault.kind === 'stall') this.#limit(connection, answer, fault);
    });
  }

  /** Lets through what is still allowed, then ends or silences the connection. */
  #limit(connection: Connection, answer: Buffer, { kind, afterBytes }: Fault & { kind: 'cut' | 'stall' }): void {
    const part = answer.subarray(0, Math.max(0, afterBytes - connection.answered));
    connection.answered += part.length;
    const isOver = connection.answered >= afterBytes;
    connection.near.write(part, () => {
      if (isOver && kind === 'cut') this.#drop(connection);
    });
  }

  #drop(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    connection.near.destroy();
    connection.far.destroy();
  }

  #dropAll(): void {
    for (const { near, far } of this.#connections) {
      near.resetAndDestroy();
      far.destroy();
    }
    this.#connections.clear();
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}
