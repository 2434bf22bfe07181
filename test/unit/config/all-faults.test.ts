import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { faultsOf, KAFKA } from './configuration.ts';

const BASE = 'pipeline: p\ndeployment: d\n';
const kafka = (settings: string): string => `${BASE}source: { kafka: { ${settings} } }\n`;
const BROKERS = 'brokers: ["a:1"]';

describe('the faults of a configuration', () => {
  it('are told all at once: those of shape, and those of meaning in all parts whose shape is right', () => {
    const text = `
mode: of
store: { url: gs://x, endpoint: "http://minio.example.com", requestTimeoutMs: soon }
topicDefaults:
  schema: [{ path: a, type: decimal }, { path: a, type: int64 }, { path: 7, type: timestamp }]
  rules: [{ rule: rnge }, { rule: not_null }, { rule: range, column: a, min: 5, max: 4, maxShare: much }]
topics: { ordres: { label: 5 } }
alerts: [{ name: a, type: webhook, url: "ftp://x", secrets: [] }, { name: a, type: console }, { name: b, type: email }]
keys: { passphrase: "\${NO_SUCH}" }
`;
    expect(
      faultsOf(text, { base: kafka(`${BROKERS}, topics: [orders, orders], start: 2026-13-41T00:00:00Z`) }),
    ).toEqual([
      '/keys/passphrase: environment variable "NO_SUCH" is not set',
      '/mode: is "of", wanted one of enforce, observe',
      '/store/requestTimeoutMs: is "soon", wanted a whole number of at least 100',
      '/topicDefaults/schema/2/path: is 7, wanted a text or a list',
      expect.stringMatching('^/topicDefaults/rules/0/rule: is "rnge"') as string,
      '/topicDefaults/rules/2/maxShare: is "much", wanted a number from 0 to 1',
      '/topics/ordres/label: is 5, wanted a text or null',
      '/alerts/0/secrets: is empty, wanted at least one entry',
      '/alerts/2/type: is "email", wanted one of console, webhook',
      '/source/kafka/topics/1: is "orders" for the second time',
      '/source/kafka/start: is "2026-13-41T00:00:00Z", wanted earliest, latest or a time like 2026-01-31T00:00:00Z',
      '/topics/ordres: is no topic that is read (did you mean "orders"?)',
      '/topicDefaults/schema/1/path: is "a" for the second time',
      '/topicDefaults/schema/0: lacks precision and scale, a decimal needs both',
      '/topicDefaults/schema/2/unit: is missing, a timestamp needs one of ms, us, ns',
      '/topicDefaults/rules/1: has no column, the rule not_null needs it',
      '/topicDefaults/rules/2/min: is 5, above max 4',
      '/store/url: is "gs://x", wanted a folder or s3://bucket/prefix',
      '/store/endpoint: is "http://minio.example.com", wanted https (plain http is for this machine or a private network)',
      '/alerts/1/name: is "a" for the second time',
      '/alerts/0/url: is no address of a web server, wanted one like https://host/path',
    ]);
  });

  describe('name none that only follows from another:', () => {
    it.each([
      [
        'no source because its name is misspelt',
        `${BASE}source: { kafak: {} }\n`,
        '',
        ['/source/kafak: unknown key (did you mean "kafka"?)'],
      ],
      [
        'topics that are read by a source of another type',
        `${BASE}source: { kafka: [] }\n`,
        'topics: { a: {} }',
        ['/source/kafka: is a list, wanted a group of keys or null'],
      ],
      [
        'topics that are not all known',
        kafka(`${BROKERS}, topics: [5]`),
        'topics: { a: {} }',
        ['/source/kafka/topics/0: is 5, wanted a text'],
      ],
      ['topics of no source', BASE, 'topics: { a: {} }', ['/source: has neither files nor kafka, wanted one of them']],
      [
        'a password that is misspelt',
        kafka(`${BROKERS}, topics: [a], sasl: { mechanism: plain, username: u, pasword: x }`),
        '',
        ['/source/kafka/sasl/pasword: unknown key (did you mean "password"?)'],
      ],
      [
        'a column of a rule that is misspelt',
        KAFKA,
        'topicDefaults: { rules: [{ rule: not_null, colum: a }] }',
        ['/topicDefaults/rules/0/colum: unknown key (did you mean "column"?)'],
      ],
      [
        'keys of a rule that is unknown',
        KAFKA,
        'topicDefaults: { rules: [{ rule: nope, column: a, max: 3 }] }',
        [expect.stringMatching('^/topicDefaults/rules/0/rule: is "nope"') as string],
      ],
      [
        'columns of a schema that is not whole',
        KAFKA,
        'topicDefaults: { label: b, schema: [{ path: 5, type: int64 }] }',
        ['/topicDefaults/schema/0/path: is 5, wanted a text or a list'],
      ],
      [
        'columns of a schema in a group of another type',
        KAFKA,
        'topicDefaults: 5\ntopics: { orders: { label: b } }',
        ['/topicDefaults: is 5, wanted a group of keys'],
      ],
      [
        'an address of a webhook that is misspelt',
        KAFKA,
        'alerts: [{ name: a, type: webhook, ulr: x, secrets: [s] }]',
        ['/alerts/0/ulr: unknown key (did you mean "url"?)'],
      ],
      [
        'an endpoint behind a switch of another type',
        KAFKA,
        'store: { endpoint: "http://minio:9000", allowHttp: 5 }',
        ['/store/allowHttp: is 5, wanted true or false'],
      ],
      [
        'a store whose variable is not set',
        KAFKA,
        'store: { url: "${BUCKET}" }',
        ['/store/url: environment variable "BUCKET" is not set'],
      ],
    ])('%s', (_, base, text, faults) => {
      expect(faultsOf(text, { base })).toEqual(faults);
    });
  });

  it('are told of both sources’ topics when both are given', () => {
    const base = `${BASE}source: { files: { topic: t, paths: [x] }, kafka: { ${BROKERS}, topics: [b] } }\n`;
    expect(faultsOf('topics: { t: {}, b: {}, c: {} }', { base })).toEqual([
      '/source: has both files and kafka, wanted one of them',
      '/topics/c: is no topic that is read',
    ]);
  });

  it('are what each of its lines has, whatever stands in the others', () => {
    const lines: readonly (readonly [line: string, ...faults: string[]])[] = [
      ['mode: x', '/mode'],
      ['modus: x', '/modus'],
      ['store: { url: "gs://x", region: 5 }', '/store/region', '/store/url'],
      ['trust: "${NO_SUCH}"', '/trust'],
      [
        'topicDefaults: { rules: [{ rule: range, column: a, min: 2, max: 1 }, 5] }',
        '/topicDefaults/rules/0/min',
        '/topicDefaults/rules/1',
      ],
      ['topics: { nobody: {}, orders: 5 }', '/topics/nobody', '/topics/orders'],
      [
        'alerts: [{ name: a, type: webhook }, { type: console }]',
        '/alerts/0/secrets',
        '/alerts/0/url',
        '/alerts/1/name',
      ],
      ['memoryBytesMax: 1', '/memoryBytesMax'],
      ['publish: { ref: 5 }', '/publish/ref'],
    ];
    fc.assert(
      fc.property(fc.subarray([...lines], { minLength: 1 }), (chosen) => {
        const found = faultsOf(chosen.map(([line]) => line).join('\n'), { base: KAFKA });
        const paths = found.map((fault) => fault.slice(0, fault.indexOf(': '))).toSorted();
        expect(paths).toEqual(chosen.flatMap(([, ...faults]) => faults).toSorted());
      }),
      { numRuns: 100 },
    );
  });

  it('are found in any configuration without a crash, whatever the types are', () => {
    const keys = [
      'source',
      'files',
      'kafka',
      'topics',
      'topic',
      'brokers',
      'sasl',
      'mechanism',
      'start',
      'format',
      'store',
      'url',
      'endpoint',
      'topicDefaults',
      'schema',
      'rules',
      'rule',
      'column',
      'path',
      'type',
      'label',
      'alerts',
      'name',
      'secrets',
      'pattern',
      'min',
      'max',
      'ignoredColumns',
      'alertColumns',
      'orders',
    ];
    const leaf = fc.constantFrom<unknown>(null, 5, 'x', '', true, 'range', 'decimal', 'webhook', 'plain', 's3://b');
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'medium' },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie('tree'), { maxKeys: 5 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), tree, { maxKeys: 8 }), (value) => {
        // Neither pipeline nor deployment is there, so it is always refused.
        expect(faultsOf('', { base: JSON.stringify(value) })).toContainEqual(
          expect.stringMatching('^/pipeline: is missing'),
        );
      }),
      { numRuns: 500 },
    );
  });
});
