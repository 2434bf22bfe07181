import { describe, expect, it } from 'vitest';
import { formatSummary } from '../../../../scripts/suites/report.ts';
import { judgeCommand, type Suite } from '../../../../scripts/suites/suite.ts';
import { countReport, type VitestReport } from '../../../../scripts/suites/vitest.ts';

const LINT: Suite = { name: 'lint', kind: 'check', needsServices: false, limitMs: 60_000 };

describe('countReport', () => {
  it('counts what passed and what failed', () => {
    expect(countReport(report('failed', 'passed', 'passed', 'failed'), '/r')).toEqual({
      passed: 2,
      failed: 1,
      findings: [],
    });
  });

  it.each(['skipped', 'pending', 'todo', 'disabled'])('counts a %s test as failed, by name', (status) => {
    expect(countReport(report('passed', 'passed', status), '/r')).toEqual({
      passed: 1,
      failed: 1,
      findings: [`test/a.test.ts: "test 1" was not run (${status}); tests here never skip`],
    });
  });

  it('counts a file that could not be loaded', () => {
    expect(countReport(report('failed'), '/r')).toEqual({
      passed: 0,
      failed: 1,
      findings: ['test/a.test.ts: the file failed outside its tests'],
    });
  });

  it('counts a run without tests as a failure', () => {
    expect(countReport({ testResults: [] }, '/r')).toEqual({ passed: 0, failed: 1, findings: ['No test was run'] });
  });
});

describe('judgeCommand', () => {
  it('passes a command that ended with 0 and keeps quiet about it', () => {
    expect(judgeCommand(LINT, { code: 0, output: 'fine', seconds: 1 })).toEqual({
      name: 'lint',
      seconds: 1,
      passed: 1,
      failed: 0,
      explanation: '',
    });
  });

  it.each([
    [1, 'Suite lint ended with exit code 1'],
    [null, 'Suite lint was killed: by its time limit of 1 min, by an interrupt, or it never started'],
  ])('fails one that ended with %s, with its whole output', (code, end) => {
    expect(judgeCommand(LINT, { code, output: 'bad\n', seconds: 1 })).toMatchObject({
      failed: 1,
      explanation: `bad\n${end}`,
    });
  });
});

describe('formatSummary', () => {
  it('ends with the counts, alone on the last line', () => {
    const summary = formatSummary(
      [
        { name: 'lint', seconds: 1.26, passed: 1, failed: 0, explanation: '' },
        { name: 'unit', seconds: 10, passed: 345, failed: 2, explanation: 'x' },
      ],
      11,
    );
    expect(summary.split('\n')).toEqual([
      'suite           seconds   passed   failed',
      'lint                1.3        1        0',
      'unit               10.0      345        2',
      'all                11.0      346        2',
      '',
      '346 passed, 2 failed',
    ]);
  });
});

function report(fileStatus: string, ...statuses: string[]): VitestReport {
  const assertionResults = statuses.map((status, index) => ({ fullName: `test ${index}`, status }));
  return { testResults: [{ name: '/r/test/a.test.ts', status: fileStatus, assertionResults }] };
}
