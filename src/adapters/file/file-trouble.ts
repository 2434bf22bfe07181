import { HaltError, UnavailableError } from '../../errors.ts';

/** Failures that stay until somebody acts: a run that only reads what is there need not try again. */
const LASTING: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'it is not there'],
  ['EACCES', 'permission is denied'],
  ['EPERM', 'permission is denied'],
  ['EISDIR', 'it is a folder, wanted a file'],
  ['ENOTDIR', 'a part of its path is no folder'],
  ['ELOOP', 'its links go round in a circle'],
  ['ENAMETOOLONG', 'its path is too long'],
  ['ENXIO', 'it is no regular file, wanted one (a pipe is read as standard input, "-")'],
]);

/** True when `cause` says that the file is not there. */
export function isMissing(cause: unknown): boolean {
  return codeOf(cause) === 'ENOENT';
}

/**
 * The error to throw for a file that cannot be read.
 * @param once the run reads what is there now: what does not mend itself halts the file, so that the run ends.
 */
export function fileTrouble(path: string, cause: unknown, once: boolean): HaltError | UnavailableError {
  const code = codeOf(cause);
  const lasting = LASTING.get(code);
  const why = lasting ?? (cause instanceof Error ? cause.message : String(cause));
  const options = { cause, fields: { cause: code } };
  return lasting !== undefined && (once || code === 'EISDIR' || code === 'ENXIO')
    ? new HaltError('SOURCE_UNAVAILABLE', `Cannot read "${path}": ${why} (way out: mend it and run again)`, options)
    : new UnavailableError('SOURCE_UNAVAILABLE', `Cannot read "${path}": ${why}`, options);
}

/** The error of a file that is found and must not be read, or cannot be. */
export function refusalOf(name: string, why: string): HaltError {
  return new HaltError('SOURCE_UNAVAILABLE', `Cannot read "${name}": ${why} (way out: mend it and run again)`);
}

function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException | null)?.code ?? '';
}
