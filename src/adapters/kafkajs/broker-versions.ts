import { ConfigError } from '../../errors.ts';
import { APIS } from './calls.ts';
import type { ApiName, ApiVersionsAnswer, Call } from './calls.ts';
import { brokerErrorName } from './broker-errors.ts';
import type { InternalVersions } from './internals.ts';
import { WireFault } from './wire.ts';

/**
 * What the broker speaks, once it is sure that it speaks all that we need. kafkajs looks at the highest version only, so
 * that an API version that a new broker has dropped shows as a connection that closes.
 * @param broker `host:port`
 * @throws {ConfigError} UNSUPPORTED_BROKER, naming every API that is missing
 */
export function checkVersions(broker: string, answer: ApiVersionsAnswer): InternalVersions {
  if (answer.errorCode !== 0)
    throw new WireFault(`it does not tell its versions: ${brokerErrorName(answer.errorCode)}`);
  const versions: Record<number, { minVersion: number; maxVersion: number }> = {};
  for (const { key, min, max } of answer.versions) versions[key] = { minVersion: min, maxVersion: max };
  const missing = (Object.keys(APIS) as ApiName[]).filter((api) => findVersion(api, versions) === undefined);
  if (missing.length === 0) return versions;
  const list = missing.map((api) => {
    const spoken = versions[APIS[api].key];
    const range = spoken === undefined ? 'not at all' : `${spoken.minVersion} to ${spoken.maxVersion}`;
    return `${api} ${range}, wanted ${APIS[api].versions.join(' or ')}`;
  });
  throw new ConfigError('UNSUPPORTED_BROKER', `Cannot use Kafka broker "${broker}": it speaks ${list.join('; ')}`);
}

/** The version for a request to a broker that passed {@link checkVersions}. @throws {WireFault} when it speaks none up to the request's highest */
export function pickVersion(
  { api, versionMax }: Pick<Call<unknown>, 'api' | 'versionMax'>,
  versions: InternalVersions,
): number {
  const version = findVersion(api, versions, versionMax);
  if (version === undefined) throw new WireFault(`it speaks no ${api} up to version ${versionMax}`);
  return version;
}

function findVersion(api: ApiName, versions: InternalVersions, versionMax = Infinity): number | undefined {
  const spoken = versions[APIS[api].key];
  if (spoken === undefined) return undefined;
  const max = Math.min(spoken.maxVersion, versionMax);
  return APIS[api].versions.find((version) => version >= spoken.minVersion && version <= max);
}
