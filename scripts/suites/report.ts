import type { SuiteResult } from './suite.ts';

/** One suite as a line of the table. */
export function formatRow({
  name,
  seconds,
  passed,
  failed,
}: Pick<SuiteResult, 'name' | 'seconds' | 'passed' | 'failed'>): string {
  return `${name.padEnd(14)}${seconds.toFixed(1).padStart(9)}${String(passed).padStart(9)}${String(failed).padStart(9)}`;
}

/** The closing table and, as its last line, `N passed, N failed`.
 * @param seconds wall-clock time of the whole run; less than the sum of its rows where suites overlap. */
export function formatSummary(results: readonly SuiteResult[], seconds: number): string {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  return [
    `${'suite'.padEnd(14)}${'seconds'.padStart(9)}${'passed'.padStart(9)}${'failed'.padStart(9)}`,
    ...results.map(formatRow),
    formatRow({ name: 'all', seconds, passed, failed }),
    '',
    `${passed} passed, ${failed} failed`,
  ].join('\n');
}
