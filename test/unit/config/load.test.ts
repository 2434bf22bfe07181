import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { topicConfig } from '../../../src/config/topic-config.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { errorOf, faultsOf, FILES, KAFKA, parse } from './configuration.ts';

describe('a configuration', () => {
  it('is complete when the fewest keys are given', () => {
    const { config, folder, path } = parse('');
    expect(folder).toBe('/folder');
    expect(path).toBe('/folder/headgate.yaml');
    expect(config).toMatchObject({
      mode: 'enforce',
      store: { url: './store', endpoint: null, requestTimeoutMs: 15_000 },
      source: { files: { format: 'ndjson', csv: { delimiter: ',', nullValues: [''] } }, kafka: null },
      topicDefaults: { schema: null, label: null, rules: [] },
      topics: {},
      batch: { recordsMax: 50_000, recordTimeMaxMs: null },
      alerts: [],
    });
    expect(parse('', { base: KAFKA }).config.source.kafka).toMatchObject({
      group: 'headgate',
      start: 'earliest',
      tls: null,
    });
  });

  it('takes a group whose keys are all commented out for an empty one', () => {
    expect(parse('store:\n  # url: ./x\ntopicDefaults:\n').config).toEqual(parse('').config);
  });

  it('gives each call a copy of the defaults', () => {
    const [a, b] = [parse('').config, parse('').config];
    expect(a.topicDefaults).not.toBe(b.topicDefaults);
    expect(a.topicDefaults.rules).not.toBe(b.topicDefaults.rules);
  });

  it('fills in defaults at every depth', () => {
    const text = `
topics: { orders: { rules: [{ rule: not_null, column: id }] } }
topicDefaults: { rules: [{ rule: unique, column: id }] }
`;
    const { config } = parse(text, { base: KAFKA.replace('topics:', 'tls: {}, topics:') });
    expect(config.topics['orders']!.rules).toEqual([{ rule: 'not_null', column: 'id', action: 'quarantine' }]);
    expect(config.topicDefaults.rules).toEqual([{ rule: 'unique', column: 'id', action: 'quarantine' }]);
    expect(config.source.kafka!.tls).toEqual({ ca: null, cert: null, key: null, serverName: null });
  });

  it('lays the settings of a topic over the defaults, key by key', () => {
    const { config } = parse(
      'topicDefaults: { label: late, source: carrier }\ntopics: { orders: { label: null, time: at } }',
      {
        base: KAFKA,
      },
    );
    expect(topicConfig(config, 'orders')).toMatchObject({ label: null, source: 'carrier', time: 'at', rules: [] });
    expect(topicConfig(config, 'returns')).toMatchObject({ label: 'late', source: 'carrier', time: null });
    expect(topicConfig(config, 'constructor')).toMatchObject({ label: 'late' });
  });

  it('adds the rules of a topic to those of the defaults; one of the same name replaces that', () => {
    const { config } = parse(
      `topicDefaults: { rules: [{ rule: unique, column: id }, { rule: row_count, min: 9, name: size }] }
topics: { orders: { rules: [{ rule: row_count, min: 1, name: size, action: observe }, { rule: not_null, column: id }] }, returns: { rules: [] } }`,
      { base: KAFKA },
    );
    const rules = (topic: string): string[] =>
      topicConfig(config, topic).rules.map(({ rule, min = '', action }) => `${rule}${min} ${action}`);
    expect(rules('orders')).toEqual(['unique quarantine', 'row_count1 observe', 'not_null quarantine']);
    for (const topic of ['returns', 'others'])
      expect(rules(topic)).toEqual(['unique quarantine', 'row_count9 quarantine']);
  });

  it('takes numbers, booleans and texts as allowed values', () => {
    const { config } = parse('topicDefaults: { rules: [{ rule: set, column: c, values: [1, two, true] }] }');
    expect(config.topicDefaults.rules[0]!.values).toEqual([1, 'two', true]);
  });

  it('reports every fault at once', () => {
    const faults = faultsOf(`
mode: of
modus: 1
keys: 5
store: { requestTimeoutMs: 0, regoin: x }
batch: { recordsMax: -1, bytesMax: 1.5, ageMaxMs: soon, recordBytesMax: true }
judge: { falseAlarmBudget: 0 }
alerts: [{ type: email }, 7]
topicDefaults: { rules: [{ rule: rnge }], label: [], schema: [] }
`);
    expect(faults).toEqual([
      '/mode: is "of", wanted one of enforce, observe',
      '/modus: unknown key',
      '/keys: is 5, wanted a group of keys',
      '/store/requestTimeoutMs: is 0, wanted a whole number of at least 100',
      '/store/regoin: unknown key (did you mean "region"?)',
      '/batch/recordsMax: is -1, wanted a whole number from 1 to 1000000',
      '/batch/bytesMax: is 1.5, wanted a whole number from 1024 to 268435456',
      '/batch/ageMaxMs: is "soon", wanted a whole number of at least 10',
      '/batch/recordBytesMax: is true, wanted a whole number from 1 to 268435456',
      '/judge/falseAlarmBudget: is 0, wanted a number above 0 and at most 0.5',
      '/alerts/0/type: is "email", wanted one of console, webhook',
      '/alerts/0/name: is missing, wanted a text like "on-call"',
      '/alerts/1: is 7, wanted a group of keys',
      '/topicDefaults/rules/0/rule: is "rnge", wanted one of not_null, range, set, pattern, unique, row_count, freshness (did you mean "range"?)',
      '/topicDefaults/label: is a list, wanted a text or null',
      '/topicDefaults/schema: is empty, wanted at least one entry',
    ]);
  });

  it('names the file, and how many faults it has', () => {
    expect(errorOf(() => parse('mode: x')).message).toBe(
      'Cannot use configuration "/folder/headgate.yaml": it has a fault\n  /mode: is "x", wanted one of enforce, observe',
    );
    expect(errorOf(() => parse('mode: x\na: 1')).message).toContain('it has 2 faults\n');
  });

  it.each([
    ['G1 an unknown key', 'surprise: 1', '/surprise: unknown key'],
    ['G1 an unknown key in a group', 'queue: { urls: x }', '/queue/urls: unknown key (did you mean "url"?)'],
    ['G2 a misspelt key', 'memoryByteMax: 1048576', '/memoryByteMax: unknown key (did you mean "memoryBytesMax"?)'],
    ['G2 swapped letters', 'batch: { recrodsMax: 5 }', '/batch/recrodsMax: unknown key (did you mean "recordsMax"?)'],
    ['G2 snake case', 'batch: { records_max: 5 }', '/batch/records_max: unknown key (did you mean "recordsMax"?)'],
    [
      'G2 a misspelt choice',
      'mode: enforced',
      '/mode: is "enforced", wanted one of enforce, observe (did you mean "enforce"?)',
    ],
    [
      'G3 a text for a number',
      'memoryBytesMax: 1GB',
      '/memoryBytesMax: is "1GB", wanted a whole number of at least 1048576',
    ],
    ['G3 a number for a text', 'trust: 5', '/trust: is 5, wanted a text'],
    ['G3 a group for a text', 'trust: {}', '/trust: is a group of keys, wanted a text'],
    ['G3 a list for a group', 'store: []', '/store: is a list, wanted a group of keys'],
    ['G3 an empty text', "trust: ''", '/trust: is empty, wanted a text'],
    [
      'G4 a limit of zero',
      'batch: { recordsMax: 0 }',
      '/batch/recordsMax: is 0, wanted a whole number from 1 to 1000000',
    ],
    ['G4 a negative limit', 'drainTimeoutMs: -1', '/drainTimeoutMs: is -1, wanted a whole number of at least 100'],
    ['G4 infinity', 'drainTimeoutMs: .inf', '/drainTimeoutMs: is null, wanted a whole number of at least 100'],
    [
      'G4 not a number',
      'judge: { falseAlarmBudget: .nan }',
      '/judge/falseAlarmBudget: is null, wanted a number above 0 and at most 0.5',
    ],
    ['G5 an unset variable', 'trust: ${NO_SUCH}', '/trust: environment variable "NO_SUCH" is not set'],
    ['a ref that is no name', 'publish: { ref: ../x }', '/publish/ref: is "../x", wanted a text like "main"'],
  ])('is refused for %s', (_, text, fault) => {
    expect(faultsOf(text)).toEqual([fault]);
  });

  it('is refused when it is no group at all', () => {
    for (const [text, message] of [
      ['', 'it is empty'],
      ['# nothing\n', 'it is empty'],
      ['[]', '/: is a list, wanted a group of keys'],
      ['text', '/: is a text, wanted a group of keys'],
      ['5', '/: is 5, wanted a group of keys'],
    ] as const) {
      expect(errorOf(() => parseConfig(text, '/x', {})).message).toContain(message);
    }
  });

  it('takes names that objects have for unknown ones', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(faultsOf(`${name}: { mode: observe }`)).toEqual([`/${name}: unknown key`]);
      expect(faultsOf(`topics: { ${name}: { label: x } }`, { base: KAFKA })).toEqual([
        `/topics/${name}: is no topic that is read`,
      ]);
    }
    expect(({} as { mode?: string }).mode).toBeUndefined();
  });

  it('points to keys that hold a slash or a tilde', () => {
    expect(faultsOf('topics: { "a/b~c": { label: 5 } }', { base: KAFKA })).toEqual([
      '/topics/a~1b~0c/label: is 5, wanted a text or null',
      '/topics/a~1b~0c: is no topic that is read',
    ]);
  });
});

