import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { ConfigError, type ConfigFault } from '../../errors.ts';
import {
  type AddressBlock,
  type AddressClass,
  classifyAddress,
  isInBlock,
  parseAddress,
  parseBlock,
} from './address.ts';

/** One address that a host name stands for. */
export interface HostAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Finds all addresses of a host name; may never answer (the caller has a deadline). */
export type ResolveHost = (hostname: string) => Promise<readonly HostAddress[]>;

/** Asks the system, in the order it gives, and keeps every answer. */
export const resolveHost: ResolveHost = async (hostname) => {
  const found = await lookup(hostname, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};

/** Targets off the public internet that the server's configuration allows. */
export interface AllowedTargets {
  readonly hosts: ReadonlySet<string>;
  readonly blocks: readonly AddressBlock[];
}

/**
 * What a host that is allowed by name may resolve to. The rest (metadata, link-local, multicast, translated, reserved) needs
 * its block on the list: whoever can answer for the name must not reach a cloud's credentials through it.
 */
const CLASSES_BY_NAME: ReadonlySet<AddressClass> = new Set(['public', 'loopback', 'private', 'shared', 'unique-local']);

/**
 * Reads the list of allowed private targets.
 * @param entries host names, addresses (`127.0.0.1`, `::1`) or blocks (`10.0.0.0/8`).
 * @param path where the list stands in the configuration.
 * @throws ConfigError CONFIG_INVALID listing every entry that is none of these
 */
export function readAllowedTargets(entries: readonly string[], path: string): AllowedTargets {
  const hosts = new Set<string>();
  const blocks: AddressBlock[] = [];
  const faults: ConfigFault[] = [];
  entries.forEach((entry, index) => {
    const block = parseBlock(entry);
    const host = block === null ? plainHost(entry) : null;
    if (block !== null) blocks.push(block);
    else if (host !== null) hosts.add(host);
    else
      faults.push({
        path: `${path}[${index}]`,
        message: `expected a host name, an address or a block, got "${entry}"`,
      });
  });
  if (faults.length > 0)
    throw new ConfigError('CONFIG_INVALID', 'Cannot read the list of allowed private targets', faults);
  return { hosts, blocks };
}

/** The host of a URL without the brackets of IPv6, as name resolution and certificates want it. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A webhook's target, checked on every delivery: names resolve anew each time. */
export class WebhookTarget {
  readonly url: URL;
  readonly #allowed: AllowedTargets;
  readonly #configPath: string;

  /**
   * Checks all that can be told without resolving the name.
   * @param text the URL; `URL` brings every spelling of an address (`0x7f000001`, `127.1`) to one form first.
   * @param configPath where the channel stands in the configuration, for messages.
   * @throws ConfigError ALERT_REFUSED if it is no http(s) URL, holds credentials, is plain http without leave, or names an address that is not public
   */
  constructor(text: string, allowed: AllowedTargets, configPath: string) {
    this.#allowed = allowed;
    this.#configPath = configPath;
    this.url = this.#parse(text);
    if (this.url.username !== '' || this.url.password !== '')
      throw this.#refused('its URL holds credentials', 'remove them from', 'url');
    const host = bareHost(this.url);
    if (isIP(host) !== 0) this.#check([host]);
    else if (this.url.protocol === 'http:' && !allowed.hosts.has(host) && allowed.blocks.length === 0)
      throw this.#plain();
  }

  /** Host and port, for messages: paths of webhooks hold secrets. */
  get host(): string {
    return this.url.host;
  }

  /**
   * The addresses to connect to: every one the name has now, all of them allowed.
   * @throws ConfigError ALERT_REFUSED if any address is not allowed; whatever `resolve` throws
   */
  async resolve(resolve: ResolveHost): Promise<readonly HostAddress[]> {
    const host = bareHost(this.url);
    const family = isIP(host);
    if (family !== 0) return [{ address: host, family: family === 6 ? 6 : 4 }];
    const found = await resolve(host);
    if (found.length === 0) throw new Error(`no address for ${host}`);
    this.#check(found.map(({ address }) => address));
    return found;
  }

  #parse(text: string): URL {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
      throw new ConfigError(
        'ALERT_REFUSED',
        `Cannot use the webhook target in ${this.#configPath}.url: it is not an https URL`,
      );
    }
    return url;
  }

  /** One address off the list refuses them all: a name with a public and a private one is an attack or a mistake. */
  #check(addresses: readonly string[]): void {
    const isNamed = this.#allowed.hosts.has(bareHost(this.url));
    const isListed = (address: string): boolean => {
      const bytes = parseAddress(address);
      return bytes !== null && this.#allowed.blocks.some((block) => isInBlock(bytes, block));
    };
    for (const address of addresses) {
      const addressClass = classifyAddress(address);
      const isAllowed =
        addressClass === 'public' || isListed(address) || (isNamed && CLASSES_BY_NAME.has(addressClass));
      // The address itself stays out of the message: it would tell whoever sets the URL how names resolve inside.
      if (!isAllowed)
        throw this.#refused(`it stands for a ${addressClass} address`, 'if that is meant, list it in', 'allowPrivate');
    }
    if (this.url.protocol === 'http:' && !isNamed && !addresses.every(isListed)) throw this.#plain();
  }

  #plain(): ConfigError {
    return this.#refused('it is plain http', 'use https, or for a target inside list it in', 'allowPrivate');
  }

  #refused(why: string, way: string, key: string): ConfigError {
    return new ConfigError(
      'ALERT_REFUSED',
      `Cannot use webhook target "${this.url.host}": ${why}; ${way} ${this.#configPath}.${key}`,
    );
  }
}

/** `text` as the host of a URL, if it is nothing but a host. */
function plainHost(text: string): string | null {
  const url = URL.canParse(`https://${text}`) ? new URL(`https://${text}`) : null;
  return url !== null && url.href === `https://${url.hostname}/` && !/[/?#@:\\]/.test(text) ? url.hostname : null;
}
