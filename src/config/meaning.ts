import type { ConfigFault } from '../errors.ts';
import type { Config, RuleConfig } from './schema.ts';

/** Faults that a schema cannot see: settings that need or exclude each other. */
export function checkMeaning(config: Config): ConfigFault[] {
  return [
    ...sourceFaults(config),
    ...storeFaults(config),
    ...saslFaults(config),
    ...alertFaults(config),
    ...ruleFaults(config),
  ];
}

function sourceFaults({ source }: Config): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const given = [source.files, source.kafka].filter((each) => each !== null).length;
  if (given !== 1)
    faults.push({
      path: '/source',
      message: given === 0 ? 'has neither files nor kafka' : 'has both files and kafka, wanted one',
    });
  const topics = source.kafka?.topics ?? [];
  for (const topic of new Set(topics.filter((each, i) => topics.indexOf(each) !== i)))
    faults.push({ path: '/source/kafka/topics', message: `names "${topic}" twice` });
  const start = source.kafka?.start ?? 'earliest';
  if (!['earliest', 'latest'].includes(start) && Number.isNaN(Date.parse(start)))
    faults.push({
      path: '/source/kafka/start',
      message: `is ${JSON.stringify(start)}, wanted earliest, latest or an ISO 8601 time`,
    });
  return faults;
}

function storeFaults({ store }: Config): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const isS3 = store.url.startsWith('s3://');
  if (isS3 && !/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9%~_.=/-]*)?$/.test(store.url))
    faults.push({ path: '/store/url', message: `is ${JSON.stringify(store.url)}, wanted s3://bucket/prefix` });
  if (!isS3 && /^[a-z][a-z0-9+]*:\/\//.test(store.url))
    faults.push({
      path: '/store/url',
      message: `is ${JSON.stringify(store.url)}, wanted a folder or s3://bucket/prefix`,
    });
  if (store.endpoint?.startsWith('http://') === true && !isLoopback(new URL(store.endpoint).hostname)) {
    faults.push({ path: '/store/endpoint', message: 'is plain http to another machine, wanted https' });
  }
  return faults;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function saslFaults({ source }: Config): ConfigFault[] {
  const sasl = source.kafka?.sasl;
  if (sasl === undefined || sasl === null) return [];
  const missing = sasl.mechanism === 'oauthbearer' ? ['tokenFile'] : ['username', 'password'];
  return missing
    .filter((name) => !(name in sasl))
    .map((name) => ({ path: `/source/kafka/sasl/${name}`, message: `is missing, ${sasl.mechanism} needs it` }));
}

function alertFaults({ alerts }: Config): ConfigFault[] {
  const faults: ConfigFault[] = [];
  alerts.forEach((channel, i) => {
    if (alerts.findIndex(({ name }) => name === channel.name) !== i)
      faults.push({ path: `/alerts/${i}/name`, message: `is ${JSON.stringify(channel.name)} for the second time` });
    if (channel.type === 'webhook') {
      if (channel.url === undefined)
        faults.push({ path: `/alerts/${i}/url`, message: 'is missing, a webhook needs it' });
      if (channel.secrets === undefined)
        faults.push({ path: `/alerts/${i}/secrets`, message: 'is missing, a webhook needs one to sign with' });
    }
  });
  return faults;
}

const NEEDS: Readonly<Record<RuleConfig['rule'], readonly (readonly (keyof RuleConfig)[])[]>> = {
  not_null: [['column']],
  range: [['column'], ['min', 'max']],
  set: [['column'], ['values']],
  pattern: [['column'], ['pattern']],
  unique: [['column']],
  row_count: [['min', 'max']],
  freshness: [['maxAgeMs']],
};

function ruleFaults({ topicDefaults, topics }: Config): ConfigFault[] {
  const lists = [
    { path: '/topicDefaults/rules', rules: topicDefaults.rules },
    ...Object.entries(topics).map(([name, { rules }]) => ({ path: `/topics/${name}/rules`, rules: rules ?? [] })),
  ];
  return lists.flatMap(({ path, rules }) =>
    rules.flatMap((rule, i) =>
      NEEDS[rule.rule]
        .filter((names) => names.every((name) => rule[name] === undefined))
        .map((names) => ({
          path: `${path}/${i}`,
          message: `has no ${names.join(' or ')}, the rule ${rule.rule} needs it`,
        })),
    ),
  );
}
