import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { resolveReferences } from '../../../src/config/references.ts';
import type { ConfigFault } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { faultsOf, KAFKA, parse } from './configuration.ts';

function resolve(
  value: unknown,
  environment: Record<string, string> = {},
  folder = '/',
): { value: unknown; faults: string[] } {
  const faults: ConfigFault[] = [];
  const resolved = resolveReferences(value, { folder, environment, faults });
  return { value: resolved, faults: faults.map(({ path, message }) => `${path}: ${message}`) };
}

describe('a reference', () => {
  it('becomes an environment variable, anywhere in a text', () => {
    const environment = { HOST: 'h', PORT: '1', EMPTY: '' };
    expect(resolve(['${HOST}', 'a ${HOST}:${PORT} b', '${EMPTY}', '$HOST', '${HOST'], environment).value).toEqual([
      'h',
      'a h:1 b',
      '',
      '$HOST',
      '${HOST',
    ]);
  });

  it('becomes the content of a file without its last line break', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'sub'));
    await writeFile(join(folder, 'sub/secret'), 'line 1\nline 2\r\n');
    const { value, faults } = resolve(
      { a: '${file:sub/secret}', b: `\${file:${join(folder, 'sub/secret')}}` },
      {},
      folder,
    );
    expect(value).toEqual({ a: 'line 1\nline 2', b: 'line 1\nline 2' });
    expect(faults).toEqual([]);
  });

  it('is a literal after another dollar', () => {
    expect(resolve(['$${HOST}', 'a$${', '$$${HOST}', '$$', '$${HOST} ${HOST}'], { HOST: 'h' }).value).toEqual([
      '${HOST}',
      'a${',
      '$${HOST}',
      '$$',
      '${HOST} h',
    ]);
  });

  it('is not looked for in what was inserted', () => {
    expect(resolve('${A}', { A: '${B}', B: 'secret' }).value).toBe('${B}');
    expect(resolve('${A}', { A: '$& $1 $$' }).value).toBe('$& $1 $$');
  });

  it('is not looked for in keys', () => {
    expect(resolve({ '${A}': '${A}' }, { A: 'x' }).value).toEqual({ '${A}': 'x' });
  });

  it('that leads nowhere is named (G5)', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'sub'));
    await writeFile(join(folder, 'large'), Buffer.alloc(1_048_577));
    const value = {
      a: '${UNSET}',
      'b/c': ['${file:gone}', '${file:sub}', '${file:large}'],
      d: '${}',
      e: '${__proto__}',
    };
    expect(resolve(value, {}, folder).faults).toEqual([
      '/a: environment variable "UNSET" is not set',
      '/b~1c/0: file "gone" does not exist',
      '/b~1c/1: file "sub" is not a file',
      '/b~1c/2: file "large" has 1048577 bytes, at most 1048576 are allowed',
      '/d: environment variable "" is not set',
      '/e: environment variable "__proto__" is not set',
    ]);
  });

  it('that leads nowhere is one fault, not two', () => {
    expect(faultsOf('queue: { url: "${REDIS}" }\ntrust: ${TRUST}')).toEqual([
      '/queue/url: environment variable "REDIS" is not set',
      '/trust: environment variable "TRUST" is not set',
    ]);
  });

  it('works in every text of a configuration', () => {
    const base = KAFKA.replace("'kafka:9092'", '"${BROKER}"').replace('orders', '"${TOPIC}"');
    const { config } = parse('', { base, environment: { BROKER: 'b:1', TOPIC: 't' } });
    expect(config.source.kafka).toMatchObject({ brokers: ['b:1'], topics: ['t', 'returns'] });
  });

  it('gives a text, and so no number', () => {
    expect(faultsOf('drainTimeoutMs: ${MS}', { environment: { MS: '500' } })).toEqual([
      '/drainTimeoutMs: is a text, wanted a whole number of at least 100',
    ]);
  });
});
