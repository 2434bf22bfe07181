import { topicsOfSource } from '../../compose/misfits.ts';
import { configuredSchema } from '../../compose/ingest.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { NotFoundError, RequestError } from '../../errors.ts';
import { checkSchema } from '../../ingest/decode/schema-check.ts';
import { readPinnedSchema } from '../../ingest/pinned-schema.ts';
import {
  compareSchemas,
  describeConfiguredSchema,
  describeType,
  type ColumnDifference,
  type SchemaDifference,
} from '../../record/schema-difference.ts';
import type { Column, Schema } from '../../record/schema.ts';
import { suggest } from '../../record/suggest.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { pinSchema } from '../../respond/pin-schema.ts';
import { withLedger, type CommandContext, type CommandResult } from '../context.ts';
import { counted, table } from '../output.ts';
import { onRef, type RefAct } from './refs.ts';

/** A schema and its digest. */
interface Pinned {
  readonly sha256: string;
  readonly schema: Schema;
}

/** `headgate schema show`. @throws NotFoundError */
export function showSchemas(context: CommandContext, topicName: string | undefined): Promise<CommandResult> {
  return withLedger(context, async (loaded, ledger) => {
    const topics = await Promise.all(
      (await topicsOf(loaded, ledger, topicName)).map((topic) => describeTopic(loaded, ledger, topic)),
    );
    context.output.result(
      { topics: topics.map(({ report }) => report) },
      topics.flatMap(({ lines }) => lines.map((line) => context.output.called(line))),
    );
    return undefined;
  });
}

async function describeTopic(loaded: LoadedConfig, ledger: LedgerContext, topic: string) {
  const pinned = await pinnedSchema(ledger, topic);
  const configured = configuredSchema(loaded, topic);
  const difference = pinned === null || configured === null ? null : compareSchemas(pinned.schema, configured);
  const misfit = describeConfiguredSchema(topic, difference);
  const shown = pinned?.schema ?? configured;
  const state =
    pinned === null
      ? `not pinned yet: the first records pin ${configured === null ? 'what is learned from them' : 'what is configured'}`
      : `${pinned.sha256} is pinned: ${counted(pinned.schema.columns.length, 'column')}, format ${pinned.schema.format}`;
  return {
    report: {
      topic,
      pinned: pinned === null ? null : { sha256: pinned.sha256, ...pinned.schema },
      configured,
      difference,
    },
    lines: [
      `schema    ${topic}: ${state}`,
      ...(misfit === null ? [] : [`but       ${misfit}`]),
      ...table((shown?.columns ?? []).map((column) => [column.name, describeType(column)])),
    ],
  };
}

/** Options of `headgate schema pin`. */
export interface PinOptions {
  readonly topic?: string;
  readonly reason: string;
}

/** `headgate schema pin`: what the configuration says, signed by a person. @throws RequestError, NotFoundError */
export function pinConfigured(context: CommandContext, options: PinOptions): Promise<CommandResult> {
  return onRef(context, options, (act) => pinOne(act, options.topic));
}

async function pinOne(act: RefAct, topicName: string | undefined): Promise<CommandResult> {
  const { context, loaded, ledger, actor } = act;
  const [topic, ...others] = await topicsOf(loaded, ledger, topicName);
  if (others.length > 0)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot tell which topic is meant: there are ${[topic, ...others].join(', ')} (add --topic NAME)`,
    );
  const name = topic!;
  const schema = configuredSchema(loaded, name);
  if (schema === null)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot pin the schema of "${name}": the configuration has none (mend: write the columns under topics.${name}.schema; headgate schema show --json prints those that are pinned)`,
    );
  checkSchema(schema, schema.format);
  const pinned = await pinnedSchema(ledger, name);
  const difference = pinned === null ? null : compareSchemas(pinned.schema, schema);
  if (pinned !== null && difference === null) {
    const { sha256 } = pinned;
    context.output.result(
      { topic: name, schema: sha256, replaced: null, baseline: null, difference, unchanged: true },
      [`schema ${sha256.slice(0, 12)} is pinned for "${name}" already, and the configuration says the same`],
    );
    return undefined;
  }
  const done = await pinSchema(ledger, name, schema, pinned?.sha256 ?? null, actor, context.kill);
  const changes = difference === null ? [] : describeChanges(difference);
  context.output.result({ topic: name, ...done, difference, unchanged: false }, [
    `schema ${done.schema.slice(0, 12)} is pinned for "${name}": ${counted(schema.columns.length, 'column')}${pinned === null ? '' : `, instead of ${pinned.sha256.slice(0, 12)}`}`,
    ...table(changes),
    ...describeNext(act, name, done.replaced !== null, done.baseline).map((line) => context.output.called(line)),
  ]);
  return undefined;
}

/** What is different from now on, and the next command. Before the first records there is nothing to tell. */
function describeNext({ loaded }: RefAct, topic: string, isReplaced: boolean, baseline: string | null): string[] {
  if (!isReplaced) return [];
  const isObserved = loaded.config.mode === 'observe';
  const option = topicsOfSource(loaded).length > 1 ? ` --topic ${topic}` : '';
  const until = isObserved ? 'published without a verdict' : 'held';
  const stored = isObserved ? '--published' : '--held';
  return [
    'running processes read by it from their next batch on',
    ...(baseline === null
      ? []
      : [
          `baseline ${baseline.slice(0, 12)} was learned under the old schema and is out of force: later batches are ${until} until another is approved`,
        ]),
    `next: headgate baseline learn --files FILES${option} reads history by the new schema (or ${stored}, once batches were read by it), then headgate baseline approve${option}`,
  ];
}

function describeChanges({ format, columns }: SchemaDifference): string[][] {
  return [
    ...(format === null ? [] : [['format', `${format.from} → ${format.to}`]]),
    ...columns.map((column) => [column.name, describeChange(column)]),
  ];
}

function describeChange({ from, to }: ColumnDifference): string {
  if (from === null) return `new, ${describeType(to!)}`;
  if (to === null) return `gone, was ${describeType(from)}`;
  const [was, is] = [describeType(from), describeType(to)];
  return was === is ? `path ${pathOf(from)} → ${pathOf(to)}` : `${was} → ${is}`;
}

function pathOf({ path }: Column): string {
  return JSON.stringify(path);
}

async function pinnedSchema(ledger: LedgerContext, topic: string): Promise<Pinned | null> {
  const sha256 = (await ledger.control.head()).state.schemas[topic];
  return sha256 === undefined ? null : { sha256, schema: await readPinnedSchema(ledger, sha256) };
}

/** The given topic, or those of the source and all that have a schema. @throws NotFoundError */
async function topicsOf(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  given: string | undefined,
): Promise<readonly string[]> {
  const ofSource = topicsOfSource(loaded);
  const pinned = Object.keys((await ledger.control.head()).state.schemas).filter((topic) => !ofSource.includes(topic));
  const known = [...ofSource, ...pinned];
  if (given === undefined) return known;
  if (known.includes(given)) return [given];
  throw new NotFoundError(
    'NOT_FOUND',
    `Cannot find topic "${given}": the source has ${ofSource.join(', ')}${suggest(given, known)}`,
  );
}
