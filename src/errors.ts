/** Every error class and code. A class says what the caller must do; a code says what happened. docs/reference/errors.md is generated from this file. */

/** What each code means and how to mend it. A test holds docs/reference/errors.md to this table. */
export const ERROR_CODES = {
  CONFIG_INVALID: 'The configuration has faults; each is listed with its path, what was expected and what was found.',
  CONFIG_NOT_FOUND: 'There is no configuration file at the given path; run `headgate init` or pass --config.',
  KEY_INVALID:
    'A key file cannot be used: missing, readable by others, wrong curve, wrong passphrase, or not matching its public key.',
  STATE_UNUSABLE:
    'The folder in which this machine remembers what it has seen of the store (stateFolder) cannot be read or written.',
  TRUST_INVALID:
    'The trust root cannot be used: missing, malformed, or it does not give a key of this machine the role that is needed.',
  REQUEST_INVALID: 'The request cannot be carried out as it stands; the message says what to change.',
  NOT_FOUND: 'The named object does not exist.',
  STATEMENT_INVALID: 'A signed statement is malformed, signed by an unknown key, or its signature does not verify.',
  CHAIN_BROKEN:
    'A log entry does not follow from the one before it: wrong slot, wrong previous digest, or offsets that do not meet.',
  SLOT_INVALID: 'A log slot holds bytes that are not a valid entry (squatted or damaged).',
  SLOT_MISSING: 'A log slot is missing although a later one exists, or a published snapshot was made from it.',
  DIGEST_MISMATCH: 'The bytes of an object do not hash to the digest that its signed entry names.',
  OBJECT_MISSING: 'An object that a signed entry names is not in the store.',
  UNJUDGED:
    'A log was damaged when its ref was resumed after a rollback: what it holds beyond the target is not judged again yet.',
  ROOT_MISMATCH: 'Leaves recomputed from the stored records do not give the signed Merkle root.',
  ENCODING_UNFAITHFUL:
    'A batch did not survive encoding: what was decoded back differs from what was encoded, so nothing was committed.',
  ENCODER_FAILED:
    'The thread that encodes batches ended or gave no answer. It is started again; a batch that it fails at three times in a row halts its partition.',
  SIZE_EXCEEDED: 'An object is larger than the cap of its kind.',
  STORE_NOT_ATOMIC:
    'The object store lets two create-only writes of one key both win, or does not show a write at once; it cannot hold a ledger.',
  STORE_ROLLED_BACK: 'A witness outside the store has seen a later log head than the store now shows.',
  STORE_UNAVAILABLE: 'The object store cannot be reached or refuses; ingestion pauses and resumes by itself.',
  STORE_UNCERTAIN:
    'A write to the object store ended without an answer; the object must be read before anything else is done.',
  STOPPED: 'The command was told to stop (SIGINT, SIGTERM) before it had done all of its work; it says what was done.',
  CLOCK_WRONG:
    'The clock of this machine, or of one that has signed before, is more than a day off; nothing is signed under it.',
  FOREIGN_WRITER: 'Another deployment writes to the same log.',
  ALREADY_RUNNING:
    'Another process of this machine reads the same files into the same pipeline; it says which and since when.',
  FENCED: 'Another writer has claimed this partition with a higher epoch; this one drops its buffer and reloads.',
  CONFLICT: 'Someone else wrote the next control entry first; reload and redo.',
  GAP: 'Records between the last committed offset and the earliest one still available are gone (retention).',
  LOG_TRUNCATED:
    'The topic ends before the last committed offset, or it was deleted and made again under the same name.',
  LEADER_EPOCH: 'The broker now shows other record batches at offsets that are already committed.',
  ORDER: 'Offsets of a partition do not rise.',
  CRC: 'A record batch does not match its CRC32C, twice in a row.',
  CODEC: 'A record batch is compressed with a codec that this build cannot read.',
  BOMB: 'A record batch inflates beyond the cap.',
  MAGIC: 'A record batch has a format version that is not supported.',
  MALFORMED: 'A record batch passes its CRC32C but does not parse: its lengths or counts contradict each other.',
  TOPIC_GONE: 'The topic was deleted while it was being read.',
  SOURCE_CHANGED: 'The already ingested part of a file has changed.',
  UNSUPPORTED_BROKER:
    'The broker does not speak a version of the Kafka protocol that is needed; the message names the API.',
  SOURCE_UNAVAILABLE: 'The record source cannot be reached or refuses.',
  INTERNAL: 'A fault of Headgate itself, with the place in its code: please report it.',
  RULE: 'A rule with action halt was broken.',
  QUEUE_UNSAFE:
    'The Redis server may evict keys (its maxmemory-policy is not noeviction, or cannot be read), so it cannot hold jobs.',
  QUEUE_UNAVAILABLE: 'The job queue cannot be reached.',
  ALERT_REFUSED: 'A webhook target is not allowed: not https, not a public address, or credentials in the URL.',
  ALERT_UNDELIVERED: 'A webhook did not accept an alert.',
  PAYLOAD_INVALID:
    'A stored object (snapshot, page, schema, baseline, evidence, Parquet file) cannot be parsed as its kind.',
  PULL_CONFLICT:
    'The target folder of a pull holds data that no pull into it has put there, lies in the folder of another pull, or something is in the way of what must be written.',
  TARGET_UNUSABLE:
    'The target folder of a pull cannot be read or written: the disk is full or read-only, or the folder belongs to another user.',
} as const;

/** A stable, documented name of what went wrong. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Fields that are safe to log: never record values, keys or secrets. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | null>>;

/** Base of all errors that Headgate throws. */
export abstract class HeadgateError extends Error {
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; fields?: ErrorFields } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = options.fields ?? {};
  }
}

/** One fault in a configuration: where, what was expected, what was found. */
export interface ConfigFault {
  readonly path: string;
  readonly message: string;
}

/** The operator must change the configuration, a key or the trust root; lists all faults at once. */
export class ConfigError extends HeadgateError {
  readonly faults: readonly ConfigFault[];

  constructor(
    code: ErrorCode,
    message: string,
    faults: readonly ConfigFault[] = [],
    options: { cause?: unknown } = {},
  ) {
    super(
      code,
      faults.length === 0 ? message : `${message}\n${faults.map((f) => `  ${f.path}: ${f.message}`).join('\n')}`,
      options,
    );
    this.faults = faults;
  }
}

/** Bytes contradict a signature or a digest. Never retry: halt the partition or report tampering. `object` names the object. */
export class IntegrityError extends HeadgateError {
  readonly object: string;

  constructor(
    code: ErrorCode,
    object: string,
    message: string,
    options: { cause?: unknown; fields?: ErrorFields } = {},
  ) {
    super(code, message, options);
    this.object = object;
  }

  /** The message without the object's name, for lists that name it themselves. */
  get reason(): string {
    const name = `"${this.object}": `;
    const at = this.message.indexOf(name);
    return at === -1 ? this.message : this.message.slice(at + name.length);
  }
}

/** A partition stopped itself because going on could lose or forge something; an operator decides the way out. */
export class HaltError extends HeadgateError {}

/** Someone else was first: reload and redo. */
export class ConflictError extends HeadgateError {}

/** The outside world does not answer or refuses for now, and nothing was written: back off and retry. */
export class UnavailableError extends HeadgateError {}

/** A write may or may not have happened: re-read before anything else. */
export class UncertainError extends HeadgateError {}

/** The named thing does not exist: tell the user. */
export class NotFoundError extends HeadgateError {}

/** The request itself is wrong: tell the user what to change. */
export class RequestError extends HeadgateError {}
