import { platform } from 'node:os';
import { runCommand, runStep } from './command.ts';
import type { ServiceContext } from './context.ts';

/** A program of the system that an install or a server needs. */
export interface Tool {
  readonly command: string;
  /** Arguments that make it print its version, or that fail when a part of it is missing. */
  readonly probe: readonly string[];
  /** Finds the version in the output: one group, digits and dots. */
  readonly pattern: RegExp;
  /** Lowest version that works, e.g. `17` or `3.11`. */
  readonly minimum: string;
  /** Debian package that brings it; null where Debian's is too old. */
  readonly debianPackage: string | null;
  /** What to do where there is no Debian, or no package. */
  readonly mend: string;
}

export const JAVA: Tool = {
  command: 'java',
  probe: ['-version'],
  pattern: /version "([\d.]+)/,
  minimum: '17',
  debianPackage: 'openjdk-17-jre-headless',
  mend: 'install a Java runtime, version 17 or later',
};

export const MAVEN: Tool = {
  command: 'mvn',
  probe: ['--batch-mode', '--version'],
  pattern: /Apache Maven ([\d.]+)/,
  minimum: '3.6',
  debianPackage: 'maven',
  mend: 'install Apache Maven, version 3.6 or later',
};

export const GO: Tool = {
  command: 'go',
  probe: ['version'],
  pattern: /go version go([\d.]+)/,
  minimum: '1.26',
  debianPackage: null,
  mend: 'install Go, version 1.26 or later',
};

/** Python that can make a virtual environment (Debian ships that part apart). */
export const PYTHON: Tool = {
  command: 'python3',
  probe: ['-c', 'import platform, venv, ensurepip; print("Python", platform.python_version())'],
  pattern: /Python ([\d.]+)/,
  minimum: '3.11',
  debianPackage: 'python3-venv',
  mend: 'install Python with its venv module, version 3.11 or later',
};

export const OPENSSL: Tool = {
  command: 'openssl',
  probe: ['version'],
  pattern: /OpenSSL ([\d.]+)/,
  minimum: '1.1.1',
  debianPackage: 'openssl',
  mend: 'install OpenSSL, version 1.1.1 or later (not LibreSSL)',
};

export const REDIS_SERVER: Tool = {
  command: 'redis-server',
  probe: ['--version'],
  pattern: /v=([\d.]+)/,
  minimum: '6.2',
  debianPackage: 'redis-server',
  mend: 'install Redis, version 6.2 or later (macOS: brew install redis)',
};

/** A tool that cannot be used, and why. */
export interface MissingTool {
  readonly tool: Tool;
  /** E.g. `not found`, `found 11.0.2`. */
  readonly finding: string;
}

/** Looks for every tool, side by side, and names those that are missing or too old. */
export async function findMissingTools(tools: readonly Tool[], environment: NodeJS.ProcessEnv): Promise<MissingTool[]> {
  const unique = [...new Map(tools.map((tool) => [tool.command, tool])).values()];
  const findings = await Promise.all(unique.map((tool) => probeTool(tool, environment)));
  return findings.flatMap((finding, index) => (finding === null ? [] : [{ tool: unique[index]!, finding }]));
}

/**
 * Makes sure that every tool is there: installs Debian's packages where that is allowed, else fails with all mends at once.
 * @throws {Error} naming each missing tool, what was found, and the one command that mends it.
 */
export async function requireTools(context: ServiceContext, tools: readonly Tool[]): Promise<void> {
  let missing = await findMissingTools(tools, context.environment);
  const packages = debianPackages(missing);
  if (packages.length > 0 && context.mayInstallPackages && platform() === 'linux') {
    await installPackages(context, packages);
    missing = await findMissingTools(tools, context.environment);
  }
  if (missing.length > 0) throw new Error(describeMissingTools(missing));
}

/** The message for {@link requireTools}: one line a tool, then the command for all that Debian has. */
export function describeMissingTools(missing: readonly MissingTool[]): string {
  const lines = missing.map(({ tool, finding }) => `  ${tool.command} ≥ ${tool.minimum}: ${finding}; ${tool.mend}`);
  const packages = debianPackages(missing);
  const mend =
    packages.length === 0
      ? []
      : [
          `On Debian or Ubuntu: ${aptCommand(packages)}`,
          'As root, `--yes` (or CI=true) lets this command run it: `npm run services -- start --yes`',
        ];
  return [
    `Cannot start the test services: ${missing.length} of the tools they need cannot be used`,
    ...lines,
    ...mend,
  ].join('\n');
}

/** True when `version` is at least `minimum`, number by number. */
export function isAtLeast(version: string, minimum: string): boolean {
  const have = version.split('.').map(Number);
  const want = minimum.split('.').map(Number);
  for (let i = 0; i < want.length; i++) {
    const difference = (have[i] ?? 0) - want[i]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function probeTool(tool: Tool, environment: NodeJS.ProcessEnv): Promise<string | null> {
  const { code, output } = await runCommand(tool.command, tool.probe, { environment, timeoutMs: 60_000 });
  if (code === null) return 'not found';
  const version = tool.pattern.exec(output)?.[1];
  if (code !== 0 || version === undefined) return `unusable (\`${tool.command} ${tool.probe[0]}\` ended with ${code})`;
  return isAtLeast(version, tool.minimum) ? null : `found ${version}`;
}

function debianPackages(missing: readonly MissingTool[]): string[] {
  return missing.flatMap(({ tool }) => tool.debianPackage ?? []);
}

function aptCommand(packages: readonly string[]): string {
  return `apt-get update && apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
}

async function installPackages(context: ServiceContext, packages: readonly string[]): Promise<void> {
  const startedMs = performance.now();
  context.report(`  system packages: installing ${packages.join(', ')}`);
  await runStep('install system packages', 'sh', ['-c', aptCommand(packages)], {
    // RUNLEVEL=1 keeps Debian's packages from starting a server of their own on the default port.
    environment: { ...context.environment, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    logFile: `${context.folder}/logs/install-packages.log`,
    timeoutMs: 600_000,
    signal: context.signal,
  });
  context.report(`  system packages: installed in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
}
