import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { createContext } from '../../../../scripts/services/context.ts';
import {
  describeMissingTools,
  findMissingTools,
  GO,
  isAtLeast,
  JAVA,
  OPENSSL,
  PYTHON,
  REDIS_SERVER,
  requireTools,
  type Tool,
} from '../../../../scripts/services/toolchain.ts';

const NODE: Tool = {
  command: process.execPath,
  probe: ['--version'],
  pattern: /^v([\d.]+)/,
  minimum: '20',
  debianPackage: null,
  mend: 'install Node',
};

describe('isAtLeast', () => {
  it.each([
    ['17.0.15', '17', true],
    ['17', '17.0.1', false],
    ['1.9', '1.26', false],
    ['1.26.8', '1.26', true],
    ['3.11.7', '3.11', true],
    ['11.0.2', '17', false],
  ])('%s ≥ %s is %s', (version, minimum, expected) => expect(isAtLeast(version, minimum)).toBe(expected));
});

describe('the patterns', () => {
  it.each([
    [JAVA, 'openjdk version "17.0.15" 2025-04-15', '17.0.15'],
    [JAVA, 'java version "1.8.0_392"', '1.8.0'],
    [GO, 'go version go1.26.8 linux/amd64', '1.26.8'],
    [OPENSSL, 'OpenSSL 3.0.19 27 Jan 2026', '3.0.19'],
    [OPENSSL, 'LibreSSL 3.3.6', undefined],
    [REDIS_SERVER, 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', '7.0.15'],
    [PYTHON, 'Python 3.11.7', '3.11.7'],
  ])('find the version in what $command prints', (tool, output, expected) => {
    expect(tool.pattern.exec(output)?.[1]).toBe(expected);
  });
});

describe('findMissingTools', () => {
  it('finds what is there, what is missing, too old, or unusable', async () => {
    const tools = [
      NODE,
      { ...NODE, command: 'no-such-program' },
      { ...NODE, command: 'node', minimum: '999' },
      { ...NODE, command: 'false' },
    ];
    const missing = await findMissingTools(tools, process.env);
    expect(missing.map(({ tool, finding }) => [tool.command, finding])).toEqual([
      ['no-such-program', 'not found'],
      ['node', `found ${process.version.slice(1)}`],
      ['false', 'unusable (`false --version` ended with 1)'],
    ]);
  });
});

describe('requireTools', () => {
  it('lists everything that is missing at once, with the one command that mends it', async () => {
    const context = createContext({ environment: { PATH: '/nowhere' } });
    await expect(requireTools(context, [JAVA, GO, REDIS_SERVER, JAVA])).rejects.toThrow(
      describeMissingTools([
        { tool: JAVA, finding: 'not found' },
        { tool: GO, finding: 'not found' },
        { tool: REDIS_SERVER, finding: 'not found' },
      ]),
    );
  });

  it('installs the packages of all missing tools with one command where it may', async () => {
    const folder = await temporaryFolder();
    // Stands in for the package manager: writes down how it was called, and "installs" the tool.
    await writeScript(
      join(folder, 'apt-get'),
      'here=$(dirname "$0"); echo "$*" >> "$here/calls"',
      '[ "$1" = install ] && printf "#!/bin/sh\\necho v1.2.3" > "$here/the-tool" && chmod +x "$here/the-tool"; true',
    );
    const tool: Tool = { ...NODE, command: 'the-tool', minimum: '1.2', debianPackage: 'the-package' };
    const lines: string[] = [];
    const environment = { PATH: `${folder}:${process.env['PATH']}` };
    const context = createContext({ folder, environment, report: (line) => lines.push(line) });
    await expect(requireTools({ ...context, mayInstallPackages: false }, [tool])).rejects.toThrow('apt-get install');
    await requireTools({ ...context, mayInstallPackages: true }, [tool]);
    expect(await readFile(join(folder, 'calls'), 'utf8')).toBe(
      'update\ninstall --yes --no-install-recommends the-package\n',
    );
    expect(lines[0]).toBe('  system packages: installing the-package');
  });

  it('prints the command and runs nothing when it may not install packages', () => {
    expect(describeMissingTools([{ tool: REDIS_SERVER, finding: 'not found' }])).toBe(
      [
        'Cannot start the test services: 1 of the tools they need cannot be used',
        '  redis-server ≥ 6.2: not found; install Redis, version 6.2 or later (macOS: brew install redis)',
        'On Debian or Ubuntu: apt-get update && apt-get install --yes --no-install-recommends redis-server',
        'As root, `--yes` (or CI=true) lets this command run it: `npm run services -- start --yes`',
      ].join('\n'),
    );
  });
});

describe('createContext', () => {
  const isRoot = process.getuid?.() === 0;
  it.each([
    ['on a person’s machine', {}, false, false],
    ['with --yes', {}, true, isRoot],
    ['in CI', { CI: 'true' }, false, isRoot],
    ['with CI switched off', { CI: 'false' }, false, false],
  ])('lets system packages be installed only by root: %s', (_, environment, yes, expected) => {
    expect(createContext({ environment, yes }).mayInstallPackages).toBe(expected);
  });
});

async function writeScript(file: string, ...lines: readonly string[]): Promise<void> {
  await writeFile(file, ['#!/bin/sh', ...lines].join('\n'));
  await chmod(file, 0o755);
}
