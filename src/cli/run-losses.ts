import { EXTRA_REST } from '../ingest/decode/extra-fields.ts';
import type { CommittedBatch } from '../ingest/events.ts';
import { formatLogId } from '../record/log-id.ts';
import type { DeadLetterCause } from '../record/dead-letter.ts';
import { quoteName } from '../record/quote-name.ts';
import { describeCauses, describeShare, wayOut } from './dead-letters.ts';
import { counted, formatCount } from './output.ts';

/** A cause of dead letters, and one record that died of it. */
export interface LocatedCause extends DeadLetterCause {
  readonly log: string;
}

/** What of one topic came into no column in one run. */
export interface TopicLosses {
  readonly topic: string;
  readonly records: number;
  readonly deadLetters: number;
  /** The most frequent first. */
  readonly causes: readonly LocatedCause[];
  /** Fields outside of the schema and the rows that have them, the most frequent first; `…` are all further ones. */
  readonly extraFields: readonly { readonly path: string; readonly rows: number }[];
}

/** Names of fields outside of the schema that are counted in one topic: producers choose them. */
const FIELDS_MAX = 100;
/** Fields that a sentence names. */
const FIELDS_TOLD_MAX = 3;

interface Counts {
  records: number;
  deadLetters: number;
  readonly causes: Map<string, LocatedCause>;
  readonly extraFields: Map<string, number>;
}

/** What a run reads and keeps beside the columns, by topic: records that do not decode, and fields outside of the schema. */
export class RunLosses {
  readonly #topics = new Map<string, Counts>();

  /** @returns sentences on what no batch of the topic had before. */
  add({
    log,
    records,
    deadLetters,
    judged,
  }: Pick<CommittedBatch, 'log' | 'records' | 'deadLetters' | 'judged'>): string[] {
    const known = this.#topics.get(log.topic);
    const counts = known ?? { records: 0, deadLetters: 0, causes: new Map(), extraFields: new Map() };
    if (known === undefined) this.#topics.set(log.topic, counts);
    const hadDead = counts.deadLetters > 0;
    const hadExtra = counts.extraFields.size > 0;
    counts.records += records;
    counts.deadLetters += deadLetters;
    for (const cause of judged.deadLetterCauses) {
      const key = JSON.stringify([cause.reason, cause.column]);
      const first = counts.causes.get(key) ?? { ...cause, records: 0, log: formatLogId(log) };
      counts.causes.set(key, { ...first, records: first.records + cause.records });
    }
    for (const { path, rows } of judged.extraFields) {
      const isKnown = counts.extraFields.has(path) || counts.extraFields.size < FIELDS_MAX;
      const before = counts.extraFields.get(isKnown ? path : EXTRA_REST) ?? 0;
      // A row may have several of the further ones: theirs are at least so many.
      counts.extraFields.set(isKnown ? path : EXTRA_REST, isKnown ? before + rows : Math.max(before, rows));
    }
    const now = lossesOf(log.topic, counts);
    return [...(hadDead ? [] : describeDead(now)), ...(hadExtra ? [] : describeExtra(now))];
  }

  /** Topics of which something was lost. */
  totals(): TopicLosses[] {
    const all = [...this.#topics].map(([topic, counts]) => lossesOf(topic, counts));
    return all.filter(({ deadLetters, extraFields }) => deadLetters > 0 || extraFields.length > 0);
  }

  /** What a person should know of each topic, and what leads out. */
  lines(): string[] {
    return this.totals().flatMap((losses) => [...describeDead(losses), ...describeExtra(losses)]);
  }
}

function lossesOf(topic: string, { records, deadLetters, causes, extraFields }: Counts): TopicLosses {
  return {
    topic,
    records,
    deadLetters,
    causes: [...causes.values()].sort((a, b) => b.records - a.records),
    extraFields: [...extraFields].map(([path, rows]) => ({ path, rows })).sort(byRows),
  };
}

/** The most frequent first; what stands for further ones last. */
function byRows(a: TopicLosses['extraFields'][number], b: TopicLosses['extraFields'][number]): number {
  return Number(a.path === EXTRA_REST) - Number(b.path === EXTRA_REST) || b.rows - a.rows;
}

function describeDead({ topic, records, deadLetters, causes }: TopicLosses): string[] {
  if (deadLetters === 0) return [];
  const [first] = causes;
  const why = describeCauses(causes);
  const at = first?.offset ?? null;
  const show = at === null ? '' : `; such as headgate quarantine show ${first!.log}@${at}`;
  return [
    `topic ${quoteName(topic)}: ${describeShare({ records, deadLetters })} do not decode and are in no row${why === null ? '' : `: ${why}`}${show}`,
    `  mend: ${wayOut(causes)}`,
  ];
}

function describeExtra({ topic, extraFields }: TopicLosses): string[] {
  const [first, ...others] = extraFields;
  if (first === undefined) return [];
  const more = extraFields.length - FIELDS_TOLD_MAX;
  const told = extraFields
    .slice(0, FIELDS_TOLD_MAX)
    .map(({ path, rows }) => `${quoteName(path)} (${counted(rows, 'row')})`)
    .join(', ');
  const what =
    others.length === 0
      ? `field ${quoteName(first.path)} is in ${counted(first.rows, 'row')} and`
      : `fields ${told}${more > 0 ? ` and ${formatCount(more)} more` : ''} are`;
  const [it, column] = others.length === 0 ? ['it is', 'a column of it'] : ['they are', 'columns of them'];
  return [
    `topic ${quoteName(topic)}: ${what} not in the pinned schema: ${it} kept in the raw record, in no column (headgate schema pin makes ${column}: docs/operating/schema.md)`,
  ];
}
