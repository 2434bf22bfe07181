import { basename, relative } from 'node:path';

/** How this process was started. */
export interface Start {
  /** Name of the npm script that this process is; `npx` for npx; undefined when npm did not start it. */
  readonly npmEvent: string | undefined;
  /** The script that Node runs, an absolute path. */
  readonly script: string | undefined;
  /** Folder that it was started in. */
  readonly folder: string;
}

/** How the user can call this program. */
export interface Called {
  readonly program: string;
  /** Its demo, for which there is an npm script as well. */
  readonly demo: string;
}

/** How the user can call this program again, and its demo: what npm or Node runs is not on the shell's path. */
export function calledAs({ npmEvent, script, folder }: Start): Called {
  if (npmEvent !== undefined)
    return { program: 'npx headgate', demo: npmEvent === 'demo' ? 'npm run demo --' : 'npx headgate demo' };
  const program =
    script === undefined || basename(script) !== 'main.js' ? 'headgate' : `node ${shellWord(near(folder, script))}`;
  return { program, demo: `${program} demo` };
}

/** Every command, so that nothing else that begins with our name is taken for one. */
export const COMMANDS = [
  'init',
  'demo',
  'doctor',
  'run',
  'ingest',
  'publish',
  'worker',
  'status',
  'log',
  'show',
  'mode',
  'schema',
  'baseline',
  'quarantine',
  'hold',
  'resume',
  'rollback',
  'diff',
  'verify',
  'gate',
  'pull',
  'keys',
] as const;

const QUOTED_OR_COMMAND = new RegExp(
  String.raw`"[^"\n]*"|(?<=^|[\s(])headgate (?=(${COMMANDS.join('|')})(?![\w.:/@%-]))`,
  'g',
);

/** Commands that read no configuration. */
const WITHOUT_CONFIG: ReadonlySet<string | undefined> = new Set(['init', 'demo', 'keys']);

/**
 * A sentence with every `headgate COMMAND` in it as the user can call it. Names that it quotes stay as they are, whatever
 * they are.
 * @param program as {@link Called.program}
 * @param config the configuration that was named with --config, without which a command would act on another pipeline; null
 *   if none was
 */
export function withProgram(sentence: string, program: string, config: string | null = null): string {
  const option = config === null ? '' : `--config ${shellWord(config)} `;
  return sentence.replace(QUOTED_OR_COMMAND, (found, command?: string) =>
    found.startsWith('"') ? found : `${program} ${WITHOUT_CONFIG.has(command) ? '' : option}`,
  );
}

/** A text as one word of a command line. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The shorter way to a file that lies below the folder; otherwise its path. */
function near(folder: string, path: string): string {
  const way = relative(folder, path);
  return way.startsWith('..') ? path : way;
}
