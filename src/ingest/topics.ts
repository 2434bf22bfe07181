import { decodeBaseline } from '../detect/baseline/format.ts';
import { prepareBaseline } from '../detect/baseline/prepare.ts';
import type { Roles } from '../detect/profile.ts';
import { compileRules } from '../detect/rules.ts';
import { describeMisfits, describeUnlearned, learnedWith } from '../detect/rules/fit.ts';
import type { Rule } from '../detect/rules/rule.ts';
import { RequestError } from '../errors.ts';
import { nextSeq, type ControlHead, type ControlLog } from '../ledger/control-log.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import type { RecordChunk } from '../record/chunk.ts';
import type { CsvDelimiter } from '../record/csv.ts';
import { compareSchemas, describeConfiguredSchema } from '../record/schema-difference.ts';
import { encodeSchema, schemaDigest, type Schema } from '../record/schema.ts';
import { createCsvDecoder } from './decode/csv-decoder.ts';
import { readHeader } from './decode/csv-delimiter.ts';
import type { Decoder } from './decode/decoder.ts';
import { inferSchema, type InferredSchema } from './decode/infer-schema.ts';
import { createJsonDecoder } from './decode/json-decoder.ts';
import { readPinnedSchema } from './pinned-schema.ts';
import type { TopicContext } from './topic.ts';

/** What the configuration says of one topic. */
export interface TopicSettings {
  readonly format: Schema['format'];
  /** Columns from the configuration; null = infer them. */
  readonly columns: Schema['columns'] | null;
  readonly roles: Roles;
  /** Columns that a baseline is to be learned without. */
  readonly ignoredColumns: readonly string[];
  readonly rules: readonly Rule[];
  /** How CSV is written; not used for JSON. */
  readonly csv: CsvSettings;
}

/** What CSV itself leaves open, as the decoder takes it. */
export interface CsvSettings {
  readonly nullValues: readonly string[];
  readonly delimiter: CsvDelimiter;
}

/** What {@link Topics} is made of. */
export interface TopicsOptions {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly control: ControlLog;
  readonly clock: Clock;
  /** Signs the pinning of a schema. */
  readonly signer: Signer;
  readonly by: string;
  readonly ref: string;
  readonly settings: (topic: string) => TopicSettings;
  /** False where nothing is judged: then no baseline is read, nor is anything said of the one in force. Default: true. */
  readonly judges?: boolean;
  /** Told what is worth a look: in a schema that was inferred and pinned, or in a configuration that does not fit it. */
  readonly noted: (topic: string, note: string) => void;
}

/** A schema is pinned until a person replaces it: it is learned from at least so many records, or so many bytes of them, unless no more come. */
const SAMPLE_RECORDS_MIN = 1_000;
const SAMPLE_BYTES_MIN = 4 * 1_048_576;
/** How long what the control log said is believed without looking again. */
const REFRESH_MS = 1_000;

/**
 * Knows for each topic what its batches are decoded and judged with: the pinned schema, the rules, the baseline in force.
 * The first consumer that meets a topic pins its schema in the control log; all others follow what is pinned.
 */
export class Topics {
  readonly #o: TopicsOptions;
  readonly #contexts = new Map<string, TopicContext>();
  #head: ControlHead | null = null;
  #readAtMs = 0;

  constructor(options: TopicsOptions) {
    this.#o = options;
  }

