import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createContext, type ServiceContext } from '../../../../scripts/services/context.ts';
import { ensureCertificates, type TestCertificates } from '../../../../scripts/services/tls.ts';

let context: ServiceContext;
let paths: TestCertificates;

beforeAll(async () => {
  context = createContext({ folder: await mkdtemp(join(tmpdir(), 'headgate-tls-')) });
  paths = await ensureCertificates(context, context.folder);
});

afterAll(() => rm(context.folder, { recursive: true, force: true }));

it('signs both certificates with the CA, for years', async () => {
  const ca = await certificate(paths.caFile);
  expect(ca.ca).toBe(true);
  for (const file of [paths.serverStoreFile, paths.clientCertificateFile]) {
    const signed = await certificate(file);
    expect(signed.ca).toBe(false);
    expect(signed.verify(ca.publicKey)).toBe(true);
    expect(Date.parse(signed.validTo) - Date.now()).toBeGreaterThan(3_000 * 86_400_000);
  }
});

it('makes the server certificate good for localhost and for nothing else', async () => {
  const server = await certificate(paths.serverStoreFile);
  expect(server.checkHost('localhost')).toBe('localhost');
  expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(server.checkHost('example.org')).toBeUndefined();
});

it('keeps what it made, and makes anew what is damaged', async () => {
  const before = await readFile(paths.caFile, 'utf8');
  await ensureCertificates(context, context.folder);
  expect(await readFile(paths.caFile, 'utf8')).toBe(before);
  await rm(paths.caFile);
  await ensureCertificates(context, context.folder);
  expect(await readFile(paths.caFile, 'utf8')).not.toBe(before);
});

async function certificate(file: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(file));
}
