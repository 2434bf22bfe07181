import { hkdfSync, randomBytes } from 'node:crypto';

import { systemRng } from '../adapters/system/rng.ts';
import { ThreadEncoder } from '../adapters/thread/encoder.ts';
import { ConfigError } from '../errors.ts';
import type { LoadedConfig } from '../config/load.ts';
import { topicConfig } from '../config/topic-config.ts';
import type { TopicConfig } from '../config/schema.ts';
import { BatchJudge } from '../ingest/judge-batch.ts';
import type { IngestEvents } from '../ingest/events.ts';
import { Ingestor } from '../ingest/ingestor.ts';
import { Topics, type TopicSettings } from '../ingest/topics.ts';
import { CoveredHeads } from '../ledger/covered-heads.ts';
import type { StartPosition } from '../ports/record-source.ts';
import type { Signer } from '../ports/signer.ts';
import type { LogId } from '../record/log-id.ts';
import { columnName, type Schema } from '../record/schema.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';
import { judgeSettings } from './publishing.ts';
import { actorName, openKey, type KeyName } from './ledger.ts';
import { openSourceAlone } from './source.ts';

/** Share of memoryBytesMax that is kept on top of it, so that batches need not ask the system for theirs. */
const SPARE_SHARE = 1 / 4;
/** Script of the encoding thread; run from the sources (tests), the built one is used. */
const ENCODE_SCRIPT = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/workers/encode.js', import.meta.url)
  : new URL('../../workers/encode.js', import.meta.url);

/**
 * 32 bits that all consumers of a deployment share, so that row hashes of their batches can be compared.
 *
 * Secret to producers, who could otherwise choose rows that fall outside of every sample: it follows from the random id of
 * the deployment, which they never see. No secret to readers of the store: entries name that id, and from a profile the
 * seed could be found by trying all.
 */
export function sketchSeed({ config }: LoadedConfig): number {
  const key = hkdfSync('sha256', deploymentOf(config), '', `headgate sketch ${config.pipeline}`, 4);
  return new DataView(key).getUint32(0);
}

/** @throws ConfigError where there is none, as for machines that only read the store */
function deploymentOf({ deployment }: LoadedConfig['config']): string {
  if (deployment !== undefined) return deployment;
  throw new ConfigError(
    'CONFIG_INVALID',
    'Cannot read records: the configuration has no deployment, it is one of a machine that only reads the store (mend: give it source and deployment)',
  );
}

/** What topics are decoded with where nothing is judged, pinned by the given key. @param note told what is worth a look @throws ConfigError */
export async function openTopics(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  key: KeyName,
  note: (message: string) => void,
): Promise<Topics> {
  return topicsOf(loaded, ledger, await openKey(loaded, ledger.trust, key), false, note);
}

function topicsOf(
  loaded: LoadedConfig,
  { store, layout, control, clock }: LedgerContext,
  signer: Signer,
  judges: boolean,
  note: (message: string) => void,
): Topics {
  return new Topics({
    store,
    layout,
    control,
    clock,
    signer,
    by: actorName(),
    ref: loaded.config.publish.ref,
    settings: (topic) => topicSettings(loaded, topic),
    judges,
    noted: (topic, text) => note(`topic "${topic}": ${text}`),
  });
}

/** A consume loop with everything it holds open. */
export interface OpenedIngest extends AsyncDisposable {
  readonly ingestor: Ingestor;
  /**
   * Every partition there is of the stream that is read; null before they are known, and where other processes may read
   * some of them.
   */
  allPartitions(): { readonly cluster: string; readonly topic: string; readonly logs: readonly LogId[] } | null;
}

/** Opens source, encoder and consume loop. @throws ConflictError ALREADY_RUNNING; ConfigError, UnavailableError */
export async function openIngest(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  once: boolean,
  events: IngestEvents,
  log: (level: string, message: string) => void,
): Promise<OpenedIngest> {
  const { config } = loaded;
  const { store, layout, logs, control, snapshots, clock } = ledger;
  const signer = await openKey(loaded, ledger.trust, 'ingest');
  const topics = topicsOf(loaded, ledger, signer, true, (message) => log('warn', message));
  const judge = new BatchJudge(judgeSettings(loaded), sketchSeed(loaded), clock);
  const { files, kafka } = config.source;
  const source = await openSourceAlone(loaded, once, log);
  const encoder = new ThreadEncoder(ENCODE_SCRIPT, { spareBytesMax: config.memoryBytesMax * SPARE_SHARE });
  const close = async (): Promise<void> => {
    try {
      await source[Symbol.asyncDispose]();
    } finally {
      await encoder[Symbol.asyncDispose]();
    }
  };
  const makeIngestor = (): Ingestor =>
    new Ingestor({
      source,
      topics,
      judge,
      writers: {
        store,
        layout,
        logs,
        signer,
        clock,
        pipeline: config.pipeline,
        deployment: deploymentOf(config),
        writer: randomBytes(12).toString('hex'),
      },
      covered: new CoveredHeads(control, snapshots),
      commit: { store, layout, encoder, clock, mode: config.mode, configSha256: loaded.digest },
      clock,
      rng: systemRng,
      limits: { ...config.batch, memoryBytesMax: config.memoryBytesMax },
      start: startPosition(kafka?.start ?? 'earliest'),
      onGap: kafka?.onGap ?? 'halt',
      events,
      once,
    });
  // Standard input alone is locked against no other run: that one's partitions are not ours to speak of.
  const isAlone = files !== null && files.paths.some((path) => path !== '-');
  const allPartitions = (): ReturnType<OpenedIngest['allPartitions']> => {
    const assignment = isAlone ? source.assignment() : null;
    return assignment === null ? null : { cluster: source.cluster, topic: files!.topic, logs: assignment.logs };
  };
  try {
    return { ingestor: makeIngestor(), allPartitions, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a topic's configuration means to the ingest wing. */
export function topicSettings({ config }: LoadedConfig, topic: string): TopicSettings {
  const own = topicConfig(config, topic);
  const { files } = config.source;
  return {
    format: files?.format === 'csv' ? 'csv' : 'json',
    columns: own.schema === null ? null : columnsOf(own.schema),
    roles: { label: own.label, source: own.source, time: own.time },
    ignoredColumns: own.ignoredColumns,
    rules: rulesOf(own),
    csv: files?.csv ?? { nullValues: [''], delimiter: ',' },
  };
}

/** The schema that the configuration has for a topic; null when it leaves that to the first records. */
export function configuredSchema(loaded: LoadedConfig, topic: string): Schema | null {
  const { columns, format } = topicSettings(loaded, topic);
  return columns === null ? null : { version: 1, format, columns };
}

function startPosition(start: string): StartPosition {
  if (start === 'earliest' || start === 'latest') return { at: start };
  return { at: 'time', timeMs: Date.parse(start) };
}

function columnsOf(columns: NonNullable<TopicConfig['schema']>): Schema['columns'] {
  return columns.map(({ path, ...rest }) => {
    const keys = typeof path === 'string' ? [path] : path;
    return { name: columnName(keys), path: keys, ...rest };
  });
}

/** The configuration's flat rules as the detect wing's tagged ones. */
function rulesOf({ rules }: TopicConfig): TopicSettings['rules'] {
  return rules.map(
    ({ rule, name, ...rest }, i) =>
      ({
        kind: rule,
        name: name ?? `${rule}${rest.column === undefined ? '' : ` ${rest.column}`} (${i + 1})`,
        ...rest,
      }) as TopicSettings['rules'][number],
  );
}
