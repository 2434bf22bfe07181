import { mkdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { runCommand } from '../services/command.ts';
import { readJson } from '../services/files.ts';
import { describeEnd, explain, toolEnvironment, type Suite, type SuiteResult } from './suite.ts';

/** The part of vitest's JSON report that is counted here. */
export interface VitestReport {
  readonly testResults: readonly {
    /** Path of the test file. */
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** What a report comes to. */
export interface ReportCounts {
  readonly passed: number;
  readonly failed: number;
  /** What the tool's own output does not call a failure: skipped tests, files that could not be loaded, no test at all. */
  readonly findings: readonly string[];
}

/**
 * Counts a report. A skipped or todo test counts as failed, because nothing here may be left out in silence; a file that
 * could not be loaded counts as one failure; a report without a test is one failure.
 */
export function countReport(report: VitestReport, root: string): ReportCounts {
  let passed = 0;
  let failed = 0;
  const findings: string[] = [];
  for (const file of report.testResults) {
    const failedBefore = failed;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed++;
      else failed++;
      if (test.status !== 'passed' && test.status !== 'failed') {
        findings.push(
          `${relative(root, file.name)}: "${test.fullName}" was not run (${test.status}); tests here never skip`,
        );
      }
    }
    if (file.status === 'failed' && failed === failedBefore) {
      failed++;
      findings.push(`${relative(root, file.name)}: the file failed outside its tests`);
    }
  }
  if (passed + failed === 0) return { passed, failed: 1, findings: ['No test was run'] };
  return { passed, failed, findings };
}

/** Runs one folder of test/ with vitest. Folders that use services run one file at a time: a test may restart a server. */
export async function runVitest(
  root: string,
  reportFolder: string,
  suite: Suite,
  signal: AbortSignal,
): Promise<SuiteResult> {
  const reportFile = join(reportFolder, `${suite.name}.json`);
  await mkdir(reportFolder, { recursive: true });
  // Without this a run that dies early would be counted from the report of the run before it.
  await rm(reportFile, { force: true });
  const vitestArguments = [
    // With its slash and from the root down, so that it selects this folder and no other path that contains its name.
    ['run', `${join(root, 'test', suite.name)}/`],
    ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`],
    suite.needsServices ? ['--no-file-parallelism'] : [],
  ].flat();
  const program = join(root, 'node_modules', '.bin', 'vitest');
  const options = { cwd: root, environment: toolEnvironment(), timeoutMs: suite.limitMs, signal };
  const { code, output, seconds } = await runCommand(program, vitestArguments, options);
  const report = (await readJson(reportFile)) as VitestReport | null;
  const counts = report === null ? { passed: 0, failed: 0, findings: [] } : countReport(report, root);
  const endedBadly = code !== 0 && counts.failed === 0;
  const findings = endedBadly ? [...counts.findings, describeEnd(suite, code)] : counts.findings;
  const failed = endedBadly ? 1 : counts.failed;
  return {
    name: suite.name,
    seconds,
    passed: counts.passed,
    failed,
    explanation: failed === 0 ? '' : explain(output, findings),
  };
}
