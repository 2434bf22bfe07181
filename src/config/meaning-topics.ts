import { misfitOfRole, misfitsOfRule } from '../detect/rules/fit.ts';
import { compilePattern } from '../detect/rules/pattern.ts';
import { RULES_MAX } from '../detect/rules/rule.ts';
import type { ConfigFault } from '../errors.ts';
import { columnName } from '../record/schema.ts';
import { pointer } from './check-shape.ts';
import { repeatedIn, type Shown } from './describe.ts';
import type { ColumnConfig, Config, RuleConfig, TopicConfig } from './schema.ts';
import type { SoundParts } from './sound.ts';
import { suggest } from '../record/suggest.ts';
import { namesOf, rulesOfTopic } from './topic-config.ts';

/** What is said of one topic, or of all of them. */
interface Place {
  readonly path: string;
  readonly own: Partial<TopicConfig>;
  /** JSON pointer of the columns that are in force there. */
  readonly schemaAt: string;
  readonly schema: TopicConfig['schema'] | undefined;
  /** What it says of columns, where it stands: with a schema of its own, a topic takes the rest from the defaults. */
  readonly names: readonly Named[];
}

/** Settings that name columns, and where they stand. */
type Named = {
  readonly at: string;
  /** Names of rules that are not in force there. */
  readonly replaced?: ReadonlySet<string | undefined>;
} & Partial<Pick<TopicConfig, (typeof NAMING)[number]>>;
const NAMING = ['label', 'source', 'time', 'rules', 'ignoredColumns', 'alertColumns'] as const;

/**
 * Faults in what is said of topics: rules, columns, and names of columns that do not exist.
 * @param sound the parts to look at.
 */
export function checkTopics(config: Config, sound: SoundParts, shown: Shown): ConfigFault[] {
  const isCsv =
    sound.has('/source/files/format') && config.source.files !== null && config.source.files.format === 'csv';
  return [...placesOf(config, sound)]
    .flatMap((place) => [
      ...checkColumns(sound.itemsOf(`${place.path}/schema`, place.own.schema), isCsv, sound, shown),
      ...checkRules(sound.itemsOf(`${place.path}/rules`, place.own.rules), sound, shown),
      ...checkColumnNames(place, sound, shown),
      ...checkIgnored(place, config, sound),
    ])
    .concat(checkFreshness(config, sound), checkCounts(config, sound));
}

/** A label that is ignored would be checked by nothing. */
function checkIgnored({ path, own }: Place, { topicDefaults }: Config, sound: SoundParts): ConfigFault[] {
  const defaults = sound.has('/topicDefaults') ? topicDefaults : undefined;
  const label = own.label === undefined ? defaults?.label : own.label;
  const isInherited = own.ignoredColumns === undefined && defaults?.ignoredColumns.includes(label ?? '') === true;
  if (isInherited && own.label !== undefined && sound.has(`${path}/label`))
    return [{ path: `${path}/label`, message: 'is one of the ignoredColumns of topicDefaults, and a label is judged' }];
  return sound
    .itemsOf(`${path}/ignoredColumns`, own.ignoredColumns)
    .filter(({ item }) => item === label)
    .map(({ at }) => ({ path: at, message: 'is the label, which is judged' }));
}

/** Records of files have no time of their own: without a column that says it, a rule of freshness is broken by every batch. */
function checkFreshness({ source, topics, topicDefaults }: Config, sound: SoundParts): ConfigFault[] {
  if (!sound.has('/source') || source.kafka !== null || source.files === null) return [];
  if (!['/source/files/topic', '/topics', '/topicDefaults'].every((path) => sound.hasAll(path))) return [];
  const { topic } = source.files;
  const own = Object.hasOwn(topics, topic) ? topics[topic]! : {};
  if ((own.time === undefined ? topicDefaults.time : own.time) !== null) return [];
  const message = 'is freshness, but records of files have no time of their own; wanted time: the column that says it';
  return rulesOfTopic({ topics, topicDefaults }, topic).flatMap(({ at, rule: { rule } }) =>
    rule === 'freshness' ? [{ path: at, message }] : [],
  );
}

/** A list of rules may be whole, and too long together with the one that it adds to. */
function checkCounts(config: Config, sound: SoundParts): ConfigFault[] {
  if (!sound.hasAll('/topics') || !sound.hasAll('/topicDefaults')) return [];
  return Object.keys(config.topics).flatMap((topic) => {
    const { length } = rulesOfTopic(config, topic);
    return length <= RULES_MAX
      ? []
      : [
          {
            path: `${pointer('/topics', topic)}/rules`,
            message: `has with those of topicDefaults ${length} rules, wanted at most ${RULES_MAX}`,
          },
        ];
  });
}

