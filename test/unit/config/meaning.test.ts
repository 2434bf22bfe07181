import { describe, expect, it } from 'vitest';

import { faultsOf, FILES, KAFKA, parse } from './configuration.ts';

/** A configuration of Kafka with these settings beside brokers and topics. */
const kafka = (settings: string): string => KAFKA.replace('topics: [orders, returns]', settings);
const topics = 'topics: [orders]';

describe('a configuration', () => {
  it.each([
    ['no source', '', 'pipeline: p\ndeployment: d\n', ['/source: has neither files nor kafka, wanted one of them']],
    [
      'a source without a deployment',
      '',
      'pipeline: p\nsource: { files: { topic: t, paths: [x] } }\n',
      ['/deployment: is missing, wanted a text'],
    ],
    [
      'two sources',
      '',
      'pipeline: p\ndeployment: d\nsource: { files: { topic: t, paths: [x] }, kafka: { brokers: ["a:1"], topics: [b] } }\n',
      ['/source: has both files and kafka, wanted one of them'],
    ],
    [
      'G6 a topic that is given twice',
      '',
      kafka('topics: [a, b, a, a]'),
      ['/source/kafka/topics/2: is "a" for the second time', '/source/kafka/topics/3: is "a" for the second time'],
    ],
    [
      'a start that is no time',
      '',
      kafka(`${topics}, start: 2026-13-41T00:00:00Z`),
      ['/source/kafka/start: is "2026-13-41T00:00:00Z", wanted earliest, latest or a time like 2026-01-31T00:00:00Z'],
    ],
    [
      'settings of a topic that is not read',
      'topics: { ordres: { label: x }, other: {} }',
      KAFKA,
      ['/topics/ordres: is no topic that is read (did you mean "orders"?)', '/topics/other: is no topic that is read'],
    ],
    [
      'settings of files that have another name',
      'topics: { flight: {} }',
      FILES,
      ['/topics/flight: is no topic that is read (did you mean "flights"?)'],
    ],
    [
      'SASL without a password',
      '',
      kafka(`${topics}, sasl: { mechanism: plain, username: u }`),
      ['/source/kafka/sasl/password: is missing, plain needs it'],
    ],
    [
      'SASL without a token',
      '',
      kafka(`${topics}, sasl: { mechanism: oauthbearer }`),
      ['/source/kafka/sasl/tokenFile: is missing, oauthbearer needs it'],
    ],
    [
      'a broker without a port',
      '',
      KAFKA.replace('kafka:9092', 'kafka'),
      ['/source/kafka/brokers/0: is "kafka", wanted a text like "kafka-1:9092"'],
    ],
    [
      'a broker with a port that no broker can have',
      '',
      KAFKA.replace("'kafka:9092'", "'kafka:99999', 'kafka:0', 'kafka:65535'"),
      [
        '/source/kafka/brokers/0: is "kafka:99999", wanted a port from 1 to 65535',
        '/source/kafka/brokers/1: is "kafka:0", wanted a port from 1 to 65535',
      ],
    ],
    [
      'a key of S3 by half its name',
      'store: { url: s3://bucket, pathStyle: true }',
      FILES,
      ['/store/pathStyle: unknown key (did you mean "forcePathStyle"?)'],
    ],
    [
      'a broker with a protocol',
      '',
      KAFKA.replace('kafka:9092', 'https://kafka:9092'),
      ['/source/kafka/brokers/0: is "https://kafka:9092", wanted a text like "kafka-1:9092"'],
    ],
    [
      'a bucket that is none',
      'store: { url: s3://Under_score }',
      FILES,
      ['/store/url: is "s3://Under_score", wanted s3://bucket/prefix'],
    ],
    [
      'another kind of store',
      'store: { url: gs://bucket }',
      FILES,
      ['/store/url: is "gs://bucket", wanted a folder or s3://bucket/prefix'],
    ],
    [
      'G11 plain http to another machine',
      'store: { endpoint: http://minio:9000 }',
      FILES,
      [
        '/store/endpoint: is "http://minio:9000", wanted https (plain http to another machine shows it every record; on a private network, allow it with store.allowHttp: true)',
      ],
    ],
    [
      'G11 plain http to a name that begins like ours',
      'store: { endpoint: http://localhost.evil.com }',
      FILES,
      [
        '/store/endpoint: is "http://localhost.evil.com", wanted https (plain http is for this machine or a private network)',
      ],
    ],
    ...['http://minio.example.com', 'http://8.8.8.8:9000', 'http://172.32.0.1', 'http://[2606:4700::1]'].map(
      (endpoint): [string, string, string, string[]] => [
        `G11 plain http to the public host of ${endpoint}, allowed or not`,
        `store: { endpoint: "${endpoint}", allowHttp: true }`,
        FILES,
        [`/store/endpoint: is "${endpoint}", wanted https (plain http is for this machine or a private network)`],
      ],
    ),
    [
      'G11 plain http to a private address without leave',
      'store: { endpoint: "http://10.1.2.3:9000" }',
      FILES,
      [
        '/store/endpoint: is "http://10.1.2.3:9000", wanted https (plain http to another machine shows it every record; on a private network, allow it with store.allowHttp: true)',
      ],
    ],
    [
      'an endpoint that is no address',
      'store: { endpoint: "http://" }',
      FILES,
      ['/store/endpoint: is "http://", wanted an address like https://host:9000'],
    ],
    [
      'an endpoint with credentials',
      'store: { endpoint: https://key:secret@host }',
      FILES,
      ['/store/endpoint: holds credentials, which belong in the environment or in ~/.aws/credentials'],
    ],
    [
      'two channels of one name',
      'alerts: [{ name: a, type: console }, { name: a, type: console }]',
      FILES,
      ['/alerts/1/name: is "a" for the second time'],
    ],
    [
      'a webhook that leads nowhere',
      'alerts: [{ name: a, type: webhook }]',
      FILES,
      [
        '/alerts/0/url: is missing, a webhook needs it',
        '/alerts/0/secrets: is missing, a webhook needs one to sign with',
      ],
    ],
    [
      'a webhook that is no web server',
      'alerts: [{ name: a, type: webhook, url: "ftp://x", secrets: [s] }]',
      FILES,
      ['/alerts/0/url: is no address of a web server, wanted one like https://host/path'],
    ],
    [
      'a console with an address',
      'alerts: [{ name: a, type: console, url: "https://x", secrets: [s] }]',
      FILES,
      ['/alerts/0/url: means nothing to a console', '/alerts/0/secrets: means nothing to a console'],
    ],
  ])('is refused for %s', (_, text, base, faults) => {
    expect(faultsOf(text, { base })).toEqual(faults);
  });

  it.each([
    'http://localhost:9000',
    'http://127.0.0.1:9000',
    'http://127.9.9.9',
    'http://[::1]:9000',
    'https://minio:9000',
  ])('may name %s as its endpoint (G11)', (endpoint) => {
    expect(parse(`store: { endpoint: "${endpoint}" }`).config.store.endpoint).toBe(endpoint);
  });

  it.each([
    'http://s3:7070',
    'http://minio.storage.svc.cluster.local:9000',
    'http://store.internal',
    'http://10.1.2.3:9000',
    'http://172.31.255.255',
    'http://192.168.0.9:80',
    'http://[fd12::1]:9000',
  ])('may name %s with store.allowHttp (G11)', (endpoint) => {
    expect(parse(`store: { endpoint: "${endpoint}", allowHttp: true }`).config.store.endpoint).toBe(endpoint);
  });

  it.each(['./store', '/var/lib/headgate', 'store', 's3://bucket', 's3://bucket/', 's3://my.bucket-1/a/b=c/d~e'])(
    'may keep its store in %s',
    (url) => {
      expect(parse(`store: { url: "${url}" }`).config.store.url).toBe(url);
    },
  );

  it.each(['kafka:9092', '10.0.0.1:9092', '[::1]:9092', 'b-1.x.kafka.eu-west-1.amazonaws.com:9098'])(
    'may name %s as a broker',
    (broker) => {
      expect(parse('', { base: KAFKA.replace('kafka:9092', broker) }).config.source.kafka!.brokers).toEqual([broker]);
    },
  );

  it.each(['earliest', 'latest', '2026-01-31T00:00:00Z', '2026-01-31T00:00:00.5+01:00'])('may start at %s', (start) => {
    expect(parse('', { base: kafka(`${topics}, start: "${start}"`) }).config.source.kafka!.start).toBe(start);
  });
});

