import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createContext, type ServiceContext } from './services/context.ts';
import { startServices, stopServices, type StartedServices } from './services/lifecycle.ts';
import { runCheck } from './suites/checks.ts';
import { planSuites } from './suites/plan.ts';
import { formatRow, formatSummary } from './suites/report.ts';
import type { Suite, SuiteResult } from './suites/suite.ts';
import { runVitest } from './suites/vitest.ts';

const USAGE = `Usage: npm test -- [SUITE…] [--full] [--keep] [--yes]

SUITE   run only these: typecheck, lint, format, unused, build, or a folder of test/
--full  run test/long as well
--keep  leave the services running that this run started
--yes   as root, install missing system packages without asking
`;

/** How the start of the services ended, which went on beside the suites that do not need them. */
interface ServicesOutcome {
  readonly services: StartedServices | Error;
  readonly seconds: number;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error('Interrupted')));
  const context = createContext({ yes: values.yes, report: print, signal: interrupt.signal });
  const suites = planSuites(context.root, { names: positionals, full: values.full });
  const startedMs = performance.now();
  const services = suites.some((suite) => suite.needsServices) ? beginServices(context) : null;
  let results: SuiteResult[];
  try {
    results = await runSuites(context, suites, services);
  } finally {
    await endServices(context, services, values.keep);
  }
  for (const { name, explanation } of results.filter((result) => result.failed > 0)) {
    print(`\n─── ${name} ${'─'.repeat(Math.max(3, 100 - name.length))}\n${explanation}`);
  }
  print(`\n${formatSummary(results, (performance.now() - startedMs) / 1_000)}`);
  if (interrupt.signal.aborted) return 130;
  return results.some((result) => result.failed > 0) ? 1 : 0;
}

/** Runs the suites in order and waits for the services before the first one that needs them. If they cannot be had,
 * each suite that needs them has failed. */
async function runSuites(
  context: ServiceContext,
  suites: readonly Suite[],
  services: Promise<ServicesOutcome> | null,
): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  let servicesResult: SuiteResult | null = null;
  for (const suite of suites) {
    if (suite.needsServices && services !== null && servicesResult === null) {
      servicesResult = judgeServices(await services);
      results.push(servicesResult);
      print(formatRow(servicesResult));
    }
    if (process.stdout.isTTY) process.stdout.write(`${suite.name} …\r`);
    const blocked = suite.needsServices && servicesResult?.failed === 1;
    const result = blocked ? notRun(suite, 'the services could not be started') : await runSuite(context, suite);
    results.push(result);
    print(formatRow(result));
  }
  return results;
}

function runSuite(context: ServiceContext, suite: Suite): Promise<SuiteResult> {
  if (context.signal.aborted) return Promise.resolve(notRun(suite, 'the run was interrupted'));
  if (suite.kind === 'check') return runCheck(context.root, suite, context.signal);
  return runVitest(context.root, join(context.folder, 'reports'), suite, context.signal);
}

function notRun({ name }: Suite, why: string): SuiteResult {
  return { name, seconds: 0, passed: 0, failed: 1, explanation: `Suite ${name} was not run: ${why}` };
}

async function beginServices(context: ServiceContext): Promise<ServicesOutcome> {
  const startedMs = performance.now();
  let services: StartedServices | Error;
  try {
    services = await startServices(context);
  } catch (error) {
    services = error instanceof Error ? error : new Error(String(error));
  }
  return { services, seconds: (performance.now() - startedMs) / 1_000 };
}

function judgeServices({ services, seconds }: ServicesOutcome): SuiteResult {
  return services instanceof Error
    ? { name: 'services', seconds, passed: 0, failed: 1, explanation: services.message }
    : { name: 'services', seconds, passed: 1, failed: 0, explanation: '' };
}

/** Stops what this run started; servers that ran before it, or that it was told to keep, stay. */
async function endServices(
  context: ServiceContext,
  services: Promise<ServicesOutcome> | null,
  keep: boolean,
): Promise<void> {
  const settled = (await services)?.services;
  if (settled === undefined || settled instanceof Error || settled.started.length === 0 || keep) return;
  // Not the run's own signal: after an interrupt they must be stopped all the same.
  const stopped = await stopServices({ ...context, signal: new AbortController().signal }, settled.started);
  print(`services stopped: ${stopped.join(', ')} (--keep leaves them running)`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// The SDK's notice about coming Node versions says nothing about a test run.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  // The last line says so too: nothing was run, and that is a failure.
  print('0 passed, 1 failed');
  process.exitCode = 1;
}