function* placesOf({ topicDefaults, topics }: Config, sound: SoundParts): Generator<Place> {
  const path = '/topicDefaults';
  const hasDefaults = sound.has(path);
  if (hasDefaults) {
    const { schema } = topicDefaults;
    yield { path, own: topicDefaults, schemaAt: `${path}/schema`, schema, names: [{ at: path, ...topicDefaults }] };
  }
  if (!sound.has('/topics')) return;
  for (const [name, own] of Object.entries(topics)) {
    const at = pointer('/topics', name);
    if (!sound.has(at)) continue;
    const isOwn = own.schema !== undefined;
    const schema = isOwn ? own.schema : hasDefaults ? topicDefaults.schema : undefined;
    const names: Named[] = [{ at, ...own }];
    if (isOwn && hasDefaults) {
      const inherited = Object.entries(topicDefaults).filter(([key]) => key === 'rules' || !Object.hasOwn(own, key));
      const ownRules = sound.itemsOf(`${at}/rules`, own.rules).map(({ item }) => item);
      names.push({ at: path, ...Object.fromEntries(inherited), replaced: namesOf(ownRules) });
    }
    yield { path: at, own, schemaAt: `${isOwn ? at : path}/schema`, schema, names };
  }
}

/** Items of a list, each with its JSON pointer. */
type Items<Item> = readonly { readonly at: string; readonly item: Item }[];

function checkColumns(columns: Items<ColumnConfig>, isCsv: boolean, sound: SoundParts, shown: Shown): ConfigFault[] {
  const named = columns.filter(({ at }) => sound.hasAll(`${at}/path`));
  return [
    ...repeatedIn(
      named.map(({ at, item }) => ({ at: `${at}/path`, name: nameOf(item) })),
      shown,
    ),
    ...named
      .filter(({ item }) => isCsv && keysOf(item).length > 1)
      .map(({ at }) => ({ path: `${at}/path`, message: 'leads into an object, but CSV has none' })),
    ...columns.filter(({ at }) => sound.has(`${at}/type`)).flatMap(({ at, item }) => checkType(at, item, sound)),
  ];
}

function checkType(at: string, { type, precision, scale, unit }: ColumnConfig, sound: SoundParts): ConfigFault[] {
  const isWhole = sound.hasKeysOf(at);
  if (type === 'timestamp' && unit === undefined && isWhole)
    return [{ path: `${at}/unit`, message: 'is missing, a timestamp needs one of ms, us, ns' }];
  if (type !== 'decimal') return [];
  if (precision === undefined || scale === undefined)
    return isWhole ? [{ path: at, message: 'lacks precision and scale, a decimal needs both' }] : [];
  const isWider = sound.has(`${at}/precision`) && sound.has(`${at}/scale`) && scale > precision;
  return isWider ? [{ path: `${at}/scale`, message: `is ${scale}, wanted at most the precision ${precision}` }] : [];
}

const NEEDS: Readonly<Record<RuleConfig['rule'], readonly (readonly (keyof RuleConfig)[])[]>> = {
  not_null: [['column']],
  range: [['column'], ['min', 'max']],
  set: [['column'], ['values']],
  pattern: [['column'], ['pattern']],
  unique: [['column']],
  row_count: [['min', 'max']],
  freshness: [['maxAgeMs']],
};

const MAY_HAVE: readonly (keyof RuleConfig)[] = ['name', 'rule', 'action'];

function checkRules(rules: Items<RuleConfig>, sound: SoundParts, shown: Shown): ConfigFault[] {
  const named = rules.filter(({ at, item }) => item.name !== undefined && sound.has(`${at}/name`));
  return [
    ...rules.flatMap(({ at, item }) => [
      ...(sound.has(`${at}/rule`) ? checkKeys(at, item, sound) : []),
      ...checkBounds(at, item, sound, shown),
      ...checkPattern(at, item, sound, shown),
    ]),
    ...repeatedIn(
      named.map(({ at, item }) => ({ at: `${at}/name`, name: item.name! })),
      shown,
    ),
  ];
}

/** Keys that a rule needs, and those that mean nothing to it. */
function checkKeys(at: string, rule: RuleConfig, sound: SoundParts): ConfigFault[] {
  const needs = NEEDS[rule.rule];
  const known: readonly string[] = [...MAY_HAVE, ...needs.flat(), ...(needs[0]?.[0] === 'column' ? ['maxShare'] : [])];
  const missing = sound.hasKeysOf(at) ? needs.filter((keys) => keys.every((key) => rule[key] === undefined)) : [];
  return [
    ...missing.map((keys) => ({ path: at, message: `has no ${keys.join(' or ')}, the rule ${rule.rule} needs it` })),
    ...Object.keys(rule)
      .filter((key) => !known.includes(key) && sound.has(pointer(at, key)))
      .map((key) => ({ path: pointer(at, key), message: `means nothing to the rule ${rule.rule}` })),
  ];
}

