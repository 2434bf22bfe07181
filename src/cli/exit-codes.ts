import { ConfigError, HaltError, IntegrityError, NotFoundError, RequestError, type HeadgateError } from '../errors.ts';

/** Exit codes of every command; scripts rely on them. */
export const EXIT = {
  ok: 0,
  /** Refused by policy (gate) or suspect (judge). */
  refused: 1,
  tampered: 2,
  stale: 3,
  unavailable: 4,
  halted: 5,
  usage: 64,
  config: 78,
  interrupted: 130,
} as const;

/** The exit code that an error class means. */
export function exitCodeOf(error: HeadgateError): number {
  if (error instanceof ConfigError) return EXIT.config;
  if (error instanceof IntegrityError) return EXIT.tampered;
  if (error instanceof HaltError) return EXIT.halted;
  if (error instanceof RequestError || error instanceof NotFoundError) return EXIT.usage;
  return EXIT.unavailable;
}
