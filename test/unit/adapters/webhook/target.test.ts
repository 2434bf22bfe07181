import { describe, expect, it } from 'vitest';

import { readAllowedTargets, type ResolveHost, WebhookTarget } from '../../../../src/adapters/webhook/target.ts';
import { ConfigError } from '../../../../src/errors.ts';

const PATH = 'alerts.channels[0]';
const PUBLIC = '93.184.216.34';

/** Each is a way to write, or to hide, an address that is not public; no name is resolved to find that out. */
const REFUSED_LITERALS = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://127.0.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0x7f.0.0.1/',
  'https://0x7f.1/',
  'https://0177.0.0.1/',
  'https://017700000001/',
  'https://0177.0.0.0x1/',
  'https://127.0.0.1./',
  'https://127.0.0.1:8443/',
  'https://%31%32%37.0.0.1/',
  'https://１２７.０.０.１/',
  'https://①②⑦.⓪.⓪.①/',
  'https://127。0。0。1/',
  'https:127.0.0.1/',
  'https:\\\\127.0.0.1\\',
  'https://0/',
  'https://0.0.0.0/',
  'https://10.0.0.1/',
  'https://0xa000001/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://3232235777/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://2852039166/',
  'https://0xa9fea9fe/',
  'https://0251.0376.0251.0376/',
  'https://169.254.43518/',
  'https://100.100.100.200/',
  'https://168.63.129.16/',
  'https://192.0.0.192/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
  'https://198.18.0.1/',
  'https://203.0.113.1/',
  'https://[::]/',
  'https://[::1]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::127.0.0.1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::ffff:a9fe:a9fe]/',
  'https://[::ffff:169.254.169.254]/',
  'https://[::ffff:0:169.254.169.254]/',
  'https://[64:ff9b::169.254.169.254]/',
  'https://[64:ff9b:1::a9fe:a9fe]/',
  'https://[2002:a9fe:a9fe::]/',
  'https://[2001::5601:5601]/',
  'https://[2001:db8::1]/',
  'https://[fe80::1]/',
  'https://[fd00:ec2::254]/',
  'https://[fd20:ce::254]/',
  'https://[fc00::1]/',
  'https://[fec0::1]/',
  'https://[ff02::1]/',
] as const;

/** Each is no https URL that may be used, whatever it stands for. */
const REFUSED_URLS = [
  '',
  'hooks.example.com',
  '//hooks.example.com/',
  'http://hooks.example.com/',
  `http://${PUBLIC}/`,
  'ftp://hooks.example.com/',
  'file:///etc/passwd',
  'gopher://127.0.0.1:6379/_FLUSHALL',
  'unix:/var/run/docker.sock',
  'data:text/plain,x',
  'javascript:0',
  'https://',
  'https://user@hooks.example.com/',
  'https://user:secret-canary@hooks.example.com/',
  'https://hooks.example.com@127.0.0.1/',
  'https://[fe80::1%25eth0]/',
  'https://127.0.0.1.256/',
  'https://exa mple.com/',
] as const;

function target(url: string, allowPrivate: readonly string[] = []): WebhookTarget {
  return new WebhookTarget(url, readAllowedTargets(allowPrivate, `${PATH}.allowPrivate`), PATH);
}

function answers(...addresses: string[]): ResolveHost {
  return () => Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
}

const neverAsked: ResolveHost = () => Promise.reject(new Error('the resolver was asked'));