describe('the digest of a configuration', () => {
  const digestOf = (text: string, options = {}): string => parse(text, options).digest;

  it('changes with what decides over records', () => {
    const changes = [
      'mode: observe',
      'topicDefaults: { label: x }',
      'topics: { flights: { label: x } }',
      'batch: { recordsMax: 5 }',
      'judge: { recordsMin: 5 }',
    ];
    expect(new Set(['', ...changes].map((text) => digestOf(text))).size).toBe(changes.length + 1);
    const csv = FILES.replace('paths:', 'format: csv, paths:');
    const semicolons = FILES.replace('paths:', 'format: csv, csv: { delimiter: ";" }, paths:');
    expect(new Set([digestOf(''), digestOf('', { base: csv }), digestOf('', { base: semicolons })]).size).toBe(3);
  });

  it('does not change with anything else', () => {
    const same = [
      'mode: enforce',
      'store: { url: ./elsewhere }',
      'alerts: [{ name: a, type: console }]',
      'queue: { url: redis://x }',
      'trust: ./t.json',
    ];
    expect(new Set(['', ...same].map((text) => digestOf(text))).size).toBe(1);
    expect(digestOf('batch: { recordsMax: 5, bytesMax: 5000 }')).toBe(
      digestOf('batch: { bytesMax: 5000, recordsMax: 5 }'),
    );
  });

  it('is that of the file, not of what it refers to', () => {
    const [a, b] = ['a', 'b'].map((NAME) => parse('topicDefaults: { label: "${NAME}" }', { environment: { NAME } }));
    expect(a!.config.topicDefaults.label).toBe('a');
    expect(a!.digest).toBe(b!.digest);
  });
});

describe('a configuration file', () => {
  it('is read with its folder', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'x.yaml'), FILES);
    expect(await loadConfig(join(folder, 'x.yaml'), {})).toMatchObject({ folder, path: join(folder, 'x.yaml') });
  });

  it('that does not exist is refused with the way out (C2)', async () => {
    await expect(loadConfig('/no/such.yaml', {})).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: 'Cannot read configuration "/no/such.yaml": it does not exist (mend: headgate init, or --config FILE)',
    });
  });

  it('that is a folder is refused (C3)', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'x.yaml'));
    await expect(loadConfig(join(folder, 'x.yaml'), {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('it is a folder, wanted a file'),
    });
  });
});
