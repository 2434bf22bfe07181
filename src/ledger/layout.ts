import { encodeSegment, parseLogId, type LogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import { BASELINE_BYTES_MAX } from '../record/stored-limits.ts';

/** Largest object of each kind that is ever read, in bytes; checked before parsing. Source: ledger.md, reliability.md M28. */
export const BYTES_MAX = {
  slot: 256 * 1_024,
  snapshot: 16 * 1_024 * 1_024,
  /** The longest page has 4,096 lines; names of a log may be long. */
  page: 8 * 1_024 * 1_024,
  /** Holds every verdict that no publish has taken up: a resume after a rollback may bring a hundred thousand. */
  state: 64 * 1_024 * 1_024,
  schema: 4 * 1_024 * 1_024,
  baseline: BASELINE_BYTES_MAX,
  evidence: 64 * 1_024 * 1_024,
  data: 512 * 1_024 * 1_024,
  hint: 4 * 1_024,
  /** A message of two thousand characters and a long name, every one of them escaped. */
  halt: 64 * 1_024,
  receipt: 16 * 1_024,
} as const;

/** Second segment of the keys whose objects are named by their digests → cap of what lies there. */
const CONTENT_BYTES_MAX: Readonly<Record<string, number>> = {
  states: BYTES_MAX.state,
  data: BYTES_MAX.data,
  quarantine: BYTES_MAX.data,
  'dead-letters': BYTES_MAX.data,
  evidence: BYTES_MAX.evidence,
  schemas: BYTES_MAX.schema,
  baselines: BYTES_MAX.baseline,
  snapshots: BYTES_MAX.snapshot,
  pages: BYTES_MAX.page,
};

/**
 * Most bytes that readers accept under a key whose object is named by its digest.
 * @throws {RangeError} for any other key
 */
export function contentBytesMax(key: string): number {
  const [, kind = ''] = key.split('/');
  if (!Object.hasOwn(CONTENT_BYTES_MAX, kind))
    throw new RangeError(`Cannot store content under "${key}": no such kind`);
  return CONTENT_BYTES_MAX[kind]!;
}

/** Longest readable part of one key segment; longer names end in a hash of the whole. */
const SEGMENT_MAX = 120;
const DIGITS = 20;

/** Where the Parquet file of a batch lies: `data` once anyone may read it, `quarantine` before. */
export type DataArea = 'data' | 'quarantine';

/** The batch that an object belongs to. */
export interface BatchName {
  readonly log: LogId;
  readonly epoch: number;
  readonly start: number;
  readonly end: number;
}

/** Every object key of one pipeline; nothing else in the code base builds a key. */
export class Layout {
  readonly #root: string;

  constructor(pipeline: string) {
    this.#root = `${segment(pipeline)}/`;
  }

  /** All partition logs. */
  logs(): string {
    return `${this.#root}log/`;
  }

  /** All logs of the topic that a log is of. */
  topic({ cluster, topic }: LogId): string {
    return `${this.logs()}${segment(cluster)}/${segment(topic)}/`;
  }

  /** All slots of one partition log. */
  log(log: LogId): string {
    return `${this.logs()}${logPath(log)}/`;
  }

  slot(log: LogId, slot: number): string {
    return this.log(log) + number(slot);
  }

  /** Key of slot 0 of the log whose slots lie in a folder. @param folder as {@link log} gives it, be its log unknown. */
  firstSlot(folder: string): string {
    return folder + number(0);
  }

  /** True for keys that an entry of a partition log can have: cluster, topic, partition, slot. */
  isSlot(key: string): boolean {
    if (!key.startsWith(this.logs())) return false;
    const parts = key.slice(this.logs().length).split('/');
    return parts.length === 4 && isNumber(parts[3]!);
  }

  /** True for keys that an entry of the control log can have. */
  isControlEntry(key: string): boolean {
    return key.startsWith(this.control()) && isNumber(key.slice(this.control().length));
  }

  control(): string {
    return `${this.#root}control/`;
  }

  controlEntry(seq: number): string {
    return this.control() + number(seq);
  }

  /** The state object that a control entry names by digest. */
  state(sha256: string): string {
    return `${this.#root}states/${sha256}`;
  }

  data(area: DataArea, { log, epoch, start, end }: BatchName, sha256: string): string {
    return `${this.#root}${area}/${logPath(log)}/${epoch}/${start}-${end}-${sha256}.parquet`;
  }

  deadLetters({ log, epoch, start, end }: BatchName, sha256: string): string {
    return `${this.#root}dead-letters/${logPath(log)}/${epoch}/${start}-${end}-${sha256}.parquet`;
  }

  evidence({ log, epoch, start, end }: BatchName, sha256: string): string {
    return `${this.#root}evidence/${logPath(log)}/${epoch}/${start}-${end}-${sha256}.json`;
  }

  /** Evidence of a judgement that is not one batch's own: a group verdict, a re-judgement. */
  judgement(sha256: string): string {
    return `${this.#root}evidence/judgements/${sha256}.json`;
  }

  schema(sha256: string): string {
    return `${this.#root}schemas/${sha256}.json`;
  }

  baseline(sha256: string): string {
    return `${this.#root}baselines/${sha256}.json`;
  }

  snapshot(sha256: string): string {
    return `${this.#root}snapshots/${sha256}`;
  }

  page(sha256: string): string {
    return `${this.#root}pages/${sha256}`;
  }

  /** Newest slot of each log, for whoever looks for news; a hint, never trusted. */
  headHints(): string {
    return `${this.#root}hint/heads/`;
  }

  headHint(log: LogId): string {
    return this.headHints() + logPath(log);
  }

  /** {@link log} by the key of {@link headHint}, be its log unknown. */
  logOfHint(hint: string): string {
    return `${this.logs()}${hint.slice(this.headHints().length)}/`;
  }

  /** Key of {@link headHint} of a log by its name as control entries have it; null for what names no log. */
  headHintNamed(name: string): string | null {
    const log = parseLogId(name);
    return log === undefined ? null : this.headHint(log);
  }

  /** What processes tell of partitions that they have halted; hints, never trusted. */
  haltHints(): string {
    return `${this.#root}hint/halts/`;
  }

  haltHint(log: LogId): string {
    return this.haltHints() + logPath(log);
  }

  /**
   * Key of {@link headHint} of the log that an object belongs to, by the object's key, for whoever must tell which log an
   * error is about; null for an object of no log or of several.
   */
  headHintOf(key: string): string | null {
    if (!key.startsWith(this.#root)) return null;
    const [kind, cluster, topic, partition, ...rest] = key.slice(this.#root.length).split('/');
    const isOfLog = ['log', 'evidence', 'data', 'quarantine', 'dead-letters'].includes(kind!) && rest.length > 0;
    return isOfLog ? `${this.headHints()}${cluster}/${topic}/${partition}` : null;
  }

  controlHint(): string {
    return `${this.#root}hint/control`;
  }

  /** Up to where the acts in the control log have been told; a hint, no more trusted than a receipt. */
  toldHint(): string {
    return `${this.#root}hint/told`;
  }

  /** Receipts of delivered alerts. */
  receipts(): string {
    return `${this.#root}receipts/`;
  }

  receipt(alertId: string, channel: string): string {
    return `${this.receipts()}${alertId}/${segment(channel)}`;
  }

  /** Objects of the store probe; `run` is unique per probe. */
  probe(run: string, name: string): string {
    return `${this.#root}probe/${run}/${name}`;
  }

  /** The recorded result of the full store probe. */
  probeRecord(): string {
    return `${this.#root}probe/passed`;
  }
}

/** Path of a log inside the store. Injective: a shortened segment ends in `~` and a hash of the whole, and `~` is never plain. */
function logPath({ cluster, topic, partition }: LogId): string {
  return `${segment(cluster)}/${segment(topic)}/${segment(partition)}`;
}

/**
 * A name as one path segment of at most 153 ASCII characters; injective. A long one keeps its beginning and ends in `~` and
 * a hash of the whole.
 */
export function segment(text: string): string {
  const encoded = encodeSegment(text);
  if (encoded.length <= SEGMENT_MAX) return encoded;
  return `${encoded.slice(0, SEGMENT_MAX).replace(/%.?$/, '')}~${sha256Hex(Buffer.from(text, 'utf8')).slice(0, 32)}`;
}

/** Twenty digits, so that the order of keys is the order of numbers. */
function number(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`Cannot name slot ${value}: not a non-negative integer`);
  return String(value).padStart(DIGITS, '0');
}

/** True for what {@link number} makes. */
function isNumber(text: string): boolean {
  return text.length === DIGITS && /^\d+$/.test(text);
}
