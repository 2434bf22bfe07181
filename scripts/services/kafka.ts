import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { runStep } from './command.ts';
import { writeWhole } from './files.ts';
import { installFolder, installOnce } from './install.ts';
import { kafkaAddress, KAFKA_USERS, KAFKA_VERSION, localKafkaSettings, renderProperties } from './kafka-settings.ts';
import { localServer } from './local-server.ts';
import { PREFERRED_PORTS } from './ports.ts';
import type { KafkaAddress } from './service.ts';
import { certificatePaths, ensureCertificates } from './tls.ts';
import { JAVA, MAVEN, OPENSSL } from './toolchain.ts';

/** Kafka's libraries; they bring no logger, so the simplest one is added. */
const POM = `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headgate</groupId>
  <artifactId>test-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

const INSTALLATION = {
  name: 'kafka',
  version: `${KAFKA_VERSION}-${createHash('sha256').update(POM).digest('hex').slice(0, 8)}`,
  title: `kafka ${KAFKA_VERSION}`,
  cost: 'about 1 min',
};

const LOGGING = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
const SMALL_JVM = [LOGGING, '-Xmx256m', '-XX:TieredStopAtLevel=1'];

/** Fewer files than this in the libraries folder, and Maven left something out (version 4.1.0 has 93). */
const LIBRARIES_MIN = 60;

/** Kafka from Maven's libraries: one KRaft node on loopback with listeners without security, with SASL over TLS, and with mutual TLS. */
export const kafka = localServer<KafkaAddress, 'plain' | 'controller' | 'sasl' | 'mtls'>({
  name: 'kafka',
  installation: INSTALLATION,
  toolsToInstall: [MAVEN],
  toolsToRun: [JAVA, OPENSSL],
  preferredPorts: {
    plain: PREFERRED_PORTS.kafka,
    controller: PREFERRED_PORTS.kafkaController,
    sasl: PREFERRED_PORTS.kafkaSasl,
    mtls: PREFERRED_PORTS.kafkaMtls,
  },
  readyWithinMs: 90_000,
  find(environment) {
    const brokers = (environment['HEADGATE_KAFKA_BROKERS'] ?? '').split(',').filter((broker) => broker.trim() !== '');
    return brokers.length === 0 ? null : { brokers: brokers.map((broker) => broker.trim()), saslSsl: null, mtls: null };
  },
  install: (context) =>
    installOnce(context, INSTALLATION, async (folder, logFile) => {
      await writeWhole(join(folder, 'pom.xml'), POM);
      const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
      const mavenArguments = [
        '--batch-mode',
        '--no-transfer-progress',
        goal,
        '-DincludeScope=runtime',
        '-DoutputDirectory=libs',
      ];
      await runStep('fetch Kafka', 'mvn', mavenArguments, {
        cwd: folder,
        environment: context.environment,
        logFile,
        background: true,
        signal: context.signal,
      });
      const libraries = await readdir(join(folder, 'libs'));
      if (libraries.length < LIBRARIES_MIN) {
        throw new Error(
          `Cannot fetch Kafka: Maven copied ${libraries.length} libraries, at least ${LIBRARIES_MIN} are expected; see ${logFile}`,
        );
      }
    }),
  async prepare(context, folder, ports) {
    const certificates = await ensureCertificates(context, folder);
    const dataFolder = join(folder, 'data');
    await rm(dataFolder, { recursive: true, force: true });
    await mkdir(dataFolder, { recursive: true });
    const settingsFile = join(folder, 'server.properties');
    await writeWhole(settingsFile, renderProperties(localKafkaSettings(ports, dataFolder, certificates)));
    const scramUsers = KAFKA_USERS.filter((user) => user.mechanism !== 'plain').flatMap((user) => [
      '--add-scram',
      `${user.mechanism.toUpperCase()}=[name=${user.username},password=${user.password}]`,
    ]);
    const libraries = join(installFolder(context, INSTALLATION), 'libs', '*');
    const clusterId = randomBytes(16).toString('base64url');
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', settingsFile, ...scramUsers];
    const logFile = join(context.folder, 'logs', 'kafka.log');
    await runStep('format the Kafka data folder', 'java', [...SMALL_JVM, '-cp', libraries, ...format], {
      logFile,
      signal: context.signal,
    });
  },
  command: (context, folder) => ({
    command: 'java',
    arguments: [
      [LOGGING, '-Xms256m', '-Xmx768m', '-XX:+UseG1GC', '-XX:+ExitOnOutOfMemoryError'],
      ['-cp', join(installFolder(context, INSTALLATION), 'libs', '*')],
      ['kafka.Kafka', join(folder, 'server.properties')],
    ].flat(),
  }),
  address: (folder, ports) => kafkaAddress(ports, certificatePaths(folder)),
  ping: pingKafka,
  warmUp: loadGroupCoordinator,
});

/** Asks the cluster for its brokers. @throws {Error} unless at least one has registered, within about 5 s */
export async function pingKafka(address: KafkaAddress): Promise<void> {
  await withAdmin(address, async (admin) => {
    const { brokers } = await admin.describeCluster();
    if (brokers.length === 0)
      throw new Error(`Cannot use Kafka at ${address.brokers.join(',')}: no broker has registered yet`);
  });
}

/** Asks for a group's offsets. The first such request makes Kafka create its offsets topic, and groups cannot join before
 * that is loaded: here it is waited for once, not in each test. */
async function loadGroupCoordinator(address: KafkaAddress): Promise<void> {
  await withAdmin(address, async (admin) => {
    // kafkajs looks for a coordinator only among the brokers that an earlier request has shown it.
    await admin.describeCluster();
    await admin.fetchOffsets({ groupId: 'headgate-services' });
  });
}

async function withAdmin(address: KafkaAddress, work: (admin: Admin) => Promise<void>): Promise<void> {
  const client = new Kafka({
    brokers: [...address.brokers],
    clientId: 'headgate-services',
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2_000,
    requestTimeout: 3_000,
    retry: { retries: 0 },
  });
  const admin = client.admin();
  try {
    await admin.connect();
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}
