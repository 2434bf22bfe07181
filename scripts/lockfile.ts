/** One package in a lock file; fields that are not read here are kept as they are. */
export interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly engines?: unknown;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The part of package-lock.json (version 3) that is read here: packages by their place in node_modules. */
export interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** An optional package that a locked one may bring in and that the lock file does not hold. */
export interface MissingPackage {
  readonly name: string;
  readonly version: string;
  /** Who may bring it in. */
  readonly parent: LockedPackage;
}

/**
 * Optional packages without an entry. npm writes none for those that its registry does not serve (a mirror that holds
 * one platform only), and `npm ci` then refuses the lock file on every platform.
 */
export function findMissingPackages(lockfile: Lockfile): MissingPackage[] {
  const missing = new Map<string, MissingPackage>();
  for (const [place, parent] of Object.entries(lockfile.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      if (!isLocked(lockfile, place, name)) missing.set(name, { name, version, parent });
    }
  }
  return [...missing.values()];
}

/** A lock file with an entry for every package of {@link findMissingPackages}: its platform read from its name, without a
 * digest, since the package could not be fetched.
 * @throws {Error} if a name does not tell a platform, or the version is a range. */
export function completeLockfile(lockfile: Lockfile): Lockfile {
  const added = findMissingPackages(lockfile).map(({ name, version, parent }) => {
    const platform = platformOf(name);
    if (platform === null || !/^\d+\.\d+\.\d+$/.test(version)) {
      throw new Error(`Cannot complete the lock file: "${name}@${version}" does not name one version for one platform`);
    }
    const entry = {
      version,
      cpu: [platform.cpu],
      ...(parent.dev === true ? { dev: true } : {}),
      ...(platform.libc === null ? {} : { libc: [platform.libc] }),
      optional: true,
      os: [platform.os],
      ...(parent.engines === undefined ? {} : { engines: parent.engines }),
    };
    return [`node_modules/${name}`, entry] as const;
  });
  const entries = [...Object.entries(lockfile.packages), ...added].sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...lockfile, packages: Object.fromEntries(entries) };
}

/** True when Node would find `name` from `place`: beside it, or in a node_modules further up. */
function isLocked(lockfile: Lockfile, place: string, name: string): boolean {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (lockfile.packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** Platform that a package's name tells by the words that npm itself uses, e.g. `binding-linux-x64-musl`. */
function platformOf(name: string): { os: string; cpu: string; libc: 'glibc' | 'musl' | null } | null {
  const words = name.split(/[-/]/);
  const os = words.findLast((word) => SYSTEMS.includes(word));
  const cpu = words.findLast((word) => PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) return null;
  const last = words.at(-1) ?? '';
  const libc = last.startsWith('gnu') ? 'glibc' : last.startsWith('musl') ? 'musl' : null;
  return { os, cpu, libc };
}
