import { topicConfig, type LoadedConfig } from '../config/load.ts';
import { describeMisfits } from '../detect/rules/fit.ts';
import { readPinnedSchema } from '../ingest/pinned-schema.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';
import { quoteName } from '../record/quote-name.ts';
import { suggest } from '../record/suggest.ts';
import { topicSettings } from './ingest.ts';

/** A setting that asks of a topic's columns what they do not have; a sentence. */
export interface Misfit {
  readonly topic: string;
  readonly message: string;
}

/** What the configuration says of the columns of topics, beside the schemas that are pinned. */
export interface Misfits {
  readonly misfits: readonly Misfit[];
  /** Topics whose schema is not pinned yet: of them, nothing can be said. */
  readonly unpinned: readonly string[];
}

/** The topics that the configured source reads. */
export function topicsOfSource({ config }: LoadedConfig): readonly string[] {
  const { files, kafka } = config.source;
  return files === null ? kafka!.topics : [files.topic];
}

/**
 * Compares the configuration with the pinned schemas.
 * @param schemas digests of the pinned schemas by topic, as the control log has them.
 * @throws IntegrityError, UnavailableError
 */
export async function findMisfits(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  schemas: Readonly<Record<string, string>>,
): Promise<Misfits> {
  const misfits: Misfit[] = [];
  const unpinned: string[] = [];
  for (const topic of topicsOfSource(loaded)) {
    const sha256 = Object.hasOwn(schemas, topic) ? schemas[topic] : undefined;
    if (sha256 === undefined) {
      unpinned.push(topic);
      continue;
    }
    const { columns } = await readPinnedSchema(ledger, sha256);
    const names = columns.map(({ name }) => name);
    const unknown = topicConfig(loaded.config, topic).alertColumns.filter((name) => !names.includes(name));
    const messages = [
      ...describeMisfits(topicSettings(loaded, topic), columns),
      ...unknown.map(
        (name) => `alertColumns has ${quoteName(name)}, which is not in the schema${suggest(name, names)}`,
      ),
    ];
    misfits.push(...messages.map((message) => ({ topic, message })));
  }
  return { misfits, unpinned };
}
