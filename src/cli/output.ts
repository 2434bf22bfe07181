import { HeadgateError } from '../errors.ts';
import { escapeForTerminal } from '../observe/terminal.ts';
import { withProgram } from './called-as.ts';

/** A stream that may be a terminal. */
export type TextStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const REMIND_MS = 30_000;
/** Different lines that are remembered. */
const REMINDED_MAX = 1_000;

/**
 * Everything a command says. Results go to standard output, as text for people or as one JSON value a line; progress and
 * messages go to standard error.
 * Commands that messages name are told as the user can call them. Results may repeat what others wrote, so that their own
 * sentences say so by {@link called}; JSON keeps the plain name, since programs and other machines read it.
 * Trust: texts may hold names from outside (topics, files, columns); what a terminal would act on is escaped.
 */
export class Output {
  readonly json: boolean;
  readonly #out: TextStream;
  readonly #err: TextStream;
  #progressShown = false;
  readonly #reminded = new Map<string, number>();
  readonly #program: string;
  #config: string | null = null;

  /** @param program how the user can call this program. */
  constructor(out: TextStream, err: TextStream, json: boolean, program = 'headgate') {
    this.#out = out;
    this.#err = err;
    this.json = json;
    this.#program = program;
  }

  /** True when progress can be drawn. */
  get interactive(): boolean {
    return this.#err.isTTY === true && !this.json;
  }

  /** The stream for messages, for channels that write by themselves. */
  get messages(): TextStream {
    return this.#err;
  }

  /** A sentence of ours with each `headgate COMMAND` in it as the user can call it. */
  called(sentence: string): string {
    return withProgram(sentence, this.#program, this.#config);
  }

  /** From now on, commands are told with the configuration that this one was called with. @param path null if none was named */
  nameConfig(path: string | null): void {
    this.#config = path;
  }

  /** The command's result: `value` with --json, otherwise `lines`. */
  result(value: unknown, lines: readonly string[]): void {
    this.clearProgress();
    if (this.json) this.#out.write(`${JSON.stringify(value)}\n`);
    else for (const line of lines) this.#out.write(`${escapeForTerminal(line)}\n`);
  }

  /**
   * Rows of text in columns; on a terminal that is too narrow for them, each row as a block of lines `name: value`, and a blank
   * line between. Programs that read it always get columns.
   * @param names of the columns; '' for one whose cells say by themselves what they are. @param isTitled true if they stand above the columns, too
   */
  table(names: readonly string[], rows: readonly (readonly string[])[], isTitled = false): string[] {
    const lines = table(isTitled ? [names, ...rows] : rows);
    const { isTTY = false, columns = 80 } = this.#out;
    if (!isTTY || lines.every((line) => line.length <= columns)) return lines;
    return rows.flatMap((row, i) => [
      ...(i === 0 ? [] : ['']),
      ...row.flatMap((cell, at) => (cell === '' ? [] : [`${names[at] === '' ? '' : `${names[at]}: `}${cell.trim()}`])),
    ]);
  }

  /** A line for people while the command goes on; nothing with --json. */
  say(line: string): void {
    if (this.json) return;
    this.clearProgress();
    this.#out.write(`${escapeForTerminal(line)}\n`);
  }

  /** Something a person should know; never part of the result. */
  note(line: string): void {
    this.clearProgress();
    this.#err.write(`${escapeForTerminal(this.called(line))}\n`);
  }

  /**
   * Something that fails for now and is tried again: as {@link note}, but at most every 30 seconds.
   * @param about what counts as the same thing; by default the line itself
   */
  remind(line: string, about = line): void {
    const now = performance.now();
    const last = this.#reminded.get(about);
    if (last !== undefined && now - last < REMIND_MS) return;
    if (this.#reminded.size >= REMINDED_MAX) this.#reminded.clear();
    this.#reminded.set(about, now);
    this.note(line);
  }

  /** Replaces the progress line of a terminal; elsewhere nothing. */
  progress(line: string): void {
    if (!this.interactive) return;
    const width = (this.#err.columns ?? 80) - 1;
    this.#err.write(`\r\u001b[2K${escapeForTerminal(line).slice(0, width)}`);
    this.#progressShown = true;
  }

  clearProgress(): void {
    if (!this.#progressShown) return;
    this.#err.write('\r\u001b[2K');
    this.#progressShown = false;
  }

  /** Reports an error: one JSON object with --json (matrix C12), otherwise the message. */
  error(error: Error): void {
    this.clearProgress();
    if (this.json) this.#out.write(`${JSON.stringify({ ok: false, error: errorValue(error) })}\n`);
    else this.#err.write(`headgate: ${this.called(error.message).split('\n').map(escapeForTerminal).join('\n')}\n`);
  }
}

function errorValue(error: Error): Record<string, unknown> {
  if (!(error instanceof HeadgateError)) return { code: 'INTERNAL', message: error.message };
  const faults = 'faults' in error ? { faults: error.faults } : {};
  const object = 'object' in error ? { object: error.object } : {};
  return { code: error.code, message: error.message, ...object, ...faults };
}

/** Columns of text, left-aligned, two spaces between. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

/** `12,345`. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 batch`, `2,000 records`. */
export function counted(count: number, noun: string): string {
  const plural = /[^aeiou]y$/.test(noun)
    ? `${noun.slice(0, -1)}ies`
    : `${noun}${/(s|x|ch|sh)$/.test(noun) ? 'es' : 's'}`;
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** `1.5 MB`, in powers of 1,000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
