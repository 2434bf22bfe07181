import { ConfigError, type ConfigFault } from '../../../src/errors.ts';
import { parseConfig, type LoadedConfig } from '../../../src/config/load.ts';

/** The fewest keys that make a configuration. */
export const FILES = `
pipeline: p
deployment: d
source: { files: { topic: flights, paths: ['*.ndjson'] } }
`;
export const KAFKA = `
pipeline: p
deployment: d
source: { kafka: { brokers: ['kafka:9092'], topics: [orders, returns] } }
`;

/** Reads a configuration of these lines behind the fewest that are needed. */
export function parse(
  text: string,
  { base = FILES, environment = {} }: { base?: string; environment?: Record<string, string> } = {},
): LoadedConfig {
  return parseConfig(base + text, '/folder/headgate.yaml', environment);
}

/** What is wrong with a configuration: `path: message` each. @throws if nothing is */
export function faultsOf(...given: Parameters<typeof parse>): string[] {
  const { faults } = errorOf(() => parse(...given));
  return faults.map(({ path, message }: ConfigFault) => `${path}: ${message}`);
}

/** The error that reading a configuration ends with. @throws if there is none */
export function errorOf(read: () => unknown): ConfigError {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('Read the configuration, but it should be refused');
}