describe('the rules of a topic', () => {
  const faults = (rules: string): string[] => faultsOf(`topicDefaults: { time: at, rules: [${rules}] }`);

  it.each([
    ['{ rule: not_null }', '/0: has no column, the rule not_null needs it'],
    ['{ rule: range, column: a }', '/0: has no min or max, the rule range needs it'],
    ['{ rule: range, column: a, min: 5, max: 4 }', '/0/min: is 5, above max 4'],
    ['{ rule: set, column: a }', '/0: has no values, the rule set needs it'],
    ['{ rule: set, column: a, values: [] }', '/0/values: is empty, wanted at least one entry'],
    ['{ rule: pattern, column: a }', '/0: has no pattern, the rule pattern needs it'],
    ['{ rule: freshness }', '/0: has no maxAgeMs, the rule freshness needs it'],
    ['{ rule: row_count }', '/0: has no min or max, the rule row_count needs it'],
    ['{ rule: row_count, min: -5 }', '/0/min: is -5, wanted a whole number of at least 0'],
    ['{ rule: row_count, min: 0, max: 1.5 }', '/0/max: is 1.5, wanted a whole number of at least 0'],
    ['{ rule: row_count, min: 1e300 }', '/0/min: is 1e+300, wanted a whole number of at least 0'],
    ['{ rule: row_count, min: 1, column: a }', '/0/column: means nothing to the rule row_count'],
    ['{ rule: row_count, min: 1, maxShare: 0.5 }', '/0/maxShare: means nothing to the rule row_count'],
    ['{ rule: unique, column: a, min: 3 }', '/0/min: means nothing to the rule unique'],
    ['{ rule: unique, column: a, maxShare: 1.5 }', '/0/maxShare: is 1.5, wanted a number from 0 to 1'],
    [
      '{ rule: unique, column: a, name: n }, { rule: unique, column: b, name: n }',
      '/1/name: is "n" for the second time',
    ],
  ])('are refused as %s', (rules, fault) => {
    expect(faults(rules)).toEqual([`/topicDefaults/rules${fault}`]);
  });

  it('of freshness need a column that says the time of records of files, which have none of their own', () => {
    const why = 'is freshness, but records of files have no time of their own; wanted time: the column that says it';
    const fresh = 'rules: [{ rule: unique, column: a }, { rule: freshness, maxAgeMs: 1 }]';
    expect(faultsOf(`topicDefaults: { ${fresh} }`)).toEqual([`/topicDefaults/rules/1: ${why}`]);
    expect(faultsOf(`topics: { flights: { ${fresh} } }`)).toEqual([`/topics/flights/rules/1: ${why}`]);
    expect(faultsOf(`topicDefaults: { time: at }\ntopics: { flights: { time: null, ${fresh} } }`)).toHaveLength(1);
    expect(faultsOf(`topicDefaults: { ${fresh} }\ntopics: { flights: { rules: [] } }`)).toEqual([
      `/topicDefaults/rules/1: ${why}`,
    ]);
    for (const settings of [
      `topicDefaults: { time: at, ${fresh} }`,
      `topicDefaults: { ${fresh} }\ntopics: { flights: { time: at } }`,
      `topicDefaults: { rules: [{ rule: freshness, maxAgeMs: 1, name: f }] }\ntopics: { flights: { rules: [{ rule: row_count, min: 1, name: f }] } }`,
    ])
      expect(parse(settings).config.source.files).not.toBeNull();
    expect(parse(`topicDefaults: { ${fresh} }`, { base: KAFKA }).config.source.kafka).not.toBeNull();
  });

  it('must have patterns that run in linear time', () => {
    expect(
      faults("{ rule: pattern, column: a, pattern: '(a+)+$' }, { rule: pattern, column: a, pattern: '(' }"),
    ).toEqual([expect.stringMatching(/^\/topicDefaults\/rules\/1\/pattern: /)]);
    expect(faults(String.raw`{ rule: pattern, column: a, pattern: '(?=x)\1' }`)).toHaveLength(1);
  });

  it('of the defaults hold for a topic with rules and a schema of its own, too, but for those that it replaces', () => {
    const settings = (name: string): string =>
      `topicDefaults: { rules: [{ rule: not_null, column: a, name: n }] }
topics: { flights: { schema: [{ path: b, type: string }], rules: [{ rule: unique, column: b, name: ${name} }] } }`;
    expect(faultsOf(settings('u'))).toEqual([
      '/topicDefaults/rules/0/column: is "a", which is no column of the schema',
    ]);
    expect(parse(settings('n')).config.topicDefaults.rules).toHaveLength(1);
  });

  it('are no more than can be checked, with those of the defaults', () => {
    const many = (column: string): string =>
      `rules: [${Array.from({ length: 600 }, () => `{ rule: unique, column: ${column} }`).join(', ')}]`;
    expect(faultsOf(`topicDefaults: { ${many('a')} }\ntopics: { flights: { ${many('b')} } }`)).toEqual([
      '/topics/flights/rules: has with those of topicDefaults 1200 rules, wanted at most 1024',
    ]);
  });

  it('are checked for single topics too', () => {
    expect(faultsOf('topics: { orders: { rules: [{ rule: not_null }] } }', { base: KAFKA })).toEqual([
      '/topics/orders/rules/0: has no column, the rule not_null needs it',
    ]);
  });
});

