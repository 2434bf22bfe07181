import { quoteName } from '../../record/quote-name.ts';
import type { Column, ColumnType } from '../../record/schema.ts';
import { suggest } from '../../record/suggest.ts';
import type { Baseline } from '../baseline/baseline.ts';
import type { Roles } from '../profile.ts';
import type { Rule } from './rule.ts';

/** What values of a type are to a rule. */
const HOLDS: Readonly<Record<ColumnType, 'text' | 'number' | 'truth'>> = {
  boolean: 'truth',
  int64: 'number',
  float64: 'number',
  decimal: 'number',
  timestamp: 'number',
  string: 'text',
  json: 'text',
};

/** What a column must hold for a rule of a kind; rules that are not named take any column. */
const WANTS = { range: 'number', pattern: 'text' } as const;

/** Why a rule of this kind cannot be kept by a column of this type; null if it can. */
function misfitOfKind(kind: Rule['kind'], type: ColumnType): string | null {
  if (kind !== 'range' && kind !== 'pattern') return null;
  if (HOLDS[type] === WANTS[kind]) return null;
  return kind === 'range' ? 'wanted a column of numbers or times' : 'wanted a column of texts';
}

/** Whole numbers that a limit or a value of a rule can be exactly. */
const EXACT = 'from -9007199254740991 to 9007199254740991';

/**
 * What a limit would have to be for values of this type; null if it is. A whole number that a double cannot hold was rounded
 * when the configuration was read: values beside it would pass.
 */
function misfitOfLimit(limit: number, type: ColumnType): string | null {
  const isRounded = Number.isInteger(limit) && !Number.isSafeInteger(limit);
  return isRounded && type !== 'float64' ? `wanted a number ${EXACT}` : null;
}

/** What a value would have to be to occur in a column of this type; null if it can. */
function misfitOfValue(value: string | number | boolean, type: ColumnType): string | null {
  switch (HOLDS[type]) {
    case 'truth':
      return typeof value === 'boolean' ? null : 'wanted true or false';
    case 'text':
      return typeof value === 'string' ? null : 'wanted a text in quotes';
    case 'number':
      // Who was told that a number is rounded may try it in quotes.
      if (typeof value === 'string' && !Number.isSafeInteger(Number(value)) && /^[+-]?\d+$/.test(value))
        return `wanted a number without quotes${type === 'float64' ? '' : `, ${EXACT}`}`;
      if (type === 'int64' && !Number.isInteger(value)) return 'wanted a whole number';
      if (typeof value === 'number') return misfitOfLimit(value, type);
      return type === 'timestamp' ? 'wanted a time in ms since 1970' : 'wanted a number';
  }
}

/** What of a rule is looked at beside the type of its column. */
interface Limits {
  readonly kind: Rule['kind'];
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly values?: readonly (string | number | boolean)[] | undefined;
}

/** A part of a rule that does not fit the type of its column. */
export interface RuleMisfit {
  /** `kind`, `min`, `max`, or `values/` and the index. */
  readonly at: string;
  readonly value: string | number | boolean;
  /** What it would have to be. */
  readonly wanted: string;
}

/** All that no value of this type can keep, or be; the kind alone, if that is it. */
export function misfitsOfRule({ kind, min, max, values = [] }: Limits, type: ColumnType): RuleMisfit[] {
  const wanted = misfitOfKind(kind, type);
  if (wanted !== null) return [{ at: 'kind', value: kind, wanted }];
  const misfits: RuleMisfit[] = [];
  const note = (at: string, value: RuleMisfit['value'], misfit: string | null): void => {
    if (misfit !== null) misfits.push({ at, value, wanted: misfit });
  };
  if (kind === 'range' && min !== undefined) note('min', min, misfitOfLimit(min, type));
  if (kind === 'range' && max !== undefined) note('max', max, misfitOfLimit(max, type));
  if (kind === 'set') for (const [i, value] of values.entries()) note(`values/${i}`, value, misfitOfValue(value, type));
  return misfits;
}

/** Why a column of this type cannot have a role; null if it can. */
export function misfitOfRole(role: keyof Roles, type: ColumnType): string | null {
  return role === 'time' && type !== 'timestamp' ? 'wanted a timestamp' : null;
}

/** What a configuration says of columns. */
export interface Asked {
  readonly roles: Roles;
  readonly ignoredColumns: readonly string[];
  readonly rules: readonly Rule[];
}

/** What comes of a role whose column does not fit. */
const WITHOUT: Readonly<Record<keyof Roles, string>> = {
  label: 'label is never checked',
  source: 'source is never recorded',
  time: 'time is never checked',
};

/**
 * What a configuration asks of columns that are not there, or of values that cannot occur in them: checks that would be off
 * in silence, or rules that every row breaks. One sentence each; none if all fits.
 */
