import type { TestCertificates } from './tls.ts';
import type { KafkaAddress, KafkaUser } from './service.ts';

/** Version of Kafka, the same from Maven and as a container. */
export const KAFKA_VERSION = '4.1.0';

/** Ports of the listeners on loopback. */
export interface KafkaPorts {
  /** No security. */
  readonly plain: number;
  readonly controller: number;
  /** SASL over TLS. */
  readonly sasl: number;
  /** TLS with a client certificate. */
  readonly mtls: number;
}

/** Users of the SASL listener: test data, not secrets. The SCRAM ones are stored in Kafka, the PLAIN one in its settings. */
export const KAFKA_USERS: readonly KafkaUser[] = [
  { mechanism: 'scram-sha-256', username: 'scram256', password: 'scram256-secret' },
  { mechanism: 'scram-sha-512', username: 'scram512', password: 'scram512-secret' },
  { mechanism: 'plain', username: 'plain', password: 'plain-secret' },
];

/** How clients reach a broker with these ports. */
export function kafkaAddress(ports: Omit<KafkaPorts, 'controller'>, certificates: TestCertificates): KafkaAddress {
  return {
    brokers: [`127.0.0.1:${ports.plain}`],
    saslSsl: { brokers: [`localhost:${ports.sasl}`], caFile: certificates.caFile, users: KAFKA_USERS },
    mtls: {
      brokers: [`localhost:${ports.mtls}`],
      caFile: certificates.caFile,
      certificateFile: certificates.clientCertificateFile,
      keyFile: certificates.clientKeyFile,
    },
  };
}

/** What makes one broker fit for tests on a small machine: single replicas, no waiting, and one partition of each internal
 * topic, so that one loaded group coordinator means that all groups can join. */
export const SINGLE_NODE_SETTINGS = {
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
} as const;

/** Settings of the two secured listeners, `SECURE` and `MUTUAL`. Their names hold neither SSL nor SASL on purpose: the start
 * script of the container image would ask for Java key stores. */
export function securedListenerSettings(serverStoreFile: string, caFile: string): Record<string, string> {
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const plainUsers = KAFKA_USERS.filter((user) => user.mechanism === 'plain').map(
    (user) => `user_${user.username}="${user.password}"`,
  );
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': serverStoreFile,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': caFile,
    'listener.name.mutual.ssl.client.auth': 'required',
    'listener.name.secure.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN',
    'listener.name.secure.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.secure.scram-sha-512.sasl.jaas.config': scram,
    'listener.name.secure.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
  };
}

/** The whole `server.properties` of the local broker, with data in `dataFolder`. */
export function localKafkaSettings(
  ports: KafkaPorts,
  dataFolder: string,
  certificates: TestCertificates,
): Record<string, string> {
  const listeners = [
    `PLAINTEXT://127.0.0.1:${ports.plain}`,
    `CONTROLLER://127.0.0.1:${ports.controller}`,
    `SECURE://127.0.0.1:${ports.sasl}`,
    `MUTUAL://127.0.0.1:${ports.mtls}`,
  ];
  // Over TLS a name, not an address: clients then check it against the certificate, as they do in production.
  const advertised = [
    `PLAINTEXT://127.0.0.1:${ports.plain}`,
    `SECURE://localhost:${ports.sasl}`,
    `MUTUAL://localhost:${ports.mtls}`,
  ];
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: listeners.join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL',
    'log.dirs': dataFolder,
    ...SINGLE_NODE_SETTINGS,
    ...securedListenerSettings(certificates.serverStoreFile, certificates.caFile),
  };
}

/** Settings as the text of a Java properties file. A backslash would start an escape there. */
export function renderProperties(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}`);
  return `${lines.join('\n')}\n`;
}

/** The environment variable by which Kafka's container image takes a setting: `.` as `_`, `-` as `___`, `_` as `__`. */
export function settingVariable(name: string): string {
  return `KAFKA_${name.replaceAll('_', '__').replaceAll('-', '___').replaceAll('.', '_').toUpperCase()}`;
}
