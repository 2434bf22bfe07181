import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

/** One request as it came in. */
export interface S3Request {
  readonly method: string;
  /** Without the bucket; '' for requests about the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** An answer instead of the one that the request deserves. */
export interface S3Answer {
  readonly status: number;
  /** Error code in the XML body. */
  readonly code?: string;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whole body, in place of the error's XML; in parts as they come. */
  readonly body?: string | AsyncIterable<Buffer>;
}

/** How `If-None-Match: *` is taken: honoured, ignored as older servers do, or refused as not implemented. */
export type Conditions = 'honoured' | 'ignored' | 'not-implemented';

/**
 * As much of an S3 server as a store uses, in memory, for what a real one cannot be made to do: to answer with a given
 * error, to ignore conditions, to list nonsense. It looks at no signature.
 */
export class FakeS3 implements AsyncDisposable {
  /** What came in, in order. */
  readonly requests: S3Request[] = [];
  readonly objects = new Map<string, Buffer>();
  /** Answers to the next requests, in order; null = the one that it deserves. */
  readonly answers: (S3Answer | null)[] = [];
  conditions: Conditions = 'honoured';
  /** What its clock says, for the Date of its answers; null = the time. */
  date: Date | null = null;
  /** Asked first, for each request; null leaves it to the rest. */
  answer: (request: S3Request) => S3Answer | null = () => null;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<FakeS3> {
    const server = createServer();
    const fake = new FakeS3(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void fake.#take(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Methods of the requests so far. */
  get methods(): string[] {
    return this.requests.map(({ method }) => method);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of message) parts.push(part as Buffer);
    const { pathname, searchParams } = new URL(message.url ?? '/', this.endpoint);
    const [, , ...key] = pathname.split('/');
    const request = {
      method: message.method ?? '',
      key: key.map(decodeURIComponent).join('/'),
      query: searchParams,
      headers: message.headers as S3Request['headers'],
      body: Buffer.concat(parts),
    };
    this.requests.push(request);
    if (this.date !== null) response.setHeader('date', this.date.toUTCString());
    const planned = this.answer(request) ?? this.answers.shift() ?? null;
    if (planned === null) this.#serve(request, response);
    else send(response, planned, request.method === 'HEAD');
  }

  #serve({ method, key, query, headers, body }: S3Request, response: ServerResponse): void {
    const found = this.objects.get(key);
    const isHead = method === 'HEAD';
    if (method === 'PUT') {
      const isConditional = headers['if-none-match'] === '*' && this.conditions !== 'ignored';
      if (isConditional && this.conditions === 'not-implemented')
        return send(response, { status: 501, code: 'NotImplemented', message: 'A header is not implemented' });
      if (isConditional && found !== undefined) return send(response, { status: 412, code: 'PreconditionFailed' });
      this.objects.set(key, body);
      return void response.writeHead(200, { etag: etagOf(body) }).end();
    }
    if (method === 'DELETE') {
      this.objects.delete(key);
      return void response.writeHead(204).end();
    }
    if (key === '') return send(response, { status: 200, body: this.#list(query) });
    if (found === undefined) return send(response, { status: 404, code: 'NoSuchKey' }, isHead);
    response.writeHead(200, { etag: etagOf(found), 'content-length': found.length });
    return void response.end(isHead ? undefined : found);
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('start-after') ?? '';
    const limit = Number(query.get('max-keys') ?? 1_000);
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && compareBytes(key, after) > 0);
    return listingOf(keys.toSorted(compareBytes).slice(0, limit), keys.length > limit);
  }
}

/** Body of a listing. */
export function listingOf(keys: readonly string[], isTruncated: boolean): string {
  const contents = keys.map((key) => `<Contents><Key>${escapeXml(key)}</Key><ETag>"${etagOf(key)}"</ETag></Contents>`);
  return `${XML}<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${contents.join('')}</ListBucketResult>`;
}

const XML = '<?xml version="1.0" encoding="UTF-8"?>';

function send(response: ServerResponse, answer: S3Answer, isHead = false): void {
  const { status, code, message = 'planned', headers = {} } = answer;
  const error = `${XML}<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  const body = answer.body ?? (code === undefined ? '' : error);
  response.writeHead(status, { 'content-type': 'application/xml', ...headers });
  if (isHead) response.end();
  else Readable.from(typeof body === 'string' ? [Buffer.from(body, 'utf8')] : body).pipe(response);
}

function etagOf(content: Buffer | string): string {
  return `"${createHash('md5').update(content).digest('hex')}"`;
}

/** As Go's encoder does, which S3 servers are often written with: what XML 1.0 cannot carry becomes U+FFFD. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\P{Cc}\t\n\r\u007f-\u009f]|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[<>&"'\t\n\r]/g, (character) => `&#${character.codePointAt(0)};`);
}

/** S3 sorts keys by the bytes of their UTF-8. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
