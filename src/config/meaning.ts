import type { ConfigFault } from '../errors.ts';
import { pointer } from './check-shape.ts';
import { repeatedIn, type Shown } from './describe.ts';
import { checkTopics } from './meaning-topics.ts';
import { isLoopback, isPrivateHost } from './private-host.ts';
import type { Config } from './schema.ts';
import type { SoundParts } from './sound.ts';
import { suggest } from '../record/suggest.ts';

const PORT_MAX = 65_535;

/**
 * Faults that a schema cannot see: settings that need or exclude each other (matrix G6, G11).
 * @param sound the parts to look at; what is not sound may be of any type.
 */
export function checkMeaning(config: Config, sound: SoundParts, shown: Shown): ConfigFault[] {
  if (!sound.has('')) return [];
  return [
    ...checkSource(config, sound),
    ...checkKafka(config, sound, shown),
    ...checkTopicNames(config, sound),
    ...checkTopics(config, sound, shown),
    ...checkStore(config, sound, shown),
    ...checkSasl(config, sound),
    ...checkAlerts(config, sound, shown),
  ];
}

/** Who reads only the store needs neither source nor deployment; one alone has lost the other. */
function checkSource({ source, deployment }: Config, sound: SoundParts): ConfigFault[] {
  if (!sound.has('/source')) return [];
  const given = ['files', 'kafka'] as const;
  const count = given.filter((key) => source[key] !== null).length;
  const isLost = deployment === undefined && sound.has('/deployment');
  if (count === 2) return [{ path: '/source', message: 'has both files and kafka, wanted one of them' }];
  if (count === 1 && isLost) return [{ path: '/deployment', message: 'is missing, wanted a text' }];
  // An unknown key may be one of them, misspelt.
  if (count === 0 && !isLost && sound.hasKeysOf('/source'))
    return [{ path: '/source', message: 'has neither files nor kafka, wanted one of them' }];
  return [];
}

function checkKafka({ source }: Config, sound: SoundParts, shown: Shown): ConfigFault[] {
  const path = '/source/kafka';
  if (!sound.has(path) || source.kafka === null) return [];
  const { brokers, topics, start } = source.kafka;
  const faults = repeatedIn(
    sound.itemsOf(`${path}/topics`, topics).map(({ at, item }) => ({ at, name: item })),
    shown,
  );
  for (const { at, item } of sound.itemsOf(`${path}/brokers`, brokers)) {
    const port = Number(item.slice(item.lastIndexOf(':') + 1));
    if (port < 1 || port > PORT_MAX)
      faults.push({ path: at, message: `is ${shown(at)}, wanted a port from 1 to ${PORT_MAX}` });
  }
  const at = `${path}/start`;
  if (sound.has(at) && !['earliest', 'latest'].includes(start) && Number.isNaN(Date.parse(start)))
    faults.push({
      path: at,
      message: `is ${shown(at)}, wanted earliest, latest or a time like 2026-01-31T00:00:00Z`,
    });
  return faults;
}

/** A misspelt topic would leave its settings without effect, and nobody would notice. */
function checkTopicNames({ source, topics }: Config, sound: SoundParts): ConfigFault[] {
  const places = ['/source/kafka/topics', '/source/files/topic'];
  if (!sound.has('/topics') || !places.every((path) => sound.hasAll(path))) return [];
  const read = [...(source.kafka?.topics ?? []), ...(source.files === null ? [] : [source.files.topic])];
  // Without a source nothing is read, and that is told already.
  if (read.length === 0) return [];
  return Object.keys(topics)
    .filter((topic) => !read.includes(topic))
    .map((topic) => ({
      path: pointer('/topics', topic),
      message: `is no topic that is read${suggest(topic, read)}`,
    }));
}

function checkStore({ store }: Config, sound: SoundParts, shown: Shown): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const path = '/store/url';
  if (sound.has(path)) {
    const isS3 = store.url.startsWith('s3://');
    const isBucket = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9%~_.=/-]*)?$/.test(store.url);
    if (isS3 ? !isBucket : /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(store.url))
      faults.push({
        path,
        message: `is ${shown(path)}, wanted ${isS3 ? 's3://bucket/prefix' : 'a folder or s3://bucket/prefix'}`,
      });
  }
  if (sound.has('/store/endpoint') && store.endpoint !== null)
    faults.push(...checkEndpoint(store.endpoint, sound.has('/store/allowHttp') ? store.allowHttp : true, shown));
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

function checkSasl({ source }: Config, sound: SoundParts): ConfigFault[] {
  const path = '/source/kafka/sasl';
  if (!sound.hasKeysOf(path) || !sound.has(`${path}/mechanism`)) return [];
  const sasl = source.kafka?.sasl;
  if (sasl === undefined || sasl === null) return [];
  const missing = sasl.mechanism === 'oauthbearer' ? ['tokenFile'] : ['username', 'password'];
  return missing
    .filter((name) => !(name in sasl))
    .map((name) => ({ path: `${path}/${name}`, message: `is missing, ${sasl.mechanism} needs it` }));
}

function checkAlerts({ alerts }: Config, sound: SoundParts, shown: Shown): ConfigFault[] {
  const channels = sound.itemsOf('/alerts', alerts);
  const named = channels.filter(({ at }) => sound.has(`${at}/name`));
  return [
    ...repeatedIn(
      named.map(({ at, item }) => ({ at: `${at}/name`, name: item.name })),
      shown,
    ),
    ...channels.filter(({ at }) => sound.has(`${at}/type`)).flatMap(({ at, item }) => checkChannel(item, at, sound)),
  ];
}

function checkChannel(channel: Config['alerts'][number], path: string, sound: SoundParts): ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (channel.type === 'console') {
    for (const key of ['url', 'secrets', 'allowPrivate'] as const)
      if (channel[key] !== undefined) faults.push({ path: `${path}/${key}`, message: 'means nothing to a console' });
    return faults;
  }
  const isWhole = sound.hasKeysOf(path);
  if (channel.url === undefined) {
    if (isWhole) faults.push({ path: `${path}/url`, message: 'is missing, a webhook needs it' });
  } else if (sound.has(`${path}/url`) && !isWebUrl(channel.url))
    faults.push({ path: `${path}/url`, message: 'is no address of a web server, wanted one like https://host/path' });
  if (channel.secrets === undefined && isWhole)
    faults.push({ path: `${path}/secrets`, message: 'is missing, a webhook needs one to sign with' });
  return faults;
}

/** Whether the address is allowed is decided by the channel itself, which also resolves names. */
function isWebUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
}