  /**
   * What the next batch of a topic is built with.
   * @param sample records to infer a schema from, if none is pinned or configured.
   * @param isLast true when no more records come before the batch must begin: then a small sample has to do.
   * @returns null when more records are needed: what is pinned stays pinned, so a few records must not decide it
   * @throws RequestError when no schema can be inferred; ConfigError; IntegrityError; UnavailableError
   */
  async context(
    topic: string,
    sample: readonly RecordChunk[],
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<TopicContext | null> {
    const head = await this.#control();
    const known = this.#contexts.get(topic);
    if (known !== undefined && known.controlSeq === nextSeq(head) - 1) return known;
    const pinned = head.state.schemas[topic];
    if (pinned === undefined) {
      const outcome = await this.#pin(topic, sample, isLast, signal);
      if (outcome === 'too-few') return null;
      // A batch of nothing but dead letters needs no schema, and must not pin one.
      if (outcome !== 'pinned') return { ...(await this.#build(topic, outcome, head)), recordsMax: countOf(sample) };
    }
    // Pinning moved the control log on.
    const now = pinned === undefined ? await this.#control(true) : head;
    const sha256 = now.state.schemas[topic]!;
    const schema = known?.schemaSha256 === sha256 ? known.schema : await readPinnedSchema(this.#o, sha256);
    const context = await this.#build(topic, schema, now);
    if (known?.schemaSha256 !== sha256) this.#noteMisfits(topic, schema);
    if (context.baseline !== known?.baseline) this.#noteUnlearned(context);
    this.#contexts.set(topic, context);
    return context;
  }

  /** Seq of the newest control entry; −1 before the first. */
  async controlSeq(): Promise<number> {
    return nextSeq(await this.#control(true)) - 1;
  }

  /** Seq of the newest `resume`; −1 if there was none. */
  async resumedSeq(): Promise<number> {
    return (await this.#control(true)).state.resumed[this.#o.ref] ?? -1;
  }

  async #control(fresh = false): Promise<ControlHead> {
    const now = this.#o.clock.monotonic();
    if (this.#head === null || fresh || now - this.#readAtMs >= REFRESH_MS) {
      this.#head = await this.#o.control.head();
      this.#readAtMs = now;
    }
    return this.#head;
  }

  async #build(topic: string, schema: Schema, head: ControlHead): Promise<TopicContext> {
    const settings = this.#o.settings(topic);
    const sha256 = this.#o.judges === false ? undefined : head.state.baselines[topic];
    const known = this.#contexts.get(topic);
    const baseline =
      sha256 === undefined
        ? null
        : known?.baseline?.sha256 === sha256
          ? known.baseline
          : {
              sha256,
              prepared: prepareBaseline(
                decodeBaseline(await this.#object(this.#o.layout.baseline(sha256), sha256, BYTES_MAX.baseline)),
              ),
            };
    return {
      topic,
      schema,
      schemaSha256: schemaDigest(schema),
      newDecoder: (csvHeader) =>
        schema.format === 'csv' ? newCsvDecoder(schema, settings.csv, csvHeader) : createJsonDecoder(schema),
      roles: settings.roles,
      rules: known?.rules ?? compileRules(settings.rules),
      baseline,
      controlSeq: nextSeq(head) - 1,
      recordsMax: Infinity,
    };
  }

  /**
   * Pins the configured or inferred schema; if another consumer was first, theirs is in force.
   * @returns the schema to read dead letters with, which stays unpinned, when no record can be decoded
   */
  async #pin(
    topic: string,
    sample: readonly RecordChunk[],
    isLast: boolean,
    signal: AbortSignal,
  ): Promise<Schema | 'pinned' | 'too-few'> {
    const { columns, format, csv } = this.#o.settings(topic);
    if (columns === null && !isLast && countOf(sample) < SAMPLE_RECORDS_MIN && bytesOf(sample) < SAMPLE_BYTES_MIN)
      return 'too-few';
    const inferred = columns === null ? inferFrom(sample, format, csv) : null;
    const schema: Schema = inferred?.schema ?? { version: 1, format, columns: columns ?? [] };
    const bytes = encodeSchema(schema);
    const sha256 = schemaDigest(schema);
    if (bytes.length > BYTES_MAX.schema)
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot pin the schema of "${topic}": it would have ${bytes.length} bytes, at most ${BYTES_MAX.schema} are allowed (way out: name the columns under topics.${topic}.schema)`,
      );
    await putContent(this.#o.store, this.#o.layout.schema(sha256), bytes, this.#o.clock, signal);
    if (inferred !== null && inferred.recordsRefused === inferred.recordsRead) return schema;
    const reason =
      columns === null ? `inferred from ${counted(inferred!.recordsRead, 'record')}` : 'from the configuration';
    const pinned = await this.#o.control.append(
      this.#o.signer,
      ({ state }) =>
        state.schemas[topic] === undefined ? { kind: 'schema', by: this.#o.by, topic, schema: sha256, reason } : null,
      signal,
    );
    if (pinned !== null && inferred !== null) {
      this.#o.noted(topic, `schema of ${counted(schema.columns.length, 'column')} ${reason} and pinned`);
      for (const note of inferred.notes) this.#o.noted(topic, note);
    }
    return 'pinned';
  }

  /** A schema that is configured and not pinned would do nothing, and a misspelt column switch a check off, in silence. */
  #noteMisfits(topic: string, schema: Schema): void {
    const settings = this.#o.settings(topic);
    const { columns, format } = settings;
    const difference = columns === null ? null : compareSchemas(schema, { version: 1, format, columns });
    const misfit = describeConfiguredSchema(topic, difference);
    for (const each of [...(misfit === null ? [] : [misfit]), ...describeMisfits(settings, schema.columns)])
      this.#o.noted(topic, each);
  }

  /** A baseline that was learned with other settings judges by those. */
  #noteUnlearned({ topic, baseline, schema: { columns } }: TopicContext): void {
    if (baseline === null) return;
    const learned = learnedWith(baseline.prepared.baseline, columns);
    for (const note of describeUnlearned(this.#o.settings(topic), learned, columns)) this.#o.noted(topic, note);
  }

  #object(key: string, sha256: string, bytesMax: number): Promise<Buffer> {
    return getVerified(this.#o.store, key, sha256, bytesMax);
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function countOf(chunks: readonly RecordChunk[]): number {
  return chunks.reduce((sum, { count }) => sum + count, 0);
}

function bytesOf(chunks: readonly RecordChunk[]): number {
  return chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** The schema of the records, or one without columns when none of them can be decoded. */
function inferFrom(chunks: readonly RecordChunk[], format: Schema['format'], csv: CsvSettings): InferredSchema {
  const count = countOf(chunks);
  const bytes = new Uint8Array(bytesOf(chunks));
  const [starts, lengths] = [new Int32Array(count), new Int32Array(count)];
  let [record, at] = [0, 0];
  for (const chunk of chunks) {
    bytes.set(chunk.bytes, at);
    for (let i = 0; i < chunk.count; i++, record++) {
      starts[record] = chunk.valueStarts[i]! + at;
      lengths[record] = chunk.valueLengths[i]!;
    }
    at += chunk.bytes.length;
  }
  const sample = { bytes, count, starts, lengths, ...csv, ...headerNames(chunks[0]?.csvHeader, csv, []) };
  try {
    return inferSchema(format, sample);
  } catch (error) {
    if (!(error instanceof RequestError) || error.fields['decodable'] !== 0) throw error;
    return { schema: { version: 1, format, columns: [] }, notes: [], recordsRead: count, recordsRefused: count };
  }
}

function newCsvDecoder(schema: Schema, csv: CsvSettings, csvHeader: Uint8Array | undefined): Decoder {
  const expected = schema.columns.map(({ path }) => path[0]!);
  return createCsvDecoder(schema, { ...csv, ...headerNames(csvHeader, csv, expected) });
}

/** The header's names as an option; none for CSV without a header (Kafka). @throws RequestError when it does not fit */
function headerNames(
  bytes: Uint8Array | undefined,
  { delimiter }: CsvSettings,
  expected: readonly string[],
): { readonly header?: string[] } {
  return bytes === undefined ? {} : { header: readHeader(bytes, delimiter, expected) };
}
