import { BlockList, isIP } from 'node:net';

/** Sources: RFC 1918, RFC 4193, RFC 3927 and RFC 4291 (link-local), RFC 6598 (shared). */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  PRIVATE.addSubnet(network, prefix, 'ipv4');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');

/** Names that no public resolver gives out. Sources: RFC 6762 (local), RFC 8375 (home.arpa), ICANN 2024 (internal). */
const PRIVATE_NAME = /^[^.]+$|\.(internal|local|home\.arpa)$/;

/** True for this machine itself. @param host as `URL.hostname` gives it */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * True for a host that only a private network reaches: an address of one, a name without a dot as a compose file or a
 * search domain gives it, or a name below a private top-level domain. Names are not resolved.
 * @param host as `URL.hostname` gives it
 */
export function isPrivateHost(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  return family === 0 ? PRIVATE_NAME.test(host) : PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
