import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/*
 * The files of kafkajs 2.2.4 that run in production, by SHA-256: everything that network/connection.js can reach. Of the
 * protocol's requests only those of SASL are reached with a version of kafkajs's; the others' tables are loaded, never called.
 * When this fails, read what changed and whether link.ts still replaces all that it must; only then take the new digests.
 */

const require = createRequire(import.meta.url);
const ROOT = dirname(require.resolve('kafkajs/package.json'));
const PINS = join(dirname(fileURLToPath(import.meta.url)), 'kafkajs-2.2.4.sha256');
const SOURCES = join(dirname(fileURLToPath(import.meta.url)), '../../../../src/adapters/kafkajs');
const REACHED_REQUESTS = /protocol\/requests\/(saslHandshake|saslAuthenticate)\//;

describe('kafkajs', () => {
  it('is the version that was read', () => {
    expect((require('kafkajs/package.json') as { version: string }).version).toBe('2.2.4');
  });

  it('has the files that were read, byte for byte', () => {
    const found = reachableFrom('src/network/connection.js')
      .map((file) => `${sha256(join(ROOT, file))}  ${file}`)
      .join('\n');
    expect(`${found}\n`).toBe(readFileSync(PINS, 'utf8'));
  });

  it('is imported in one place only', () => {
    const importing = readdirSync(SOURCES).filter((file) => {
      const code = readFileSync(join(SOURCES, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
      return /(?:from|require\(|import\()\s*['"]kafkajs/.test(code);
    });
    expect(importing).toEqual(['internals.ts']);
  });
});

/** Paths of all files that a file requires, itself included, sorted. */
function reachableFrom(entry: string): string[] {
  const files = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    const isUncalled = /protocol\/requests\/[a-zA-Z]+\/index\.js$/.test(file) && !REACHED_REQUESTS.test(file);
    if (isUncalled) continue;
    for (const [, target] of readFileSync(join(ROOT, file), 'utf8').matchAll(/require\('(\.[^']+)'\)/g)) {
      queue.push(relative(ROOT, resolveModule(join(ROOT, dirname(file), target!))));
    }
  }
  return [...files].toSorted();
}

function resolveModule(path: string): string {
  const candidates = [path, `${path}.js`, `${path}.json`, join(path, 'index.js')];
  return candidates.find((each) => statSync(each, { throwIfNoEntry: false })?.isFile() === true)!;
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
