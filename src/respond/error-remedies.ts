import type { ErrorCode } from '../errors.ts';

/** What a reader of an error code needs besides its meaning; in Markdown. */
export interface Remedy {
  /** What the trouble does not touch. */
  readonly unharmed: string;
  /** What to do. */
  readonly mend: string;
}

const NOTHING_DONE = 'Everything: nothing was begun.';
const OTHER_PARTITIONS =
  'What is committed, and all other partitions: only this one has halted, and nothing of it is skipped.';
const OTHER_LOGS = 'All other logs, which are read and published on, and what the newest snapshot has of this one.';
const PUT_BACK =
  'Put the object back as it was, from a copy of the store or from earlier versions of its objects; `headgate verify` names each that differs.';
const AND_START = 'Then start the process again.';
const ANEW = 'set up a new pipeline (`headgate init DIR --pipeline NAME`, which has a consumer group of its own)';
const BROKER = `Mend the topic at the broker (another replica, a restored copy). ${AND_START} If those records are lost, ${ANEW} with a later \`start\`.`;
const NEW_PIPELINE = `The old offsets mean other records now, and nothing leads from them to the new ones. To read the topic as it is now, ${ANEW}; or have it written under a new topic name and read that one here. What was published stays good.`;

/** What is unharmed, and how to mend it, by code. */
export const ERROR_REMEDIES: Readonly<Record<ErrorCode, Remedy>> = {
  CONFIG_INVALID: {
    unharmed: NOTHING_DONE,
    mend: 'Change what the message lists; `config/default.yaml` has every key with its default.',
  },
  CONFIG_NOT_FOUND: { unharmed: NOTHING_DONE, mend: 'Run `headgate init`, or name the file by `--config`.' },
  KEY_INVALID: {
    unharmed: 'Everything: nothing was signed.',
    mend: 'Put the key file back, `chmod 600` it, or give its passphrase; `headgate doctor` checks all keys.',
  },
  STATE_UNUSABLE: {
    unharmed: 'The store. Only this machine cannot tell whether the store was rolled back.',
    mend: 'Make room in `stateFolder`, or give the user of the process the right to read and write it. Do not delete it: what it remembers is nowhere else.',
  },
  TRUST_INVALID: {
    unharmed: NOTHING_DONE,
    mend: 'Take the trust file of the pipeline as it was handed out. If a key lacks a role, who administers the pipeline adds it there.',
  },
  REQUEST_INVALID: { unharmed: 'Everything: nothing was changed.', mend: 'Change what the message says.' },
  NOT_FOUND: {
    unharmed: 'Everything: nothing was changed.',
    mend: 'Look the name up: `headgate status`, `headgate log` and `headgate quarantine list` show what there is.',
  },
  STATEMENT_INVALID: {
    unharmed: OTHER_LOGS,
    mend: `Where the key is one of yours, the trust file of this machine is not the newest: copy that one here (\`docs/operating/keys.md\`). Else someone else wrote the object: find out who may write to the store. Where nothing of this pipeline ever lay there, as in the first slot of a new log, remove it. ${PUT_BACK}`,
  },
  CHAIN_BROKEN: { unharmed: OTHER_LOGS, mend: PUT_BACK },
  SLOT_INVALID: {
    unharmed: OTHER_LOGS,
    mend: `Find out who put it there. Where nothing of this pipeline ever lay there, as in the first slot of a new log, remove it. ${PUT_BACK} ${AND_START}`,
  },
  SLOT_MISSING: {
    unharmed: OTHER_LOGS,
    mend: `${PUT_BACK} Where it is lost for good, this log stays where it is: to read its source on, ${ANEW}.`,
  },
  DIGEST_MISMATCH: {
    unharmed: OTHER_LOGS,
    mend: `${PUT_BACK} Where it is evidence or data of one batch, \`headgate quarantine condemn LOG@OFFSET --reason TEXT\` leaves that batch out, and its log goes on. Where it is a list page of a snapshot, \`headgate rollback\` goes back to one that can be read; the newest snapshot itself has to be put back before anything is published.`,
  },
  OBJECT_MISSING: {
    unharmed: OTHER_LOGS,
    mend: `${PUT_BACK} Where it is evidence or data of one batch, \`headgate quarantine condemn LOG@OFFSET --reason TEXT\` leaves that batch out, and its log goes on. Where it is a list page of a snapshot, \`headgate rollback\` goes back to one that can be read; the newest snapshot itself has to be put back before anything is published.`,
  },
  UNJUDGED: {
    unharmed: OTHER_LOGS,
    mend: `${PUT_BACK} Then \`headgate resume --reason TEXT\`, which judges that log again and lets it go on.`,
  },
  ROOT_MISMATCH: {
    unharmed: 'What has another object: each is checked by itself.',
    mend: `The signed root and the stored records contradict each other: do not train on that batch. \`headgate quarantine condemn BATCH --reason TEXT\` takes it out, \`headgate rollback\` goes back. ${PUT_BACK}`,
  },
  ENCODING_UNFAITHFUL: {
    unharmed: OTHER_PARTITIONS,
    mend: 'Please report it, with the name of the column and its type in the message. Another type for that column (such as text) is a way around it.',
  },
  ENCODER_FAILED: {
    unharmed: OTHER_PARTITIONS,
    mend: `Give the process more memory, or make batches smaller (\`batch.bytesMax\`). ${AND_START}`,
  },
  SIZE_EXCEEDED: {
    unharmed: 'All else: nothing of the object was read or written.',
    mend: `Where the message names a limit of the configuration, raise it or write smaller records. Where it is a stored object, someone else wrote it. ${PUT_BACK}`,
  },
  STORE_NOT_ATOMIC: {
    unharmed: 'What the store holds: nothing was written but the probe.',
    mend: 'Use a store with atomic `If-None-Match` writes; `headgate doctor --write` tells whether one is.',
  },
  STORE_ROLLED_BACK: {
    unharmed: 'What this machine and the source remember. Nothing was written on the older copy.',
    mend: 'Put the newest copy of the store back. If the older one is all that is left, `docs/operating/incident.md` has the step that accepts it, and what is lost. If the store is new on purpose, give the pipeline and the consumer group new names.',
  },
  STORE_UNAVAILABLE: {
    unharmed: 'What is committed. Reading waits and goes on by itself.',
    mend: 'Mend network, credentials or rights; `headgate doctor` says which.',
  },
  STORE_UNCERTAIN: {
    unharmed: 'What is committed: the object is read before anything else is done.',
    mend: 'None is needed, as long as the store answers again.',
  },
  STOPPED: {
    unharmed: 'Everything: what the message does not name as signed was not done, and will not be.',
    mend: 'Call the command again, if it is still wanted.',
  },
  CLOCK_WRONG: {
    unharmed: 'Everything: nothing was signed.',
    mend: 'Set the clock of the machine that is wrong (NTP). Where entries are dated in the future already, `docs/operating/incident.md` has what leads out.',
  },
  FOREIGN_WRITER: {
    unharmed: OTHER_PARTITIONS,
    mend: 'Give each deployment a pipeline name of its own. If this one takes the place of the other, and that one is gone for good, set `deployment` to its name, as the message spells it.',
  },
  ALREADY_RUNNING: {
    unharmed: NOTHING_DONE,
    mend: 'Let the other process end, or stop it; the message says which it is.',
  },
  FENCED: { unharmed: 'Everything: the other process reads on from what is committed.', mend: 'None is needed.' },
  CONFLICT: { unharmed: 'Everything: nothing was written.', mend: 'Call the command again.' },
  GAP: {
    unharmed: OTHER_PARTITIONS,
    mend: `If the records can be brought back, do. Else set \`onGap: continue\`, which signs the gap. ${AND_START}`,
  },
  LOG_TRUNCATED: { unharmed: OTHER_PARTITIONS, mend: NEW_PIPELINE },
  LEADER_EPOCH: {
    unharmed: OTHER_PARTITIONS,
    mend: `Kafka has lost records that it had handed out (an unclean leader election), or they were rewritten: find out which. ${NEW_PIPELINE}`,
  },
  ORDER: { unharmed: OTHER_PARTITIONS, mend: BROKER },
  CRC: { unharmed: OTHER_PARTITIONS, mend: BROKER },
  CODEC: {
    unharmed: OTHER_PARTITIONS,
    mend: 'Set `compression.type` of the topic to `gzip` or `uncompressed`, for what comes. Reading stays where it is, at what was written before: have that written again, into a new topic, and read that one.',
  },
  BOMB: {
    unharmed: OTHER_PARTITIONS,
    mend: `If the producer is to be trusted, raise \`batchInflatedBytesMax\`. ${AND_START} Else find the producer.`,
  },
  MAGIC: {
    unharmed: OTHER_PARTITIONS,
    mend: 'Have the topic written by a producer of Kafka 0.11 or later, into a new topic if need be.',
  },
  MALFORMED: { unharmed: OTHER_PARTITIONS, mend: BROKER },
  TOPIC_GONE: {
    unharmed: 'What is committed and published of it, and all other topics.',
    mend: `Take the topic out of the configuration. If it was made again under the same name, ${ANEW}; or have it written under a new topic name and read that one here.`,
  },
  SOURCE_CHANGED: {
    unharmed: 'What is committed, and all other files: only this one has halted.',
    mend: 'Put the content back as it was, and let more follow behind it; or give the new content a new name, and take the old name out of the paths. `docs/operating/files.md` has the cases.',
  },
  UNSUPPORTED_BROKER: { unharmed: NOTHING_DONE, mend: 'Use a broker that speaks what the message names.' },
  SOURCE_UNAVAILABLE: {
    unharmed: 'What is committed, and what else can be read.',
    mend: 'Mend network, credentials, or rights of the file; `headgate doctor` says which. A file is looked at again with the next run.',
  },
  INTERNAL: {
    unharmed: 'What is committed: what was under way is read again.',
    mend: `Please report it, with the message. ${AND_START}`,
  },
  RULE: {
    unharmed: OTHER_PARTITIONS,
    mend: 'Look at the batch (`headgate quarantine show`), mend the producer or the rule, then `headgate resume --reason TEXT`.',
  },
  QUEUE_UNSAFE: {
    unharmed: 'Everything but alerts: reading and publishing do not need the queue.',
    mend: 'Set `maxmemory-policy noeviction` in Redis.',
  },
  QUEUE_UNAVAILABLE: {
    unharmed: 'Everything but alerts, which are made again from the store.',
    mend: 'Mend Redis, or its address and password in the configuration.',
  },
  ALERT_REFUSED: {
    unharmed: 'Everything but the alerts of this channel.',
    mend: 'Give the channel an https address that is public and has no password in it, or allow the target as the message says.',
  },
  ALERT_UNDELIVERED: {
    unharmed: 'Everything: the alert is sent again until the channel confirms it.',
    mend: 'Look at the target: the message has its answer.',
  },
  PAYLOAD_INVALID: {
    unharmed: OTHER_LOGS,
    mend: `If a newer version of Headgate wrote it, use that one. ${PUT_BACK}`,
  },
  PULL_CONFLICT: {
    unharmed: 'What lies in the folder: nothing of it is overwritten or deleted.',
    mend: 'Move away what the message names, or pull into another folder.',
  },
  TARGET_UNUSABLE: {
    unharmed: 'The store, and the data of the last complete pull.',
    mend: 'Make room, or give the user the right to write; then pull again: what is there already is kept.',
  },
};

/** The way out of an error as one line of plain text, for where the page is not at hand. */
export function wayOutOf(code: ErrorCode): string {
  return ERROR_REMEDIES[code].mend.replaceAll('`', '').replace(/\.$/, '');
}
