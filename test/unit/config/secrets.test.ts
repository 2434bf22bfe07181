import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Value } from 'typebox/value';
import { stringify } from 'yaml';

import { checkShape } from '../../../src/config/check-shape.ts';
import { complete } from '../../../src/config/complete.ts';
import { printJsonSchema } from '../../../src/config/json-schema.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { SchemaNode } from '../../../src/config/nodes.ts';
import { printDefaults } from '../../../src/config/print.ts';
import { ConfigSchema } from '../../../src/config/schema.ts';
import { ConfigError } from '../../../src/errors.ts';

/* A secret must never reach a message: messages are logged, sent as alerts and pasted into tickets. */

const CANARY = 'hunter2-canary';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-test-'));
  writeFileSync(join(folder, 'secret'), CANARY);
  return () => rmSync(folder, { recursive: true });
});

/** A configuration that uses every key, with secrets where they belong. */
const WHOLE = {
  pipeline: 'p',
  deployment: 'd',
  mode: 'enforce',
  store: { url: 's3://bucket', endpoint: 'https://s3', region: 'r', kmsKeyId: 'k', requestTimeoutMs: 1_000 },
  trust: './t',
  keys: { ingest: 'a', publisher: 'b', approver: 'c', passphrase: CANARY },
  source: {
    kafka: {
      brokers: ['a:1'],
      topics: ['t'],
      tls: { ca: 'ca', cert: 'cert', key: CANARY, serverName: 'n' },
      sasl: { mechanism: 'plain', username: 'u', password: CANARY },
    },
  },
  topicDefaults: {
    schema: [{ path: 'a', type: 'int64' }],
    label: 'a',
    rules: [{ rule: 'range', column: 'a', min: 1 }],
  },
  topics: { t: { rules: [{ rule: 'set', column: 'a', values: [5] }] } },
  queue: { url: `redis://:${CANARY}@host` },
  alerts: [{ name: 'a', type: 'webhook', url: `https://host/${CANARY}`, secrets: [CANARY] }],
  batch: { recordsMax: 5 },
};

/** The places of a nested value. */
function placesOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [
    path,
    ...Object.entries(value).flatMap(([key, inner]) =>
      placesOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
}

/** A copy with another value at a place. */
function replaceAt(value: unknown, [key, ...rest]: readonly (string | number)[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((item, i) => (i === key ? replaceAt(item, rest, by) : (item as unknown)));
  const group = value as Record<string, unknown>;
  return { ...group, [key]: replaceAt(group[key], rest, by) };
}

function messageOf(value: unknown, environment: Record<string, string> = { CANARY }): string | null {
  const text = typeof value === 'string' ? value : stringify(value);
  try {
    parseConfig(text, join(folder, 'headgate.yaml'), environment);
    return null;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return `${error.message} ${String(error.cause)} ${JSON.stringify(error.fields)} ${error.stack}`;
  }
}

describe('a secret', () => {
  it('is in a configuration that can be read', () => {
    expect(messageOf(WHOLE)).toBeNull();
  });

  it('never appears in a message, whatever else is wrong', () => {
    const wrong = [null, 0, -1, 1.5, true, '', 'x', [], {}, [[]], { x: 1 }, 'y'.repeat(5_000)];
    let refused = 0;
    for (const place of placesOf(WHOLE).slice(1)) {
      for (const by of wrong) {
        const message = messageOf(replaceAt(WHOLE, place, by));
        expect(message ?? '').not.toContain(CANARY);
        if (message !== null) refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });

  it('never appears when it is referenced from anywhere', () => {
    for (const place of placesOf(WHOLE).slice(1)) {
      for (const reference of [
        '${CANARY}',
        'x${CANARY}',
        'http://${CANARY}',
        's3://${CANARY}/_',
        '${file:secret}',
        '$${x} ${file:secret}',
      ]) {
        expect(messageOf(replaceAt(WHOLE, place, reference)) ?? '').not.toContain(CANARY);
      }
    }
  });

  it('never appears when it stands where no text belongs', () => {
    for (const place of [
      ['keys'],
      ['store'],
      ['alerts'],
      ['source', 'kafka', 'sasl'],
      ['queue'],
      ['source'],
      ['topicDefaults'],
    ]) {
      expect(messageOf(replaceAt(WHOLE, place, CANARY))).not.toContain(CANARY);
    }
    for (const place of [
      ['queue', 'url'],
      ['keys', 'passphrase'],
      ['alerts', 0, 'url'],
      ['alerts', 0, 'secrets'],
      ['alerts', 0, 'secrets', 0],
    ]) {
      const message = messageOf(replaceAt(replaceAt(WHOLE, place, [CANARY, CANARY]), ['mode'], 'x'));
      expect(message).not.toContain(CANARY);
    }
  });

  it('never appears when the file is no YAML', () => {
    const text = stringify(WHOLE);
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.constantFrom('"', "'", '[', '{', '\t', ': ', '*', '&', '!', '%', '---\n', '\n', '}'),
        (at, junk) => {
          expect(messageOf(text.slice(0, at) + junk + text.slice(at)) ?? '').not.toContain(CANARY);
        },
      ),
      { numRuns: 1_500 },
    );
    for (const bad of [
      `password: *${CANARY}`,
      `a: !${CANARY} x`,
      `a: "${CANARY}" "x"`,
      `a: &${CANARY} *x`,
      `@${CANARY}`,
      `- ${CANARY}\n: x`,
    ])
      expect(messageOf(bad)).not.toContain(CANARY);
  });

  it('is never printed as a default, nor are examples of one anything but references', () => {
    for (const text of [printDefaults(), printJsonSchema()]) {
      expect(text).not.toMatch(/whsec_[A-Za-z0-9+/]{8}/);
      expect(text).not.toMatch(/(password|passphrase|secrets?)"?: *"?\[?'?(?!\$|\{|\[|null)[a-z0-9]/i);
    }
  });
});

describe('the checker', () => {
  it('accepts what the schema accepts, and nothing else', () => {
    const schema = ConfigSchema as unknown as SchemaNode;
    const places = placesOf(WHOLE).slice(1);
    const by = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(null, 0, 'enforce', 's3://x', [], {}, 100, ['a:1']));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...places), by), { minLength: 1, maxLength: 3 }), (changes) => {
        let value: unknown = WHOLE;
        for (const [place, other] of changes) {
          try {
            value = replaceAt(value, place, other);
          } catch {
            // An earlier change has removed the place.
          }
        }
        const whole = complete(schema, value);
        expect(checkShape(schema, whole, whole).length === 0).toBe(Value.Check(ConfigSchema, whole));
      }),
      { numRuns: 3_000 },
    );
  });
});