function checkBounds(at: string, { rule, min, max }: RuleConfig, sound: SoundParts, shown: Shown): ConfigFault[] {
  const given = (
    [
      ['min', min],
      ['max', max],
    ] as const
  ).filter(([key, limit]) => limit !== undefined && sound.has(`${at}/${key}`));
  if (rule === 'row_count' && sound.has(`${at}/rule`)) {
    const odd = given.filter(([, limit]) => !Number.isSafeInteger(limit) || limit! < 0);
    if (odd.length > 0)
      return odd.map(([key]) => ({
        path: `${at}/${key}`,
        message: `is ${shown(`${at}/${key}`)}, wanted a whole number of at least 0`,
      }));
  }
  return given.length === 2 && min! > max! ? [{ path: `${at}/min`, message: `is ${min}, above max ${max}` }] : [];
}

function checkPattern(at: string, { pattern }: RuleConfig, sound: SoundParts, shown: Shown): ConfigFault[] {
  const path = `${at}/pattern`;
  const compiled = pattern === undefined || !sound.has(path) ? null : compilePattern(pattern);
  if (typeof compiled !== 'string') return [];
  // What is wrong with it would quote it.
  return [{ path, message: shown(path).startsWith('"') ? compiled : 'is no pattern that can be used' }];
}

/**
 * Names of columns that the configured columns do not have, and rules that no value of their column can keep: a misspelt
 * label would turn checks off in silence.
 */
function checkColumnNames({ schemaAt, schema, names }: Place, sound: SoundParts, shown: Shown): ConfigFault[] {
  // Of columns that are not all known, nobody can say that one is missing.
  if (!Array.isArray(schema) || !sound.hasAll(schemaAt)) return [];
  const types = new Map(schema.map((column) => [nameOf(column), column.type]));
  const known = [...types.keys()];
  return names.flatMap(({ at: path, rules, ignoredColumns, alertColumns, replaced, ...roles }) => {
    const ruled = sound.itemsOf(`${path}/rules`, rules).filter(({ item }) => replaced?.has(item.name) !== true);
    const named = [
      ...(['label', 'source', 'time'] as const).map((key) => ({ at: `${path}/${key}`, column: roles[key] })),
      ...ruled.map(({ at, item }) => ({ at: `${at}/column`, column: item.column })),
      ...[
        ...sound.itemsOf(`${path}/ignoredColumns`, ignoredColumns),
        ...sound.itemsOf(`${path}/alertColumns`, alertColumns),
      ].map(({ at, item }) => ({ at, column: item })),
    ];
    return [
      ...named.flatMap(({ at, column }) =>
        column === null || column === undefined || !sound.has(at) || types.has(column)
          ? []
          : [{ path: at, message: `is ${shown(at)}, which is no column of the schema${suggest(column, known)}` }],
      ),
      ...checkTime(`${path}/time`, roles.time, types, sound, shown),
      ...ruled.filter(({ at }) => sound.hasAll(at)).flatMap(({ at, item }) => checkFit(at, item, types, shown)),
    ];
  });
}

type Types = ReadonlyMap<string, ColumnConfig['type']>;

function checkTime(
  path: string,
  column: TopicConfig['time'] | undefined,
  types: Types,
  sound: SoundParts,
  shown: Shown,
): ConfigFault[] {
  const type = types.get(column ?? '');
  const wanted = type === undefined || !sound.has(path) ? null : misfitOfRole('time', type);
  return wanted === null ? [] : [{ path, message: `is ${shown(path)}, ${wanted}; that column is ${type}` }];
}

/** A rule that no value of its column can keep, and values that none can have: of these the first is named, the rest counted. */
function checkFit(at: string, rule: RuleConfig, types: Types, shown: Shown): ConfigFault[] {
  const type = types.get(rule.column ?? '');
  if (type === undefined) return [];
  const misfits = misfitsOfRule({ ...rule, kind: rule.rule }, type);
  const others = rule.rule === 'set' ? misfits.splice(1).length : 0;
  const more = others === 0 ? '' : ` (and so on: ${others} more)`;
  const where = `column ${shown(`${at}/column`)} is ${type}`;
  return misfits.map((misfit) => {
    const path = `${at}/${misfit.at === 'kind' ? 'rule' : misfit.at}`;
    const found = misfit.at === 'kind' ? rule.rule : shown(path);
    return { path, message: `is ${found}, ${misfit.wanted}; ${where}${more}` };
  });
}

function keysOf({ path }: ColumnConfig): readonly string[] {
  return typeof path === 'string' ? [path] : path;
}

function nameOf(column: ColumnConfig): string {
  return columnName(keysOf(column));
}
