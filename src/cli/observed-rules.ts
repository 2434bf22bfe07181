import type { ObservedRule } from '../detect/rules/observed-rules.ts';
import { quoteName } from '../record/quote-name.ts';
import { counted } from './output.ts';

/** What a rule with action observe has counted in one run. */
export interface ObservedTotal {
  readonly topic: string;
  readonly rule: string;
  /** Batches that break it. */
  readonly batches: number;
  /** Rows that break it in those; for row_count and freshness, batches. */
  readonly rows: number;
}

/** Rules that the summary names, those with the most rows first. */
const TOLD_MAX = 10;

/** Counts of one run, by topic and rule; the configuration bounds how many there are. */
export class ObservedRules {
  readonly #totals = new Map<string, ObservedTotal>();

  add(topic: string, broken: readonly ObservedRule[]): void {
    for (const { name, rows } of broken) {
      const key = JSON.stringify([topic, name]);
      const known = this.#totals.get(key) ?? { topic, rule: name, batches: 0, rows: 0 };
      this.#totals.set(key, { ...known, batches: known.batches + 1, rows: known.rows + rows });
    }
  }

  /** Those with the most rows first. */
  totals(): ObservedTotal[] {
    return [...this.#totals.values()].sort((a, b) => b.rows - a.rows);
  }

  /** A line a rule, and one for those that are not named. */
  lines(): string[] {
    const totals = this.totals();
    const isOneOfSeveral = new Set(totals.map(({ topic }) => topic)).size > 1;
    const rest = totals.length - TOLD_MAX;
    return [
      ...totals
        .slice(0, TOLD_MAX)
        .map(
          ({ topic, rule, batches, rows }) =>
            `rule ${quoteName(rule)}${isOneOfSeveral ? ` of ${quoteName(topic)}` : ''} (observe) is broken in ${counted(batches, 'batch')}, ${counted(rows, 'time')}`,
        ),
      ...(rest > 0 ? [`and ${counted(rest, 'more rule')} with action observe (--json names all)`] : []),
    ];
  }
}
