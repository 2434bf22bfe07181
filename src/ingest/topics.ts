import { decodeBaseline } from '../detect/baseline/format.ts';
import { prepareBaseline } from '../detect/baseline/prepare.ts';
import type { Roles } from '../detect/profile.ts';
import { compileRules, type Rule } from '../detect/rules.ts';
import { IntegrityError } from '../errors.ts';
import { nextSeq, type ControlHead, type ControlLog } from '../ledger/control-log.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import type { RecordChunk } from '../record/chunk.ts';
import type { CsvDelimiter } from '../record/csv.ts';
import { encodeSchema, schemaDigest, type Schema } from '../record/schema.ts';
import { createCsvDecoder } from './decode/csv-decoder.ts';
import { parseCsvHeader } from './decode/csv-header.ts';
import type { Decoder } from './decode/decoder.ts';
import { inferSchema, type InferredSchema } from './decode/infer-schema.ts';
import { createJsonDecoder } from './decode/json-decoder.ts';
import type { TopicContext } from './topic.ts';

/** What the configuration says of one topic. */
export interface TopicSettings {
  readonly format: Schema['format'];
  /** Columns from the configuration; null = infer them. */
  readonly columns: Schema['columns'] | null;
  readonly roles: Roles;
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
  /** Told what is worth a look in a schema that was inferred and pinned. */
  readonly inferred: (topic: string, notes: readonly string[]) => void;
}

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
   * @throws RequestError when no schema can be inferred; ConfigError; IntegrityError; UnavailableError
   */
  async context(topic: string, sample: RecordChunk, signal: AbortSignal): Promise<TopicContext> {
    const head = await this.#control();
    const known = this.#contexts.get(topic);
    if (known !== undefined && known.controlSeq === nextSeq(head) - 1) return known;
    const pinned = head.state.schemas[topic];
    const schema = pinned === undefined ? await this.#pin(topic, sample, signal) : await this.#readSchema(pinned);
    // Pinning moved the control log on.
    const now = pinned === undefined ? await this.#control(true) : head;
    const context = await this.#build(topic, schema, now);
    this.#contexts.set(topic, context);
    return context;
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
    const sha256 = head.state.baselines[topic];
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
      resumedSeq: head.state.resumed[this.#o.ref] ?? -1,
    };
  }

  /** Pins the configured or inferred schema; if another consumer was first, takes theirs. */
  async #pin(topic: string, sample: RecordChunk, signal: AbortSignal): Promise<Schema> {
    const { columns, format, csv } = this.#o.settings(topic);
    const inferred = columns === null ? inferFrom(sample, format, csv) : null;
    const schema: Schema = inferred?.schema ?? { version: 1, format, columns: columns! };
    const sha256 = schemaDigest(schema);
    await putContent(this.#o.store, this.#o.layout.schema(sha256), encodeSchema(schema), this.#o.clock, signal);
    const reason = columns === null ? 'inferred from the first records' : 'from the configuration';
    await this.#o.control.append(
      this.#o.signer,
      ({ state }) =>
        state.schemas[topic] === undefined ? { kind: 'schema', by: this.#o.by, topic, schema: sha256, reason } : null,
      signal,
    );
    const pinned = (await this.#control(true)).state.schemas[topic]!;
    if (pinned !== sha256) return this.#readSchema(pinned);
    if (inferred !== null) this.#o.inferred(topic, inferred.notes);
    return schema;
  }

  async #readSchema(sha256: string): Promise<Schema> {
    const key = this.#o.layout.schema(sha256);
    const schema = JSON.parse((await this.#object(key, sha256, BYTES_MAX.schema)).toString('utf8')) as Schema;
    if (schemaDigest(schema) !== sha256)
      throw new IntegrityError('PAYLOAD_INVALID', key, `Cannot read "${key}": it is not a schema in the stored form`);
    return schema;
  }

  #object(key: string, sha256: string, bytesMax: number): Promise<Buffer> {
    return getVerified(this.#o.store, key, sha256, bytesMax);
  }
}

function inferFrom(chunk: RecordChunk, format: Schema['format'], csv: CsvSettings): InferredSchema {
  const { bytes, count, valueStarts: starts, valueLengths: lengths } = chunk;
  const header = headerNames(chunk.csvHeader, csv);
  return inferSchema(format, { bytes, count, starts, lengths, ...csv, ...header });
}

function newCsvDecoder(schema: Schema, csv: CsvSettings, csvHeader: Uint8Array | undefined): Decoder {
  return createCsvDecoder(schema, { ...csv, ...headerNames(csvHeader, csv) });
}

/** The header's names as an option; none for CSV without a header (Kafka). */
function headerNames(bytes: Uint8Array | undefined, { delimiter }: CsvSettings): { readonly header?: string[] } {
  return bytes === undefined ? {} : { header: parseCsvHeader(bytes, 0, bytes.length, delimiter) };
}
