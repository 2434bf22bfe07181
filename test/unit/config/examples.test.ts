import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { parseConfig } from '../../../src/config/load.ts';
import type { SchemaNode } from '../../../src/config/nodes.ts';
import { printDefaults } from '../../../src/config/print.ts';
import { ConfigSchema } from '../../../src/config/schema.ts';
import { FILES, parse } from './configuration.ts';

const FOLDER = new URL('../../../config/examples/', import.meta.url);
const ENVIRONMENT = {
  HOME: '/people/x',
  KAFKA_PASSWORD: 'x',
  HEADGATE_PASSPHRASE: 'x',
  REDIS_URL: 'rediss://redis:6380',
  WEBHOOK_SECRET: 'whsec_x',
  HEADGATE_PIPELINE: 'p',
  HEADGATE_DEPLOYMENT: 'd',
  HEADGATE_TOPIC: 't',
  HEADGATE_KAFKA_BROKERS: 'kafka:9092',
  HEADGATE_S3_ENDPOINT: 'http://s3:7070',
  HEADGATE_REDIS_URL: 'redis://redis:6379',
};

describe('the example configurations', () => {
  const names = readdirSync(FOLDER).toSorted();

  it('are these', () => {
    expect(names).toEqual(['compose.yaml', 'csv.yaml', 'files.yaml', 'kafka-s3-redis.yaml', 'observe.yaml']);
  });

  it.each(names)('%s can be read', (name) => {
    // The certificate is not on this machine.
    const text = readFileSync(new URL(name, FOLDER), 'utf8').replace('${file:/etc/headgate/kafka-ca.pem}', 'PEM');
    expect(parseConfig(text, `/x/${name}`, ENVIRONMENT).config.pipeline).not.toBe('');
  });

  it.each(names)('%s holds no secret', (name) => {
    const text = readFileSync(new URL(name, FOLDER), 'utf8');
    for (const [, value] of text.matchAll(/(?:password|passphrase|secrets): (.*)/g)) expect(value).toContain('${');
  });
});

/** Every key of a schema with its node. */
function* nodesOf(node: SchemaNode): Generator<{ key: string; node: SchemaNode }> {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    yield { key, node: child };
    for (const each of [child, child.items, ...(child.anyOf ?? []).flatMap((member) => [member, member.items])])
      if (each !== undefined) yield* nodesOf(each);
  }
}

describe('the printed defaults', () => {
  const text = printDefaults();

  it('are a configuration, and it has every default', () => {
    const { config } = parseConfig(text, '/x/default.yaml', {});
    const { config: least } = parse('', { base: FILES.replace('*.ndjson', './data/*.ndjson') });
    expect(config).toEqual({ ...least, pipeline: 'my-pipeline', deployment: '0123456789abcdef' });
  });

  it('name every key of the schema and say what it means', () => {
    const words = text.replace(/[\s#]+/g, '');
    const nodes = [...nodesOf(ConfigSchema as unknown as SchemaNode)];
    expect(nodes.length).toBeGreaterThan(80);
    for (const { key, node } of nodes) {
      expect(text).toMatch(new RegExp(`^[\\s#-]*${key}:`, 'm'));
      expect(node.description, key).toBeTruthy();
      expect(words, key).toContain(node.description!.replace(/[\s#]+/g, ''));
    }
  });

  /** The text with one block of commented-out lines turned on, for each of them. */
  function* turnedOn(of: string): Generator<{ key: string; text: string }> {
    const lines = of.split('\n');
    const isOff = (line: string): boolean => /^\s*#(?! \S)./.test(line);
    for (let at = 0; at < lines.length; at++) {
      if (!/^\s*#[a-zA-Z]/.test(lines[at]!)) continue;
      const indent = lines[at]!.indexOf('#');
      let end = at + 1;
      while (
        end < lines.length &&
        isOff(lines[end]!) &&
        lines[end]!.indexOf('#') === indent &&
        /^\s*# /.test(lines[end]!)
      )
        end++;
      const block = lines.slice(at, end).map((line) => line.slice(0, indent) + line.slice(indent + 1));
      yield {
        key: lines[at]!.trim().slice(1).split(':')[0]!,
        text: [...lines.slice(0, at), ...block, ...lines.slice(end)].join('\n'),
      };
    }
  }

  it('can have each of what is turned off turned on', () => {
    const keys: string[] = [];
    for (const { key, text: on } of turnedOn(text)) {
      keys.push(key);
      const rest = key === 'kafka' ? on.replace(/ {2}files:\n(?: {4}.*\n)+/, '') : on;
      expect(() => parseConfig(rest, '/x', ENVIRONMENT), key).not.toThrow();
      if (key !== 'kafka') continue;
      const inner = [...turnedOn(rest)].map((each) => each.key);
      expect(inner).toEqual(expect.arrayContaining(['tls', 'sasl']));
      const plain = rest.replace('#tls:', '#xtls:');
      for (const nested of turnedOn(plain))
        if (nested.key === 'sasl') expect(() => parseConfig(nested.text, '/x', ENVIRONMENT)).not.toThrow();
    }
    expect(keys).toEqual([
      'kafka',
      'endpoint',
      'kmsKeyId',
      'passphrase',
      'schema',
      'label',
      'source',
      'time',
      'rules',
      'ignoredColumns',
      'alertColumns',
      'topics',
      'recordTimeMaxMs',
      'url',
      'alerts',
    ]);
  });

  it('fit the width of a page', () => {
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(125);
  });
});
