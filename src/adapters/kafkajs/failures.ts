import { ConfigError, HeadgateError, UnavailableError } from '../../errors.ts';
import { BROKER_ERROR, brokerErrorName } from './broker-errors.ts';
import { WireFault } from './wire.ts';

/** Certificate faults, by Node's error code, and what to do. Source: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const CERTIFICATE_FAULTS: ReadonlyMap<string, string> = new Map([
  ...[
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT',
  ].map(
    (code) =>
      [code, 'its certificate is not signed by a CA that we trust; set tls.ca to the CA of the brokers'] as const,
  ),
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'its certificate is not signed by a CA that we trust; set tls.ca to the CA of the brokers',
  ],
  ['CERT_SIGNATURE_FAILURE', 'its certificate has a false signature; set tls.ca to the CA of the brokers'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired; renew the certificate of the broker'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet; check the clocks'],
  ['CERT_REVOKED', 'its certificate was revoked'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name; set tls.serverName to a name in it'],
]);

/** What brokers that do not take our certificate, or do not speak TLS, make Node say. */
const TLS_REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH/, 'it does not speak TLS there; remove tls, or use its TLS listener'],
  [/ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/, 'it asks for a client certificate; set tls.cert and tls.key'],
  [
    /ALERT_(BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|ACCESS_DENIED)/,
    'it refuses our client certificate, or wants one; check tls.cert and tls.key',
  ],
];

/** Names of kafkajs's error classes; `instanceof` would need more of its files. */
const SASL_ERROR = 'KafkaJSSASLAuthenticationError';
/** kafkajs wraps a lost connection during SASL as a failed authentication. */
const LOST_WHILE_AUTHENTICATING = /closed|not connected|connection error|timed? ?out/i;

/**
 * Why a connection could not be made or was lost, as an error that says what to do.
 * @param broker `host:port`
 * @param hint what may be behind a connection that the broker closes without a word
 * @returns ConfigError when only the operator can mend it, else UnavailableError
 */
export function connectionFailure(broker: string, error: unknown, hint?: string): HeadgateError {
  if (error instanceof HeadgateError) return error;
  const { code = '', name, message, type } = error as { code?: string; name?: string; message: string; type?: string };
  const certificate = CERTIFICATE_FAULTS.get(code);
  const refusal = TLS_REFUSALS.find(([pattern]) => pattern.test(code) || pattern.test(message))?.[1];
  const what = certificate ?? refusal;
  if (what !== undefined) return refused(`Cannot connect to Kafka broker "${broker}": ${what}`, error);
  if (type === 'SASL_AUTHENTICATION_FAILED' || (name === SASL_ERROR && !LOST_WHILE_AUTHENTICATING.test(message))) {
    return refused(
      `Cannot authenticate to Kafka broker "${broker}": ${sayOnce(message)}; check sasl.mechanism and its credentials`,
      error,
    );
  }
  if (type === 'UNSUPPORTED_SASL_MECHANISM' || type === 'ILLEGAL_SASL_STATE') {
    return refused(
      `Cannot authenticate to Kafka broker "${broker}": it does not offer this mechanism there; check sasl.mechanism and the port`,
      error,
    );
  }
  if (error instanceof WireFault) {
    return unavailable(`Cannot talk to Kafka broker "${broker}": ${message}`, error);
  }
  const reason = sayOnce(message) || code || 'connection failed';
  const advice = BEFORE_TLS.test(message) ? 'if it does not speak TLS there, remove tls or use its TLS listener' : hint;
  const close = advice !== undefined && CLOSED.test(message) ? `${reason}; ${advice}` : reason;
  return unavailable(`Cannot reach Kafka broker "${broker}": ${close}`, error);
}

/** Node's words for a connection that ends during the TLS handshake. */
const BEFORE_TLS = /before secure TLS connection/;
const CLOSED = /closed|disconnected/i;

/** What a broker refuses that only the operator can mend, by error code. */
const REFUSALS = new Map<number, (subject: string) => string>([
  [
    BROKER_ERROR.TOPIC_AUTHORIZATION_FAILED,
    (topic) => `the broker denies access to topic "${topic}"; allow Read and Describe on it`,
  ],
  [
    BROKER_ERROR.GROUP_AUTHORIZATION_FAILED,
    (group) => `the broker denies access to consumer group "${group}"; allow Read on it`,
  ],
  [BROKER_ERROR.CLUSTER_AUTHORIZATION_FAILED, () => 'the broker denies access to the cluster'],
  [BROKER_ERROR.INVALID_TOPIC, (topic) => `the broker does not take "${topic}" as a topic name`],
  [BROKER_ERROR.INVALID_GROUP_ID, (group) => `the broker does not take "${group}" as a group id`],
  [
    BROKER_ERROR.INVALID_SESSION_TIMEOUT,
    () =>
      'the broker does not take this sessionTimeoutMs; stay within its group.min.session.timeout.ms and group.max.session.timeout.ms',
  ],
  [
    BROKER_ERROR.INCONSISTENT_GROUP_PROTOCOL,
    (group) => `another application uses consumer group "${group}"; set a groupId that is only ours`,
  ],
  [
    BROKER_ERROR.GROUP_MAX_SIZE_REACHED,
    (group) => `consumer group "${group}" is full; raise the broker's group.max.size`,
  ],
]);

/**
 * An error for an error code in an answer.
 * @param action what was tried, e.g. `join consumer group "g"`
 * @param subject name of the topic or group
 * @returns ConfigError when only the operator can mend it, else UnavailableError
 */
export function brokerRefusal(action: string, subject: string, errorCode: number): HeadgateError {
  const refusal = REFUSALS.get(errorCode);
  if (refusal !== undefined) return refused(`Cannot ${action}: ${refusal(subject)}`);
  return unavailable(`Cannot ${action}: the broker answers ${brokerErrorName(errorCode)}`);
}

/** The source is out of reach for now. */
export function unavailable(message: string, cause?: unknown): UnavailableError {
  return new UnavailableError('SOURCE_UNAVAILABLE', message, { cause });
}

/** While running, what the operator must mend is an outage like any other: the process waits for it. */
export function asUnavailable(error: unknown): HeadgateError {
  if (error instanceof ConfigError) return unavailable(error.message, error);
  if (error instanceof HeadgateError) return error;
  return unavailable(`Cannot read from Kafka: ${error instanceof Error ? error.message : String(error)}`, error);
}

function refused(message: string, cause?: unknown): ConfigError {
  return new ConfigError('CONFIG_INVALID', message, [], { cause });
}

/** kafkajs repeats a message once for each class that wraps it. */
function sayOnce(message: string): string {
  const parts = message.replace(/\.$/, '').split(': ');
  return parts.filter((part, i) => parts.indexOf(part) === i).join(': ');
}
