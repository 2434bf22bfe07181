import type { LoadedConfig } from '../config/load.ts';
import { topicConfig } from '../config/topic-config.ts';
import { BATCHES_MIN } from '../detect/baseline/reference.ts';
import type { Baseline } from '../detect/baseline/baseline.ts';
import { describeMisfits, describeUnkept, describeUnlearned, learnedWith, type Learning } from '../detect/rules/fit.ts';
import { readPinnedSchema } from '../ingest/pinned-schema.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { readBaseline } from '../publish/rejudge.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';
import type { Column } from '../record/schema.ts';
import { quoteName } from '../record/quote-name.ts';
import { compareSchemas, describeConfiguredSchema } from '../record/schema-difference.ts';
import { suggest } from '../record/suggest.ts';
import { configuredSchema, topicSettings } from './ingest.ts';

/** A setting that asks what a topic's columns do not have, or what its baseline does not know; a sentence. */
export interface Misfit {
  readonly topic: string;
  readonly message: string;
}

/** What the configuration says of the columns of topics, beside the schemas that are pinned and the baselines in force. */
export interface Misfits {
  readonly misfits: readonly Misfit[];
  /** Topics whose schema is not pinned yet: of them, nothing can be said. */
  readonly unpinned: readonly string[];
}

/** Rules that a sentence names. */
const HALTS_NAMED_MAX = 5;

/** The topics that the configured source reads; none where none is configured, as on machines that only read the store. */
export function topicsOfSource({ config }: LoadedConfig): readonly string[] {
  const { files, kafka } = config.source;
  return files === null ? (kafka?.topics ?? []) : [files.topic];
}

/**
 * Rules that stop a partition although all else only observes: a halt says that going on would do harm, which holds whether
 * or not batches are held, and to pass over it in silence would be worse than a stop. Null where there are none.
 */
export function describeHaltsInObserveMode(loaded: LoadedConfig): string | null {
  if (loaded.config.mode !== 'observe') return null;
  const names = topicsOfSource(loaded).flatMap((topic) =>
    topicSettings(loaded, topic)
      .rules.filter(({ action }) => action === 'halt')
      .map(({ name }) => name),
  );
  const unique = [...new Set(names)];
  if (unique.length === 0) return null;
  const more = unique.length > HALTS_NAMED_MAX ? ` and ${unique.length - HALTS_NAMED_MAX} more` : '';
  return `in observe mode, too, a batch that breaks ${unique.slice(0, HALTS_NAMED_MAX).map(quoteName).join(', ')}${more} stops its partition until headgate resume (mend, if it must not: action: observe)`;
}

/**
 * Compares the configuration with the pinned schemas and with the baselines in force.
 * @param known both by topic, as the control log has them.
 * @throws IntegrityError, UnavailableError
 */
export async function findMisfits(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  { schemas, baselines }: Pick<ControlState, 'schemas' | 'baselines'>,
): Promise<Misfits> {
  const misfits: Misfit[] = [];
  const unpinned: string[] = [];
  for (const topic of topicsOfSource(loaded)) {
    const sha256 = Object.hasOwn(schemas, topic) ? schemas[topic] : undefined;
    if (sha256 === undefined) {
      unpinned.push(topic);
      continue;
    }
    const pinned = await readPinnedSchema(ledger, sha256);
    const { columns } = pinned;
    const configured = configuredSchema(loaded, topic);
    const difference = configured === null ? null : compareSchemas(pinned, configured);
    const names = columns.map(({ name }) => name);
    const unknown = topicConfig(loaded.config, topic).alertColumns.filter((name) => !names.includes(name));
    const settings = topicSettings(loaded, topic);
    const baseline = Object.hasOwn(baselines, topic) ? baselines[topic] : undefined;
    const messages = [
      ...[describeConfiguredSchema(topic, difference)].filter((message) => message !== null),
      ...describeMisfits(settings, columns),
      ...(loaded.config.source.files === null ? [] : describeUnkept(settings, columns)),
      ...(baseline === undefined ? [] : await describeBaseline(ledger, baseline, settings, columns)),
      ...unknown.map(
        (name) => `alertColumns has ${quoteName(name)}, which is not in the pinned schema${suggest(name, names)}`,
      ),
    ];
    misfits.push(...messages.map((message) => ({ topic, message })));
  }
  return { misfits, unpinned };
}

/** What a baseline does not check. */
export interface Scope {
  /** Columns that it was learned without. */
  readonly ignoredColumns: readonly string[];
  /** Where it was learned with other settings than those of the configuration; a sentence each. */
  readonly unchecked: readonly string[];
}

/** What a baseline for the pinned schema of a topic does not check. @throws IntegrityError, UnavailableError */
export async function scopeOf(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  topic: string,
  baseline: Pick<Baseline, 'roles' | 'columns'>,
): Promise<Scope> {
  const sha256 = (await ledger.control.head()).state.schemas[topic];
  if (sha256 === undefined) return { ignoredColumns: [], unchecked: [] };
  const { columns } = await readPinnedSchema(ledger, sha256);
  const learned = learnedWith(baseline, columns);
  const unchecked = describeUnlearned(topicSettings(loaded, topic), learned, columns, 'this baseline');
  return { ignoredColumns: learned.ignoredColumns, unchecked };
}

/** What a baseline does not check of what the configuration names. */
async function describeBaseline(
  ledger: LedgerContext,
  sha256: string,
  settings: Learning,
  columns: readonly Column[],
): Promise<string[]> {
  const { baseline } = await readBaseline(ledger, sha256);
  const { families, batches } = baseline;
  const unlearned = describeUnlearned(settings, learnedWith(baseline, columns), columns);
  const { label } = settings.roles;
  const isChecked = label === null || label !== baseline.roles.label || families.length > 0;
  return isChecked
    ? unlearned
    : [
        ...unlearned,
        `label ${quoteName(label)} is not checked: the baseline in force knows ${batches === 1 ? 'one batch' : `${batches} batches`}, with fewer than ${BATCHES_MIN} hard rules alone decide (mend: headgate baseline learn --published, once more batches are published, then headgate baseline approve)`,
      ];
}
