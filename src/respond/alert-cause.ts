import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { ERROR_CODES, type HeadgateError } from '../errors.ts';
import { Count, Sha256, Time } from '../ledger/stored-types.ts';
import { formatLogId, parseLogId, type LogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';

/** Longest message of a halt that is told, in characters: a job must stay small. */
const MESSAGE_MAX = 2_000;

const Log = Type.String({ minLength: 1, maxLength: 4_096 });
const exactly = { additionalProperties: false };

const Cause = Type.Union([
  Type.Object({ about: Type.Literal('batch'), log: Log, slot: Count, digest: Sha256 }, exactly),
  Type.Object({ about: Type.Literal('control'), seq: Count, digest: Sha256 }, exactly),
  Type.Object(
    {
      about: Type.Literal('halt'),
      log: Log,
      code: Type.Enum(Object.keys(ERROR_CODES)),
      next: Count,
      message: Type.String({ maxLength: MESSAGE_MAX }),
      time: Time,
    },
    exactly,
  ),
]);

/** Why people are told; everything else is read from the ledger when the alert is sent. Ids only, no values. */
export type AlertCause = Static<typeof Cause>;

/**
 * The cause in a job's data; null if it is none.
 * Trust: whoever can write to the queue can make up jobs. Batches and control entries are looked up in the ledger; a halt
 * is not in it, so its message can be forged there, as it can be in the note of it in the store.
 */
export function parseCause(data: unknown): AlertCause | null {
  if (!Value.Check(Cause, data)) return null;
  return 'log' in data && parseLogId(data.log) === undefined ? null : data;
}

/** Id of the alert: the same for the same cause, on every machine and after every restart. */
export function alertId(cause: AlertCause): string {
  if (cause.about !== 'halt') return `${cause.about}-${cause.digest.slice(0, 32)}`;
  const { log, code, next, message, time } = cause;
  // A halt that was cleared and comes again at the same offset is another one. By a rule, none does: its batch is committed.
  const since = code === 'RULE' ? '' : time;
  // The message too: a job that was made up must not take the place of the true one.
  return `halt-${sha256Hex(Buffer.from([log, code, next, since, message].join('\n'), 'utf8')).slice(0, 32)}`;
}

/**
 * Cause of a halted partition.
 * @param next first offset that was not committed. @param since when it halted, ISO 8601, the same after a restart; with
 * `next` it tells one halt from another.
 */
export function haltCause(log: LogId, error: HeadgateError, next: number, since: string): AlertCause {
  return {
    about: 'halt',
    log: formatLogId(log),
    code: error.code,
    next,
    message: error.message.slice(0, MESSAGE_MAX),
    time: since,
  };
}