describe('the columns of a topic', () => {
  const schema = (columns: string, more = ''): string => `topicDefaults: { schema: [${columns}]${more} }`;

  it.each([
    ['{ path: a, type: decimal }', '/schema/0: lacks precision and scale, a decimal needs both'],
    ['{ path: a, type: decimal, precision: 2, scale: 3 }', '/schema/0/scale: is 3, wanted at most the precision 2'],
    [
      '{ path: a, type: decimal, precision: 39, scale: 3 }',
      '/schema/0/precision: is 39, wanted a whole number from 1 to 38',
    ],
    ['{ path: a, type: timestamp }', '/schema/0/unit: is missing, a timestamp needs one of ms, us, ns'],
    ['{ path: a, type: int64 }, { path: [a], type: string }', '/schema/1/path: is a list for the second time'],
    ['{ path: 5, type: int64 }', '/schema/0/path: is 5, wanted a text or a list'],
    ['{ path: [], type: int64 }', '/schema/0/path: is empty, wanted at least one entry'],
  ])('are refused as %s', (columns, fault) => {
    expect(faultsOf(schema(columns))).toEqual([`/topicDefaults${fault}`]);
  });

  it('are one level deep for CSV', () => {
    const base = FILES.replace('paths:', 'format: csv, paths:');
    expect(faultsOf(schema('{ path: [a, b], type: int64 }'), { base })).toEqual([
      '/topicDefaults/schema/0/path: leads into an object, but CSV has none',
    ]);
    expect(parse(schema('{ path: [a, b], type: int64 }')).config.topicDefaults.schema).toHaveLength(1);
  });

  it('are all that other settings may name', () => {
    const columns = '{ path: late, type: int64 }, { path: [user, id], type: string }';
    const more =
      ', label: lte, source: user.id, time: at, ignoredColumns: [user.id, y], alertColumns: [late, x], rules: [{ rule: unique, column: lat }]';
    expect(faultsOf(schema(columns, more))).toEqual([
      '/topicDefaults/label: is "lte", which is no column of the schema (did you mean "late"?)',
      '/topicDefaults/time: is "at", which is no column of the schema',
      '/topicDefaults/rules/0/column: is "lat", which is no column of the schema (did you mean "late"?)',
      '/topicDefaults/ignoredColumns/1: is "y", which is no column of the schema',
      '/topicDefaults/alertColumns/1: is "x", which is no column of the schema',
    ]);
  });

  it('are judged or ignored: a label is never ignored', () => {
    const fault = (path: string) => `${path}/ignoredColumns/1: is the label, which is judged`;
    const ignoring = 'ignoredColumns: [day, late]';
    expect(faultsOf(`topicDefaults: { label: late, ${ignoring} }`)).toEqual([fault('/topicDefaults')]);
    expect(faultsOf(`topicDefaults: { label: late }\ntopics: { orders: { ${ignoring} } }`, { base: KAFKA })).toEqual([
      fault('/topics/orders'),
    ]);
    expect(faultsOf(`topicDefaults: { ${ignoring} }\ntopics: { orders: { label: late } }`, { base: KAFKA })).toEqual([
      '/topics/orders/label: is one of the ignoredColumns of topicDefaults, and a label is judged',
    ]);
    const text = `topicDefaults: { label: late }\ntopics: { orders: { label: null, ${ignoring} } }`;
    expect(parse(text, { base: KAFKA }).config.topics['orders']!.ignoredColumns).toEqual(['day', 'late']);
  });

  it('may be named by what a single topic lays over them', () => {
    const text = `${schema('{ path: late, type: int64 }')}\ntopics: { orders: { label: late, source: nobody } }`;
    expect(faultsOf(text, { base: KAFKA })).toEqual([
      '/topics/orders/source: is "nobody", which is no column of the schema',
    ]);
  });

  it('may be named by what a single topic with columns of its own takes from the defaults', () => {
    const text = `topicDefaults: { label: late, time: at, rules: [{ rule: unique, column: nr }] }
topics: { orders: { schema: [{ path: id, type: int64 }], time: null } }`;
    expect(faultsOf(text, { base: KAFKA })).toEqual([
      '/topicDefaults/label: is "late", which is no column of the schema',
      '/topicDefaults/rules/0/column: is "nr", which is no column of the schema',
    ]);
  });

  it.each([
    ['int64', '[1, "2", 0.5, true]', 1, '"2"', 'a whole number', ' (and so on: 2 more)'],
    ['int64', '[0.5]', 0, '0.5', 'a whole number', ''],
    ['float64', '[1, "2", 0.5]', 1, '"2"', 'a number', ''],
    ['timestamp, unit: ns', '["2026-01-01"]', 0, '"2026-01-01"', 'a time in ms since 1970', ''],
    ['string', '[x, no, 8001, true]', 2, '8001', 'a text in quotes', ' (and so on: 1 more)'],
    ['json', '[1]', 0, '1', 'a text in quotes', ''],
    ['boolean', '[true, "true"]', 1, '"true"', 'true or false', ''],
  ])('of type %s never have a value of %s that a rule allows', (type, values, i, odd, wanted, more) => {
    const rules = `, rules: [{ rule: set, column: a, values: ${values} }]`;
    expect(faultsOf(schema(`{ path: a, type: ${type} }`, rules))).toEqual([
      `/topicDefaults/rules/0/values/${i}: is ${odd}, wanted ${wanted}; column "a" is ${type.split(',')[0]}${more}`,
    ]);
  });

  it.each([
    ['range, column: a, min: 0', 'numbers or times', ['string', 'json', 'boolean']],
    ['pattern, column: a, pattern: x', 'texts', ['int64', 'float64', 'boolean']],
  ])('are not those of a rule %s unless they hold %s', (rule, what, types) => {
    for (const type of types)
      expect(faultsOf(schema(`{ path: a, type: ${type} }`, `, rules: [{ rule: ${rule} }]`))).toEqual([
        `/topicDefaults/rules/0/rule: is ${rule.split(',')[0]}, wanted a column of ${what}; column "a" is ${type}`,
      ]);
  });

  it('refuse a limit that was rounded when it was read, and a time that is none', () => {
    expect(
      faultsOf(
        schema('{ path: a, type: int64 }', ', time: a, rules: [{ rule: range, column: a, max: 9007199254740993 }]'),
      ),
    ).toEqual([
      '/topicDefaults/time: is "a", wanted a timestamp; that column is int64',
      '/topicDefaults/rules/0/max: is 9007199254740992, wanted a number from -9007199254740991 to 9007199254740991; column "a" is int64',
    ]);
  });

  it('may have any rule that their values can keep', () => {
    const columns = `{ path: n, type: decimal, precision: 4, scale: 2 }, { path: t, type: timestamp, unit: ms }, { path: s, type: string }`;
    const rules = `{ rule: range, column: n, min: 0 }, { rule: range, column: t, min: 0 }, { rule: set, column: t, values: [5] },
      { rule: pattern, column: s, pattern: x }, { rule: set, column: s, values: ["5"] }, { rule: unique, column: n }, { rule: not_null, column: t }`;
    expect(parse(schema(columns, `, rules: [${rules}]`)).config.topicDefaults.rules).toHaveLength(7);
  });
});

it('a configuration of a machine that only reads the store needs neither source nor deployment', () => {
  const { config } = parse('store: { url: s3://bucket/prefix }\n', { base: 'pipeline: p\n' });
  expect(config).toMatchObject({ source: { files: null, kafka: null }, store: { url: 's3://bucket/prefix' } });
  expect(config.deployment).toBeUndefined();
});
