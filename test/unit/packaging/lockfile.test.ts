import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completeLockfile, findMissingPackages, type Lockfile } from '../../../scripts/lockfile.ts';
import { findRoot } from '../../../scripts/services/context.ts';

const SMALL: Lockfile = {
  packages: {
    '': {},
    'node_modules/tool': {
      dev: true,
      engines: { node: '>=20' },
      optionalDependencies: {
        '@tool/linux-x64-musl': '1.2.3',
        '@tool/linux-arm-gnueabihf': '1.2.3',
        '@tool/win32-x64': '1.2.3',
      },
    },
    'node_modules/@tool/win32-x64': { version: '1.2.3' },
    'node_modules/a/node_modules/b': { optionalDependencies: { c: '1.0.0' } },
    'node_modules/a/node_modules/c': { version: '1.0.0' },
  },
};

describe('package-lock.json', () => {
  const text = readFileSync(join(findRoot(), 'package-lock.json'), 'utf8');
  const lockfile = JSON.parse(text) as Lockfile;

  it('holds every optional package of every platform (else: npm run lockfile)', () => {
    expect(findMissingPackages(lockfile).map(({ name }) => name)).toEqual([]);
  });

  it('names no registry', () => {
    expect(text).not.toContain('"resolved"');
  });
});

describe('completeLockfile', () => {
  it('adds what is missing, with the platform that its name tells', () => {
    const { packages } = completeLockfile(SMALL);
    expect(packages['node_modules/@tool/linux-x64-musl']).toEqual({
      version: '1.2.3',
      cpu: ['x64'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
      engines: { node: '>=20' },
    });
    expect(packages['node_modules/@tool/linux-arm-gnueabihf']).toMatchObject({
      cpu: ['arm'],
      libc: ['glibc'],
      os: ['linux'],
    });
    expect(Object.keys(packages)).toEqual(Object.keys(packages).toSorted());
    expect(findMissingPackages({ packages })).toEqual([]);
  });

  it('changes nothing that is there', () => {
    expect(completeLockfile(SMALL).packages).toMatchObject(SMALL.packages);
  });

  it.each([
    ['no platform', '@tool/other', '1.2.3'],
    ['a range', '@tool/linux-x64', '^1.2.3'],
  ])('refuses a package with %s', (_, name, version) => {
    const lockfile = { packages: { 'node_modules/tool': { optionalDependencies: { [name]: version } } } };
    expect(() => completeLockfile(lockfile)).toThrow(`"${name}@${version}" does not name one version for one platform`);
  });
});
