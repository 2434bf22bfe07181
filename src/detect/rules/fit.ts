import { quoteName } from '../../record/quote-name.ts';
import type { Column, ColumnType } from '../../record/schema.ts';
import { suggest } from '../../record/suggest.ts';
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
export function misfitOfKind(kind: Rule['kind'], type: ColumnType): string | null {
  if (kind !== 'range' && kind !== 'pattern') return null;
  if (HOLDS[type] === WANTS[kind]) return null;
  return kind === 'range' ? 'wanted a column of numbers or times' : 'wanted a column of texts';
}

/** What a value would have to be to occur in a column of this type; null if it can. */
export function misfitOfValue(value: string | number | boolean, type: ColumnType): string | null {
  switch (HOLDS[type]) {
    case 'truth':
      return typeof value === 'boolean' ? null : 'wanted true or false';
    case 'text':
      return typeof value === 'string' ? null : 'wanted a text in quotes';
    case 'number':
      if (type === 'int64') return Number.isInteger(value) ? null : 'wanted a whole number';
      if (typeof value === 'number') return null;
      return type === 'timestamp' ? 'wanted a time in ms since 1970' : 'wanted a number';
  }
}

/** What a configuration says of columns. */
export interface Asked {
  readonly roles: Roles;
  readonly rules: readonly Rule[];
}

/**
 * What a configuration asks of columns that are not there, or of values that cannot occur in them: checks that would be off
 * in silence, or rules that every row breaks. One sentence each; none if all fits.
 */
export function describeMisfits({ roles, rules }: Asked, columns: readonly Column[]): string[] {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const missing = (name: string): string =>
    `column ${quoteName(name)} is not in the schema${suggest(name, [...types.keys()])}`;
  return [
    ...Object.entries(roles)
      .filter(([, name]) => typeof name === 'string' && !types.has(name))
      .map(([role, name]) => `${role} is never checked: ${missing(name as string)}`),
    ...rules.flatMap((rule) => {
      if (!('column' in rule)) return [];
      const type = types.get(rule.column);
      const subject = `rule ${quoteName(rule.name)}`;
      if (type === undefined)
        return [
          `${subject} ${rule.kind === 'not_null' ? 'fails in every row' : 'is never checked'}: ${missing(rule.column)}`,
        ];
      const where = `column ${quoteName(rule.column)} is ${type}`;
      const wanted = misfitOfKind(rule.kind, type);
      if (wanted !== null) return [`${subject} fails in every row: ${where}, ${wanted}`];
      if (rule.kind !== 'set') return [];
      const odd = rule.values.find((value) => misfitOfValue(value, type) !== null);
      if (odd === undefined) return [];
      const shown = typeof odd === 'string' ? quoteName(odd) : String(odd);
      return [`${subject} allows ${shown}, which never occurs: ${where}, ${misfitOfValue(odd, type)}`];
    }),
  ];
}
