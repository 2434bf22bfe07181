import { compilePattern } from '../detect/rules/pattern.ts';
import type { ConfigFault } from '../errors.ts';
import { columnName } from '../record/schema.ts';
import { pointer } from './check-shape.ts';
import { repeated, type Shown } from './describe.ts';
import type { ColumnConfig, Config, RuleConfig, TopicConfig } from './schema.ts';
import { suggest } from './suggest.ts';

/** Faults in what is said of topics: rules, columns, and names of columns that do not exist. */
export function checkTopics({ source, topicDefaults, topics }: Config, shown: Shown): ConfigFault[] {
  const isCsv = source.files?.format === 'csv';
  const places: { readonly path: string; readonly own: Partial<TopicConfig>; readonly all: TopicConfig }[] = [
    { path: '/topicDefaults', own: topicDefaults, all: topicDefaults },
    ...Object.entries(topics).map(([name, own]) => ({
      path: pointer('/topics', name),
      own,
      all: { ...topicDefaults, ...own },
    })),
  ];
  return places.flatMap(({ path, own, all }) => [
    ...checkColumns(`${path}/schema`, own.schema ?? [], isCsv, shown),
    ...checkRules(`${path}/rules`, own.rules ?? [], shown),
    ...(all.schema === null ? [] : checkColumnNames(path, own, all.schema, shown)),
  ]);
}

function checkColumns(path: string, columns: readonly ColumnConfig[], isCsv: boolean, shown: Shown): ConfigFault[] {
  const names = columns.map(nameOf);
  return columns.flatMap((column, i) => {
    const faults: ConfigFault[] = [];
    const at = `${path}/${i}`;
    const { type, precision, scale, unit } = column;
    if (names.indexOf(names[i]!) !== i) faults.push({ path: `${at}/path`, message: repeated(shown, `${at}/path`) });
    if (isCsv && keysOf(column).length > 1)
      faults.push({ path: `${at}/path`, message: 'leads into an object, but CSV has none' });
    if (type === 'decimal' && (precision === undefined || scale === undefined))
      faults.push({ path: at, message: 'lacks precision and scale, a decimal needs both' });
    else if (type === 'decimal' && scale! > precision!)
      faults.push({ path: `${at}/scale`, message: `is ${scale}, wanted at most the precision ${precision}` });
    if (type === 'timestamp' && unit === undefined)
      faults.push({ path: `${at}/unit`, message: 'is missing, a timestamp needs one of ms, us, ns' });
    return faults;
  });
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

function checkRules(path: string, rules: readonly RuleConfig[], shown: Shown): ConfigFault[] {
  return rules.flatMap((rule, i) => {
    const at = `${path}/${i}`;
    const needs = NEEDS[rule.rule];
    const known = [...MAY_HAVE, ...needs.flat(), ...(needs[0]?.[0] === 'column' ? (['maxShare'] as const) : [])];
    const faults: ConfigFault[] = needs
      .filter((keys) => keys.every((key) => rule[key] === undefined))
      .map((keys) => ({ path: at, message: `has no ${keys.join(' or ')}, the rule ${rule.rule} needs it` }));
    for (const key of Object.keys(rule) as (keyof RuleConfig)[])
      if (!known.includes(key))
        faults.push({ path: `${at}/${key}`, message: `means nothing to the rule ${rule.rule}` });
    if ((rule.min ?? -Infinity) > (rule.max ?? Infinity))
      faults.push({ path: `${at}/min`, message: `is ${rule.min}, above max ${rule.max}` });
    if (rule.name !== undefined && rules.findIndex(({ name }) => name === rule.name) !== i)
      faults.push({ path: `${at}/name`, message: repeated(shown, `${at}/name`) });
    const pattern = rule.pattern === undefined ? null : compilePattern(rule.pattern);
    // What is wrong with it would quote it.
    const isShown = shown(`${at}/pattern`).startsWith('"');
    if (typeof pattern === 'string')
      faults.push({ path: `${at}/pattern`, message: isShown ? pattern : 'is no pattern that can be used' });
    return faults;
  });
}

/** Names of columns that the configured columns do not have: a misspelt label would turn checks off in silence. */
function checkColumnNames(
  path: string,
  own: Partial<TopicConfig>,
  columns: readonly ColumnConfig[],
  shown: Shown,
): ConfigFault[] {
  const known = columns.map(nameOf);
  const named: (readonly [path: string, column: string | null | undefined])[] = [
    [`${path}/label`, own.label],
    [`${path}/source`, own.source],
    [`${path}/time`, own.time],
    ...(own.rules ?? []).map(({ column }, i) => [`${path}/rules/${i}/column`, column] as const),
    ...(own.alertColumns ?? []).map((column, i) => [`${path}/alertColumns/${i}`, column] as const),
  ];
  return named.flatMap(([at, column]) =>
    column === null || column === undefined || known.includes(column)
      ? []
      : [
          {
            path: at,
            message: `is ${shown(at)}, which is no column of the schema${suggest(column, known)}`,
          },
        ],
  );
}

function keysOf({ path }: ColumnConfig): readonly string[] {
  return typeof path === 'string' ? [path] : path;
}

function nameOf(column: ColumnConfig): string {
  return columnName(keysOf(column));
}