function refusal(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a webhook target', () => {
  it('is tried in at least 40 spellings', () => {
    expect(new Set<string>([...REFUSED_LITERALS, ...REFUSED_URLS]).size).toBeGreaterThanOrEqual(40);
  });

  for (const url of REFUSED_LITERALS) {
    it(`refuses ${url} without asking a resolver`, () => {
      const error = refusal(() => target(url));
      expect(error.code).toBe('ALERT_REFUSED');
      expect(error.message).toContain(`"${new URL(url).host}"`);
      expect(error.message).toContain(`${PATH}.allowPrivate`);
    });
  }

  for (const url of REFUSED_URLS) {
    it(`refuses ${url || 'the empty text'}`, () => {
      const error = refusal(() => target(url));
      expect(error.code).toBe('ALERT_REFUSED');
      expect(error.message).toContain(PATH);
      expect(error.message).not.toContain('secret-canary');
    });
  }

  it('never shows the path of the URL, which holds secrets of its own', async () => {
    const url = 'https://hooks.example.com/services/path-canary?token=query-canary';
    const error = await target(url).resolve(answers('10.0.0.1')).catch(String);
    expect(error).toContain('hooks.example.com');
    expect(error).not.toContain('canary');
    expect(error).not.toContain('10.0.0.1');
  });

  it('takes a public address without asking a resolver', async () => {
    expect(await target(`https://${PUBLIC}/`).resolve(neverAsked)).toEqual([{ address: PUBLIC, family: 4 }]);
    expect(await target('https://[2606:4700::1111]/').resolve(neverAsked)).toEqual([
      { address: '2606:4700::1111', family: 6 },
    ]);
  });

  it('gives all addresses of a name, in the order of the resolver', async () => {
    const found = await target('https://hooks.example.com/').resolve(answers('2606:4700::1111', PUBLIC));
    expect(found.map(({ address }) => address)).toEqual(['2606:4700::1111', PUBLIC]);
  });

  for (const mixed of [
    ['127.0.0.1'],
    [PUBLIC, '10.0.0.1'],
    ['10.0.0.1', PUBLIC],
    [PUBLIC, '::1'],
    ['::ffff:1.1.1.1', PUBLIC],
  ]) {
    it(`refuses a name that stands for ${mixed.join(' and ')}`, async () => {
      await expect(target('https://hooks.example.com/').resolve(answers(...mixed))).rejects.toMatchObject({
        code: 'ALERT_REFUSED',
      });
    });
  }

  for (const host of ['localhost', 'localhost.', 'foo.localhost', 'metadata.google.internal', '127.0.0.1.nip.io']) {
    it(`judges ${host} by what it resolves to`, async () => {
      const url = `https://${host}/`;
      await expect(target(url).resolve(answers('169.254.169.254'))).rejects.toMatchObject({ code: 'ALERT_REFUSED' });
      expect(await target(url).resolve(answers(PUBLIC))).toHaveLength(1);
    });
  }

  it('judges anew on each delivery, so that a name that moves inside is refused then', async () => {
    const moving = target('https://hooks.example.com/');
    expect(await moving.resolve(answers(PUBLIC))).toHaveLength(1);
    await expect(moving.resolve(answers('127.0.0.1'))).rejects.toMatchObject({ code: 'ALERT_REFUSED' });
  });

  it('fails, without refusing, when the name has no address', async () => {
    await expect(target('https://hooks.example.com/').resolve(answers())).rejects.not.toBeInstanceOf(ConfigError);
  });
});

describe('the list of allowed private targets', () => {
  it('lets a listed host stand for inside addresses, over http too', async () => {
    const inside = target('http://hooks.inside:8080/', ['HOOKS.inside']);
    expect(await inside.resolve(answers('10.0.0.1', 'fd12::1', '127.0.0.1'))).toHaveLength(3);
  });

  for (const address of [
    '169.254.169.254',
    '169.254.0.1',
    '224.0.0.1',
    '0.0.0.0',
    '::ffff:10.0.0.1',
    'fd00:ec2::254',
  ]) {
    it(`does not let a listed host stand for ${address}`, async () => {
      await expect(target('http://hooks.inside/', ['hooks.inside']).resolve(answers(address))).rejects.toMatchObject({
        code: 'ALERT_REFUSED',
      });
    });
  }

  it('lets a listed block be reached by address and by name', async () => {
    const list = ['10.1.0.0/16', 'fd12::/16', '127.0.0.1'];
    expect(await target('http://10.1.2.3/', list).resolve(neverAsked)).toHaveLength(1);
    expect(await target('http://127.1/', list).resolve(neverAsked)).toEqual([{ address: '127.0.0.1', family: 4 }]);
    expect(await target('http://hooks.inside/', list).resolve(answers('10.1.2.3', 'fd12::1'))).toHaveLength(2);
    expect(refusal(() => target('http://10.2.0.1/', list)).code).toBe('ALERT_REFUSED');
    await expect(target('https://hooks.inside/', list).resolve(answers('10.2.0.1'))).rejects.toMatchObject({
      code: 'ALERT_REFUSED',
    });
  });

  it('does not let plain http out to a public address because some block is listed', async () => {
    await expect(target('http://hooks.example.com/', ['10.0.0.0/8']).resolve(answers(PUBLIC))).rejects.toThrow(
      'plain http',
    );
    await expect(
      target('http://hooks.example.com/', ['10.0.0.0/8']).resolve(answers(PUBLIC, '10.0.0.1')),
    ).rejects.toThrow('plain http');
  });

  it('names every entry that it cannot read', () => {
    const bad = ['', 'https://hooks.inside', 'a/b', 'host:80', 'user@host', '10.0.0.0/40', 'a b', '10.0.0.0/8 '];
    const error = refusal(() => readAllowedTargets(['good.host', ...bad], 'x'));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.faults.map(({ path }) => path)).toEqual(bad.map((_, index) => `x[${index + 1}]`));
  });
});
