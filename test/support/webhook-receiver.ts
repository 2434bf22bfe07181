import { execFileSync } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the receiver does with a request once it has read it. */
export type ReceiverAnswer =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Sends the head, then one byte of body each `everyMs`, without end. */
  | { readonly kind: 'drip'; readonly status: number; readonly everyMs: number }
  /** Sends the head, then `bytes` of body as fast as the other side reads. */
  | { readonly kind: 'flood'; readonly status: number; readonly bytes: number }
  /** Closes the connection without a word. */
  | { readonly kind: 'cut' }
  /** Answers with these bytes instead of HTTP of Node's making. */
  | { readonly kind: 'raw'; readonly bytes: string };

/** One request as it came in. */
export interface Delivery {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  /** null if the signature holds, else why it does not. */
  readonly fault: string | null;
}

/** Key and self-signed certificate, PEM. */
export interface Certificate {
  readonly keyPem: string;
  readonly certPem: string;
}

const TOLERANCE_SECONDS = 300;

/**
 * Why a request is not signed after Standard Webhooks with `secret`; null if it is. Written from the specification, apart from the sender.
 * @param nowSeconds seconds since 1970; the timestamp may differ by five minutes.
 */
export function webhookFault(
  headers: Delivery['headers'],
  body: Buffer,
  secret: string,
  nowSeconds: number,
): string | null {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  if (id === undefined || timestamp === undefined || signatures === undefined) return 'a header is missing';
  if (!/^[0-9]{1,12}$/.test(timestamp)) return 'the timestamp is not a number';
  if (Math.abs(nowSeconds - Number(timestamp)) > TOLERANCE_SECONDS) return 'the timestamp is too far off';
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const expected = createHmac('sha256', key).update(signed).digest();
  for (const signature of signatures.split(' ')) {
    const [version, value = ''] = signature.split(',');
    const given = Buffer.from(value, 'base64');
    if (version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected)) return null;
  }
  return 'no signature matches';
}

/** A real HTTP(S) server on one loopback address that checks signatures and keeps what came in. */
export class WebhookReceiver implements AsyncDisposable {
  /** What came in, in order. */
  readonly deliveries: Delivery[] = [];
  /** Bytes of answers that the other side took. */
  bytesSent = 0;
  /** What it does with the next requests; a list is used up from the front, its last one stays. */
  answers: ReceiverAnswer[] = [{ kind: 'status', status: 204 }];
  readonly #server: Server;
  readonly #secret: string;

  private constructor(server: Server, secret: string) {
    this.#server = server;
    this.#secret = secret;
    server.on('request', (request, response) => void this.#receive(request, response));
  }

  /**
   * Starts listening.
   * @param options `host` is a loopback address, `port` 0 for a free one; with `certificate` it speaks TLS.
   */
  static async open(options: {
    readonly secret: string;
    readonly host?: string;
    readonly port?: number;
    readonly certificate?: Certificate;
  }): Promise<WebhookReceiver> {
    const { certificate } = options;
    const server =
      certificate === undefined
        ? createPlainServer()
        : createTlsServer({ key: certificate.keyPem, cert: certificate.certPem });
    const receiver = new WebhookReceiver(server, options.secret);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
    });
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ids of all deliveries, in order. */
  get ids(): readonly (string | undefined)[] {
    return this.deliveries.map(({ headers }) => headers['webhook-id']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const headers = request.headers as Delivery['headers'];
    const fault = webhookFault(headers, body, this.#secret, Math.floor(Date.now() / 1000));
    this.deliveries.push({ method: request.method ?? '', path: request.url ?? '', headers, body, fault });
    const [answer] = this.answers;
    if (this.answers.length > 1) this.answers.shift();
    response.on('error', () => {});
    if (answer !== undefined) this.#answer(answer, response);
  }

  #answer(answer: ReceiverAnswer, response: ServerResponse): void {
    if (answer.kind === 'hang') return;
    if (answer.kind === 'cut') return void response.socket?.destroy();
    if (answer.kind === 'raw') return void response.socket?.end(answer.bytes);
    response.writeHead(answer.status, answer.kind === 'status' ? answer.headers : {});
    if (answer.kind === 'status') response.end();
    else if (answer.kind === 'drip') drip(response, answer.everyMs);
    else this.#flood(response, answer.bytes);
  }

  #flood(response: ServerResponse, bytes: number): void {
    const chunk = Buffer.alloc(16_384);
    const write = (left: number): void => {
      if (left <= 0) return void response.end();
      response.write(chunk, (error) => {
        if (error) return;
        this.bytesSent += chunk.length;
        write(left - chunk.length);
      });
    };
    write(bytes);
  }
}

function drip(response: ServerResponse, everyMs: number): void {
  const timer = setInterval(() => response.write('.'), everyMs);
  response.on('close', () => clearInterval(timer));
}

/**
 * A key and a certificate for `names`, good for a day, signed by itself.
 * @param names subject alternative names as OpenSSL writes them: `DNS:hooks.test`, `IP:127.0.0.1`.
 */
export function makeCertificate(names: readonly string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-certificate-'));
  try {
    const key = join(folder, 'key.pem');
    const cert = join(folder, 'cert.pem');
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
    const subject = ['-subj', '/CN=headgate test', '-addext', `subjectAltName=${names.join(',')}`];
    execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' });
    return { keyPem: readFileSync(key, 'utf8'), certPem: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