export function describeMisfits({ roles, ignoredColumns, rules }: Asked, columns: readonly Column[]): string[] {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const missing = (name: string): string =>
    `column ${quoteName(name)} is not in the pinned schema${suggest(name, [...types.keys()])}`;
  return [
    ...(['label', 'source', 'time'] as const).flatMap((role) => {
      const name = roles[role];
      if (name === null) return [];
      const type = types.get(name);
      if (type === undefined) return [`${WITHOUT[role]}: ${missing(name)}`];
      const wanted = misfitOfRole(role, type);
      return wanted === null ? [] : [`${WITHOUT[role]}: column ${quoteName(name)} is ${type}, ${wanted}`];
    }),
    ...ignoredColumns
      .filter((name) => !types.has(name))
      .map((name) => `ignoredColumns has no effect: ${missing(name)}`),
    ...rules.flatMap((rule) => {
      if (!('column' in rule)) return [];
      const type = types.get(rule.column);
      const subject = `rule ${quoteName(rule.name)}`;
      if (type !== undefined) {
        const misfit = misfitOfRule(rule, type);
        return misfit === null
          ? []
          : [`${subject} ${misfit[0]}: column ${quoteName(rule.column)} is ${type}, ${misfit[1]}`];
      }
      return [
        `${subject} ${rule.kind === 'not_null' ? 'is broken by every row' : 'is never checked'}: ${missing(rule.column)}`,
      ];
    }),
  ];
}

/**
 * Rules of freshness that no batch of files keeps, since their records have no time of their own and the column that is to
 * say it is none of times. One sentence each.
 */
export function describeUnkept({ roles, rules }: Pick<Asked, 'roles' | 'rules'>, columns: readonly Column[]): string[] {
  if (columns.some(({ name, type }) => name === roles.time && misfitOfRole('time', type) === null)) return [];
  return rules
    .filter(({ kind }) => kind === 'freshness')
    .map(
      ({ name }) =>
        `rule ${quoteName(name)} is broken by every batch: records of files have no time of their own (mend: set time to a column of timestamps, or leave the rule out)`,
    );
}

/** What a topic's configuration asks of a baseline, or what one was learned with. */
export interface Learning {
  readonly roles: Roles;
  /** Columns that are not compared. */
  readonly ignoredColumns: readonly string[];
}

/** What a baseline was learned with. @param columns of its schema */
export function learnedWith(
  { roles, columns: learned }: Pick<Baseline, 'roles' | 'columns'>,
  columns: readonly Column[],
): Learning {
  const known = new Set(learned.map(({ reference }) => reference.name));
  return { roles, ignoredColumns: columns.map(({ name }) => name).filter((name) => !known.has(name)) };
}

/** Columns that a sentence names. */
const NAMED_MAX = 5;
const RELEARN = 'headgate baseline learn --published, or --files FILES; then headgate baseline approve';
/** What to do about a baseline that was learned with other roles: what is stored was measured with those, too. */
const LEARN_AGAIN =
  'headgate baseline learn --files FILES, or --published once newer batches are published; then headgate baseline approve';

/**
 * What a baseline does not check of what the configuration names, or checks though the configuration ignores it, since it was
 * learned with another one. One sentence each. A source may differ: no check asks for it. Columns that the schema does not have
 * are for {@link describeMisfits}.
 * @param learned what the baseline was learned with. @param which how sentences name the baseline
 */
export function describeUnlearned(
  asked: Learning,
  learned: Learning,
  columns: readonly Column[],
  which = 'the baseline in force',
): string[] {
  const ofRoles = (['label', 'time'] as const).flatMap((role) => {
    const [wanted, known] = [asked.roles[role], learned.roles[role]];
    if (wanted === known) return [];
    if (wanted === null)
      return [
        `${role} ${quoteName(known!)} of ${which} is not checked: the configuration names no ${role} (mend: set ${role}, or learn another baseline without it)`,
      ];
    if (!columns.some(({ name }) => name === wanted)) return [];
    return [
      `${role} ${quoteName(wanted)} is not checked: ${which} was learned with${known === null ? 'out it' : ` ${role} ${quoteName(known)}`} (mend: ${LEARN_AGAIN})`,
    ];
  });
  return [...ofRoles, ...describeIgnored(asked, learned, columns, which)];
}

/** Columns that a baseline compares although they are to be ignored, and the other way round. */
function describeIgnored(asked: Learning, learned: Learning, columns: readonly Column[], which: string): string[] {
  const names = columns.map(({ name }) => name);
  const isAsked = new Set(asked.ignoredColumns);
  const isLearned = new Set(learned.ignoredColumns);
  const compared = names.filter((name) => isAsked.has(name) && !isLearned.has(name));
  const left = names.filter((name) => !isAsked.has(name) && isLearned.has(name));
  return [
    ...(compared.length > 0
      ? [`ignoredColumns is not in force for ${named(compared)}: ${which} was learned with them (mend: ${RELEARN})`]
      : []),
    ...(left.length > 0
      ? [
          `not checked: ${named(left)}: ${which} was learned without them (mend: ${RELEARN}, or add them to ignoredColumns)`,
        ]
      : []),
  ];
}

/** Columns in a sentence, the first few by name. */
function named(columns: readonly string[]): string {
  const more = columns.length - NAMED_MAX;
  return `${columns.slice(0, NAMED_MAX).map(quoteName).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What comes of a rule that a column of this type does not fit, and what would; null if it fits. */
function misfitOfRule(rule: Rule, type: ColumnType): readonly [string, string] | null {
  const [first] = misfitsOfRule(rule, type);
  if (first === undefined) return null;
  const { at, value, wanted } = first;
  if (at === 'kind') return ['is broken by every row', wanted];
  if (rule.kind === 'range') return [`has ${at} ${value}, which is not exact`, wanted];
  const shown = typeof value === 'string' ? quoteName(value) : String(value);
  const isRounded = typeof value === 'number' && misfitOfLimit(value, type) === wanted;
  return [`allows ${shown}, which ${isRounded ? 'is not exact' : 'never occurs'}`, wanted];
}
