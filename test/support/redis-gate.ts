import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

import type { Certificate } from './webhook-receiver.ts';

/** A port of ours in front of a real Redis, which can be shut, frozen and opened again: an outage without touching the server. */
export class RedisGate implements AsyncDisposable {
  readonly port: number;
  readonly #target: URL;
  readonly #certificate: Certificate | null;
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #isFrozen = false;

  private constructor(server: Server, target: URL, certificate: Certificate | null) {
    this.#server = server;
    this.#target = target;
    this.#certificate = certificate;
    this.port = (server.address() as AddressInfo).port;
    this.#serve(server);
  }

  /** Opens a gate on a free loopback port. With `certificate` it speaks TLS in front. */
  static async open(targetUrl: string, certificate: Certificate | null = null): Promise<RedisGate> {
    return new RedisGate(await listen(0, certificate), new URL(targetUrl), certificate);
  }

  /** The URL of Redis through the gate. */
  url(database = 0): string {
    const { username, password } = this.#target;
    const credentials = username === '' && password === '' ? '' : `${username}:${password}@`;
    return `${this.#certificate === null ? 'redis' : 'rediss'}://${credentials}127.0.0.1:${this.port}/${database}`;
  }

  /** Cuts all connections and refuses new ones. */
  async shut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Lets connections in and bytes through again after {@link shut}. */
  async reopen(): Promise<void> {
    this.#isFrozen = false;
    this.#server = await listen(this.port, this.#certificate);
    this.#serve(this.#server);
  }

  /** Keeps connections, and lets nothing through. */
  freeze(): void {
    this.#isFrozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shut();
  }

  #serve(server: Server): void {
    server.on(this.#certificate === null ? 'connection' : 'secureConnection', (near: Socket) => {
      const far = connect(Number(this.#target.port || 6379), this.#target.hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far);
      far.pipe(near);
      if (this.#isFrozen) {
        near.pause();
        far.pause();
      }
    });
  }
}

async function listen(port: number, certificate: Certificate | null): Promise<Server> {
  const server =
    certificate === null ? createServer() : createTlsServer({ key: certificate.keyPem, cert: certificate.certPem });
  server.on('error', () => {});
  // A client that does not trust the certificate goes away in the middle of the handshake.
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}
