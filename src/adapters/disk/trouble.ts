import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { codeOf } from './file-errors.ts';

/** What an error of the file system means, and what a person can do about it, by its code. */
const MEANINGS: Readonly<Record<string, readonly [why: string, mend: string | null]>> = {
  EROFS: ['its file system is read-only', 'mount it for writing'],
  ENOSPC: ['its disk is full', 'free space there'],
  EDQUOT: ['the disk quota of this user is used up', 'free space there, or raise the quota'],
  EEXIST: ['a file stands where a folder is wanted', 'move that file away'],
  ENOTDIR: ['a file stands where a folder is wanted', 'move that file away'],
  ENOTSUP: ['its file system has no hard links', null],
  EOPNOTSUPP: ['its file system has no hard links', null],
  ENOSYS: ['its file system has no hard links', null],
};

/** A folder that the configuration names. */
export interface NamedFolder {
  readonly path: string;
  /** Key of the configuration that names it. */
  readonly setting: string;
  /** What it must be, for `set … to a folder that …`. */
  readonly wanted: string;
}

/** What went wrong in a folder, in words, with the way out. @param cause error of the file system */
export async function describeTrouble(folder: NamedFolder, cause: unknown): Promise<string> {
  const code = codeOf(cause);
  const elsewhere = `set ${folder.setting} to a folder that ${folder.wanted}`;
  if (code === 'EACCES' || code === 'EPERM') {
    const { why, mend } = await describeOwner(folder.path, placeOf(cause) ?? folder.path);
    return `${why} (${code}) (mend: ${mend === null ? '' : `${mend}, or `}${elsewhere})`;
  }
  const [why, mend] = MEANINGS[code] ?? [cause instanceof Error ? cause.message : String(cause), null];
  const named = Object.hasOwn(MEANINGS, code) ? `${why} (${code})` : why;
  return `${named} (mend: ${mend === null ? '' : `${mend}, or `}${elsewhere})`;
}

/** Whose the place is, or the nearest folder above it that is there, and who wants to use it. */
async function describeOwner(folder: string, place: string): Promise<{ why: string; mend: string | null }> {
  const own = process.getuid?.();
  let at = place;
  let found = await stat(at).catch(() => null);
  while (found === null && at !== dirname(at)) {
    at = dirname(at);
    found = await stat(at).catch(() => null);
  }
  const name = quoteForShell(folder);
  const isAbove = folder.startsWith(at) && folder !== at;
  if (own === undefined || found === null) return { why: 'this user may not use it', mend: null };
  if (found.uid === own) return { why: `"${at}" may not be used`, mend: `chmod -R u+rwX ${quoteForShell(at)}` };
  return {
    why: `"${at}" belongs to user ${found.uid}, this process is user ${own}`,
    mend: `run it as user ${found.uid}, or as root ${isAbove ? `mkdir -p ${name} && ` : ''}chown -R ${own} ${name}`,
  };
}

/** The path that a call of the file system was about: of two, the one that was to be made. */
function placeOf(cause: unknown): string | undefined {
  const { dest, path } = cause as NodeJS.ErrnoException & { readonly dest?: string };
  return dest ?? path;
}

function quoteForShell(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
