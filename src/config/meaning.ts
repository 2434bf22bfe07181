import type { ConfigFault } from '../errors.ts';
import { pointer } from './check-shape.ts';
import { repeated, type Shown } from './describe.ts';
import { checkTopics } from './meaning-topics.ts';
import { isLoopback, isPrivateHost } from './private-host.ts';
import type { Config } from './schema.ts';
import { suggest } from './suggest.ts';

/** Faults that a schema cannot see: settings that need or exclude each other (matrix G6, G11). */
export function checkMeaning(config: Config, shown: Shown): ConfigFault[] {
  return [
    ...checkSource(config, shown),
    ...checkTopicNames(config),
    ...checkTopics(config, shown),
    ...checkStore(config, shown),
    ...checkSasl(config),
    ...checkAlerts(config, shown),
  ];
}

function checkSource({ source }: Config, shown: Shown): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const { files, kafka } = source;
  if (files === null && kafka === null)
    faults.push({ path: '/source', message: 'has neither files nor kafka, wanted one of them' });
  if (files !== null && kafka !== null)
    faults.push({ path: '/source', message: 'has both files and kafka, wanted one of them' });
  if (kafka === null) return faults;
  for (const [i, topic] of kafka.topics.entries()) {
    if (kafka.topics.indexOf(topic) !== i)
      faults.push({ path: `/source/kafka/topics/${i}`, message: repeated(shown, `/source/kafka/topics/${i}`) });
  }
  if (!['earliest', 'latest'].includes(kafka.start) && Number.isNaN(Date.parse(kafka.start)))
    faults.push({
      path: '/source/kafka/start',
      message: `is ${shown('/source/kafka/start')}, wanted earliest, latest or a time like 2026-01-31T00:00:00Z`,
    });
  return faults;
}

/** A misspelt topic would leave its settings without effect, and nobody would notice. */
function checkTopicNames({ source, topics }: Config): ConfigFault[] {
  const read = source.kafka?.topics ?? (source.files === null ? [] : [source.files.topic]);
  return Object.keys(topics)
    .filter((topic) => !read.includes(topic))
    .map((topic) => ({
      path: pointer('/topics', topic),
      message: `is no topic that is read${suggest(topic, read)}`,
    }));
}

function checkStore({ store }: Config, shown: Shown): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const isS3 = store.url.startsWith('s3://');
  const isBucket = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9%~_.=/-]*)?$/.test(store.url);
  if (isS3 ? !isBucket : /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(store.url))
    faults.push({
      path: '/store/url',
      message: `is ${shown('/store/url')}, wanted ${isS3 ? 's3://bucket/prefix' : 'a folder or s3://bucket/prefix'}`,
    });
  if (store.endpoint !== null) faults.push(...checkEndpoint(store.endpoint, store.allowHttp, shown));
  return faults;
}

function checkEndpoint(endpoint: string, allowHttp: boolean, shown: Shown): ConfigFault[] {
  const path = '/store/endpoint';
  if (!URL.canParse(endpoint))
    return [{ path, message: `is ${shown(path)}, wanted an address like https://host:9000` }];
  const { protocol, hostname, username, password } = new URL(endpoint);
  if (username !== '' || password !== '')
    return [{ path, message: 'holds credentials, which belong in the environment or in ~/.aws/credentials' }];
  if (protocol !== 'http:' || isLoopback(hostname)) return [];
  // Whoever is on the way could read every record, so it takes a private network and a person who says so.
  if (!isPrivateHost(hostname))
    return [{ path, message: `is ${shown(path)}, wanted https (plain http is for this machine or a private network)` }];
  if (!allowHttp)
    return [
      {
        path,
        message: `is ${shown(path)}, wanted https (plain http to another machine shows it every record; on a private network, allow it with store.allowHttp: true)`,
      },
    ];
  return [];
}

function checkSasl({ source }: Config): ConfigFault[] {
  const sasl = source.kafka?.sasl;
  if (sasl === undefined || sasl === null) return [];
  const missing = sasl.mechanism === 'oauthbearer' ? ['tokenFile'] : ['username', 'password'];
  return missing
    .filter((name) => !(name in sasl))
    .map((name) => ({ path: `/source/kafka/sasl/${name}`, message: `is missing, ${sasl.mechanism} needs it` }));
}

function checkAlerts({ alerts }: Config, shown: Shown): ConfigFault[] {
  return alerts.flatMap((channel, i) => {
    const faults: ConfigFault[] = [];
    const path = `/alerts/${i}`;
    if (alerts.findIndex(({ name }) => name === channel.name) !== i)
      faults.push({ path: `${path}/name`, message: repeated(shown, `${path}/name`) });
    if (channel.type === 'console') {
      for (const key of ['url', 'secrets', 'allowPrivate'] as const)
        if (channel[key] !== undefined) faults.push({ path: `${path}/${key}`, message: 'means nothing to a console' });
      return faults;
    }
    if (channel.url === undefined) faults.push({ path: `${path}/url`, message: 'is missing, a webhook needs it' });
    else if (!isWebUrl(channel.url))
      faults.push({ path: `${path}/url`, message: 'is no address of a web server, wanted one like https://host/path' });
    if (channel.secrets === undefined)
      faults.push({ path: `${path}/secrets`, message: 'is missing, a webhook needs one to sign with' });
    return faults;
  });
}

/** Whether the address is allowed is decided by the channel itself, which also resolves names. */
function isWebUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
}
