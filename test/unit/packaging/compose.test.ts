import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { buildProgram } from '../../../src/cli/program.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { findRoot } from '../../../scripts/services/context.ts';
import { composeOverride } from '../../../scripts/services/docker.ts';
import { KAFKA_VERSION, settingVariable, SINGLE_NODE_SETTINGS } from '../../../scripts/services/kafka-settings.ts';
import { PREFERRED_PORTS } from '../../../scripts/services/ports.ts';
import { VERSITYGW_VERSION } from '../../../scripts/services/s3.ts';

interface Mount {
  readonly type: 'bind' | 'volume';
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
  readonly bind?: { readonly create_host_path: boolean };
}

interface ComposeService {
  readonly image?: string;
  readonly build?: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly (string | Mount)[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly retries: number };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly user?: string;
  readonly restart?: string;
  readonly working_dir?: string;
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly privileged?: boolean;
}

const root = findRoot();
// Merge keys are YAML 1.1, and Compose reads them.
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const SERVERS = ['kafka', 's3', 'redis'];
const PROCESSES = ['ingest', 'publish', 'worker'];

describe('docker-compose.yml', () => {
  it('has the three servers and, behind the profile headgate, the three processes, and what people call', () => {
    expect(Object.keys(compose.services)).toEqual([...SERVERS, ...PROCESSES, 'cli']);
    expect(service('cli')).toMatchObject({ profiles: ['cli'], restart: 'no' });
    expect(service('cli').command).toBeUndefined();
    for (const name of SERVERS) expect(service(name).profiles, name).toBeUndefined();
    for (const name of PROCESSES) expect(service(name).profiles, name).toEqual(['headgate']);
  });

  it.each(SERVERS)('gives %s a health check and a volume of its own', (name) => {
    expect(service(name).healthcheck?.test.length).toBeGreaterThan(1);
    expect(service(name).healthcheck?.retries).toBeGreaterThan(5);
    const volumes = service(name).volumes?.map((volume) => (typeof volume === 'string' ? volume.split(':')[0]! : ''));
    expect(volumes).toHaveLength(1);
    expect(Object.keys(compose.volumes)).toContain(volumes?.[0]);
  });

  it('publishes ports on loopback only', () => {
    const ports = Object.values(compose.services).flatMap((each) => each.ports ?? []);
    expect(ports).toHaveLength(3);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('names every image by version', () => {
    expect(service('kafka').image).toBe(`apache/kafka:${KAFKA_VERSION}`);
    expect(service('s3').image).toBe(`versity/versitygw:v${VERSITYGW_VERSION}`);
    expect(service('redis').image).toMatch(/^redis:7/);
  });

  it('forbids Redis to evict', () => {
    expect(service('redis').command?.join(' ')).toContain('--maxmemory-policy noeviction');
  });

  it('configures Kafka as the local toolchain does', () => {
    const environment = service('kafka').environment ?? {};
    for (const [name, value] of Object.entries(SINGLE_NODE_SETTINGS))
      expect(environment[settingVariable(name)], name).toBe(value);
  });

  it.each([...PROCESSES, 'cli'])('runs %s without privileges on a read-only root file system', (name) => {
    const { build, command, user, read_only, tmpfs, cap_drop, security_opt, privileged, depends_on } = service(name);
    expect(build).toBe('.');
    if (name !== 'cli') expect(command?.[0]).toBe(name);
    expect(interpolate(user!)).toBe('1000:1000');
    expect(read_only).toBe(true);
    expect(tmpfs).toEqual(['/tmp']);
    expect(cap_drop).toEqual(['ALL']);
    expect(security_opt).toEqual(['no-new-privileges:true']);
    expect(privileged).toBeUndefined();
    expect(Object.entries(depends_on ?? {}).map(([each, { condition }]) => [each, condition])).toEqual(
      SERVERS.map((each) => [each, 'service_healthy']),
    );
  });

  it.each([...PROCESSES, 'cli'])('mounts what %s reads read-only, and the state of the machine as a volume', (name) => {
    for (const mount of mountsOf(name)) {
      if (mount.type === 'bind') expect(mount).toMatchObject({ read_only: true, bind: { create_host_path: false } });
      else expect(mount).toEqual({ type: 'volume', source: 'state', target: '/var/lib/headgate' });
    }
    expect(mountsOf(name).filter(({ type }) => type === 'volume')).toHaveLength(1);
    expect(Object.keys(compose.volumes)).toContain('state');
  });

  it('tells steps with commands and services that there are', () => {
    const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
    const commands = [
      ...text.matchAll(/^# +docker compose run --rm (?:--volume \S+ )?cli ([a-z]+(?: (?:learn|approve))?)/gm),
      ...text.matchAll(/^# +npx headgate ([a-z]+)/gm),
    ].map(([, command]) => command!);
    expect(commands).toEqual(['status', 'baseline learn', 'baseline approve', 'pull', 'init']);
    const program = buildProgram(() => async () => undefined);
    for (const command of commands) {
      const found = command
        .split(' ')
        .reduce((at, name) => at?.commands.find((each) => each.name() === name), program as Command | undefined);
      expect(found, command).toBeDefined();
    }
    for (const [, name] of text.matchAll(/^# +docker compose exec (?:-T )?(\w+)/gm)) expect(SERVERS).toContain(name);
  });

  it('takes no cloud account from the shell that starts it', () => {
    const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
    expect(text).not.toMatch(/\$\{?AWS_/);
  });

  it('uses the ports of the local toolchain unless told otherwise', () => {
    const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
    const defaults = [...text.matchAll(/\$\{(HEADGATE_\w+_PORT):-(\d+)\}/g)].map(([, name, port]) => `${name}=${port}`);
    expect(new Set(defaults)).toEqual(
      new Set([
        `HEADGATE_KAFKA_PORT=${PREFERRED_PORTS.kafka}`,
        `HEADGATE_S3_PORT=${PREFERRED_PORTS.s3}`,
        `HEADGATE_REDIS_PORT=${PREFERRED_PORTS.redis}`,
      ]),
    );
  });
});

describe('the configuration that docker-compose.yml mounts', () => {
  const path = '/etc/headgate/headgate.yaml';
  const shipped = mountsOf('ingest').find(({ target }) => target === path)!.source;
  const text = readFileSync(join(root, interpolate(shipped)), 'utf8');
  const variables = [...new Set([...text.matchAll(/\$\{(?!file:)([^}]*)\}/g)].map(([, name]) => name!))];

  it.each([...PROCESSES, 'cli'])('can be read with the environment of %s', (name) => {
    const { config } = parseConfig(text, path, environmentOf(name));
    expect(config.source.kafka).toMatchObject({ brokers: ['kafka:9092'], topics: ['records'] });
    expect(config.store).toMatchObject({ url: 's3://headgate', endpoint: 'http://s3:7070', allowHttp: true });
    expect(config.queue.url).toBe('redis://redis:6379');
  });

  it.each([...PROCESSES, 'cli'])(
    'finds every variable it names in the environment of %s, and uses all that is there',
    (name) => {
      const set = Object.keys(environmentOf(name)).filter((each) => !each.startsWith('AWS_'));
      expect(variables.toSorted()).toEqual(set.toSorted());
    },
  );

  it('addresses services of the file, and a bucket that its S3 server makes', () => {
    const { config } = parseConfig(text, path, environmentOf('ingest'));
    const hosts = [config.store.endpoint!, config.queue.url!, `kafka://${config.source.kafka!.brokers[0]}`];
    expect(hosts.map((each) => new URL(each).hostname)).toEqual(['s3', 'redis', 'kafka']);
    const bucket = config.store.url.slice('s3://'.length);
    expect(service('s3').command?.join(' ')).toContain(`/data/objects/${bucket} `);
  });

  it.each([
    ['ingest', ['ingest']],
    ['publish', ['publisher']],
    ['worker', []],
  ] as const)('lies in %s together with the trust root, its keys and no other, and the state', (name, keys) => {
    const { config, folder } = parseConfig(text, path, environmentOf(name));
    expect(service(name).command?.slice(1)).toEqual(['--config', path]);
    const wanted = [path, config.trust, config.stateFolder, ...keys.map((key) => config.keys[key]!)];
    expect(mountsOf(name).map(({ target }) => target)).toEqual(wanted.map((each) => resolve(folder, each)));
    for (const key of keys)
      expect(interpolate(mountsOf(name).find(({ target }) => target === config.keys[key])!.source)).toBe(
        `./keys/${key}.pem`,
      );
  });

  it('lies where cli is called, with the trust root, the folder of all the keys, and the state', () => {
    const { config, folder } = parseConfig(text, path, environmentOf('cli'));
    expect(service('cli').working_dir).toBe(folder);
    expect(mountsOf('cli').map(({ target }) => target)).toEqual([
      path,
      config.trust,
      config.stateFolder,
      `${folder}/keys`,
    ]);
    for (const [name, key] of Object.entries(config.keys))
      if (name !== 'passphrase') expect(key).toBe(`${folder}/keys/${name}.pem`);
    expect(interpolate(mountsOf('cli').at(-1)!.source)).toBe('./keys');
  });

  it.each(PROCESSES)('gives %s less time to stop than the container', (name) => {
    const { config } = parseConfig(text, path, environmentOf(name));
    expect(service(name).stop_grace_period).toMatch(/^\d+s$/);
    expect(1_000 * Number.parseInt(service(name).stop_grace_period!, 10)).toBeGreaterThan(config.drainTimeoutMs);
  });
});

describe('the tests’ addition to docker-compose.yml', () => {
  const ports = { kafka: 1, kafkaSasl: 2, kafkaMtls: 3, s3: 4, redis: 5 };
  const override = composeOverride(ports, '/certificates') as { services: Record<string, ComposeService> };

  it('changes Kafka only', () => {
    expect(Object.keys(override.services)).toEqual(['kafka']);
  });

  it('keeps every listener of the file and adds the two secured ones', () => {
    const base = service('kafka').environment ?? {};
    const added = override.services['kafka']?.environment ?? {};
    for (const variable of ['KAFKA_LISTENERS', 'KAFKA_ADVERTISED_LISTENERS', 'KAFKA_LISTENER_SECURITY_PROTOCOL_MAP']) {
      const baseNames = listenerNames(base[variable]);
      expect(listenerNames(added[variable]), variable).toEqual(new Set([...baseNames, 'SECURE', 'MUTUAL']));
    }
  });

  it('writes settings with dashes as the image reads them', () => {
    expect(Object.keys(override.services['kafka']?.environment ?? {})).toContain(
      'KAFKA_LISTENER_NAME_SECURE_SCRAM___SHA___256_SASL_JAAS_CONFIG',
    );
  });

  it('publishes the secured listeners on loopback and mounts the certificates read-only', () => {
    expect(override.services['kafka']?.ports).toEqual(['127.0.0.1:2:2', '127.0.0.1:3:3']);
    expect(override.services['kafka']?.volumes).toEqual(['/certificates:/etc/kafka/headgate-tls:ro']);
  });
});

describe('Dockerfile', () => {
  const lines = readFileSync(join(root, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const instructions = lines.map((line) => line.split(' ')[0]);
  const finalStage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  it('starts every stage from the same Node image, named by version', () => {
    const stages = lines.filter((line) => line.startsWith('FROM '));
    expect(stages.length).toBeGreaterThan(1);
    for (const stage of stages) expect(stage).toMatch(/^FROM node:20-slim( AS \w+)?$/);
  });

  it('runs no install script and fetches nothing by address', () => {
    for (const line of lines.filter((each) => each.includes('npm ci'))) expect(line).toContain('--ignore-scripts');
    expect(instructions).not.toContain('ADD');
    expect(lines.join('\n')).not.toMatch(/curl|wget|https?:/);
  });

  it('carries no build tools into the final stage', () => {
    expect(finalStage.filter((line) => line.startsWith('RUN'))).toEqual([]);
    for (const line of finalStage.filter((each) => each.startsWith('COPY'))) expect(line).toMatch(/^COPY --from=/);
  });

  it('has a folder for the state that whoever runs it may write to', () => {
    expect(lines).toContain('RUN install -d -m 1777 /made/headgate');
    expect(finalStage).toContain('COPY --from=build /made/ /var/lib/');
  });

  it('has headgate on the path, so that it can be called as its hints say', () => {
    expect(lines).toContain('RUN install -d /linked && ln -s /app/dist/src/cli/main.js /linked/headgate');
    expect(finalStage).toContain('COPY --from=build /linked/ /usr/local/bin/');
    // The link leads to a script that names its interpreter and may be run.
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { build: string } };
    expect(scripts.build).toContain("chmodSync('dist/src/cli/main.js', 0o755)");
  });

  it('runs as a user without privileges and starts headgate', () => {
    expect(finalStage).toContain('USER node');
    const entry = finalStage.find((line) => line.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length);
    expect(JSON.parse(entry ?? '')).toEqual(['headgate']);
    expect(finalStage).toContain('ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps');
    expect(finalStage.indexOf('USER node')).toBeLessThan(finalStage.findIndex((line) => line.startsWith('ENTRYPOINT')));
  });
});

describe('.dockerignore', () => {
  const patterns = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  it('excludes everything and lets in only what the image is built from', () => {
    expect(patterns[0]).toBe('*');
    for (const pattern of patterns.slice(1))
      expect(pattern).toMatch(/^!(package(-lock)?\.json|\.npmrc|tsconfig(\.build)?\.json|src|workers|config)$/);
  });
});

function service(name: string): ComposeService {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service "${name}"`);
  return found;
}

function mountsOf(name: string): readonly Mount[] {
  return (service(name).volumes ?? []).filter((mount): mount is Mount => typeof mount !== 'string');
}

/** A text of the file with its variables at their defaults. */
function interpolate(value: string): string {
  return value.replaceAll(/\$\{(\w+):-([^}]*)\}/g, '$2');
}

function environmentOf(name: string): Record<string, string> {
  const { environment = {} } = service(name);
  return Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, interpolate(value)]));
}

function listenerNames(text: string | undefined): Set<string> {
  return new Set((text ?? '').split(',').map((part) => part.split(':')[0]!));
}
