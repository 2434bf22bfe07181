import { HaltError, HeadgateError, IntegrityError, UncertainError, UnavailableError } from '../errors.ts';

/** True for trouble that passes by itself. */
export function isPassing(error: unknown): boolean {
  return (error instanceof UnavailableError || error instanceof UncertainError) && !(error instanceof IntegrityError);
}

/** The error that a partition halts with. A fault of our own says where it is, so that it can be reported. */
export function asHalt(name: string, error: unknown): HeadgateError {
  if (error instanceof HeadgateError) return error;
  const where = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new HaltError('INTERNAL', `Cannot go on with "${name}": ${where}`, { cause: error });
}
