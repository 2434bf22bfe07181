import { ConfigError, HaltError, IntegrityError, NotFoundError, RequestError, type HeadgateError } from '../errors.ts';

/** Exit codes of every command; scripts rely on them. */
export const EXIT = {
  ok: 0,
  refused: 1,
  tampered: 2,
  stale: 3,
  unavailable: 4,
  halted: 5,
  usage: 64,
  config: 78,
  interrupted: 130,
  terminated: 143,
} as const;

/** What each code means, for the help and the reference. */
const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done; also when run or ingest hold suspect batches back: that is their work',
  refused: 'gate or pull refuses the ref; the demo did not go as told',
  tampered: 'tampering found, or the store contradicts itself or what this machine saw of it',
  stale: 'gate: the newest control entry is older than --max-age',
  unavailable: 'the store, the source, the queue or a file could not be used, or Headgate itself failed',
  halted: 'a partition stopped itself because going on could lose or forge something',
  usage: 'the command line or the request cannot be carried out as it stands',
  config: 'configuration, key or trust file cannot be used',
  interrupted: 'interrupted (SIGINT)',
  terminated:
    'told to stop (SIGTERM) before what was asked for was signed; run and its like end with the code of their work',
};

/** The list of exit codes, one a line, code first. */
export function describeExitCodes(): string[] {
  const codes = Object.entries(EXIT) as [keyof typeof EXIT, number][];
  return codes.map(([name, code]) => `${String(code).padEnd(3)}  ${MEANINGS[name]}`);
}

/** The exit code that an error class means. */
export function exitCodeOf(error: HeadgateError): number {
  if (error instanceof ConfigError) return EXIT.config;
  if (error instanceof IntegrityError) return EXIT.tampered;
  if (error instanceof HaltError) return EXIT.halted;
  if (error instanceof RequestError || error instanceof NotFoundError) return EXIT.usage;
  return EXIT.unavailable;
}
