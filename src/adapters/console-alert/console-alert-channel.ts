import type { Writable } from 'node:stream';

import { UnavailableError } from '../../errors.ts';
import { escapeForTerminal, escapeJsonForTerminal } from '../../observe/terminal.ts';
import type { Alert, AlertChannel } from '../../ports/alert-channel.ts';

/** What a console channel is made of. */
export interface ConsoleAlertChannelOptions {
  /** Name from the configuration. */
  readonly name: string;
  /** Where lines go, e.g. standard error; never closed here. */
  readonly stream: Writable;
  /** `json` for programs, `human` for people. */
  readonly format: 'json' | 'human';
}

/**
 * One line per alert on a stream.
 * Trust: alerts hold names from outside (topics, sources, columns); no field can move the cursor, colour, reorder or hide text, or begin a line.
 */
export class ConsoleAlertChannel implements AlertChannel {
  readonly name: string;
  readonly #stream: Writable;
  readonly #format: 'json' | 'human';

  constructor(options: ConsoleAlertChannelOptions) {
    this.name = options.name;
    this.#stream = options.stream;
    this.#format = options.format;
    // A reader that goes away makes the stream emit 'error', which ends the process if nobody listens; deliver reports it.
    this.#stream.on('error', () => {});
  }

  async deliver(alert: Alert, signal: AbortSignal): Promise<void> {
    const line = this.#format === 'json' ? jsonLine(alert) : humanLine(alert);
    const failure = await write(this.#stream, `${line}\n`, signal);
    if (failure === null) return;
    throw new UnavailableError(
      'ALERT_UNDELIVERED',
      `Cannot write alert "${alert.id}" to channel "${this.name}": ${failure.message}`,
      {
        cause: failure,
        fields: { channel: this.name, permanent: false },
      },
    );
  }
}

function jsonLine(alert: Alert): string {
  const { id, type, subject, time, severity, summary, data } = alert;
  return escapeJsonForTerminal(JSON.stringify({ time, severity, type, subject, summary, id, data }));
}

function humanLine(alert: Alert): string {
  const { id, type, subject, time, severity, summary } = alert;
  return escapeForTerminal(`${time} ${severity.toUpperCase()} ${subject}: ${summary} (${type}, ${id})`);
}

/** Resolves with null once the stream took the line, or with what went wrong; a reader that never reads ends with `signal`. */
function write(stream: Writable, line: string, signal: AbortSignal): Promise<Error | null> {
  return new Promise((resolve) => {
    const finish = (failure: Error | null | undefined): void => {
      signal.removeEventListener('abort', stop);
      resolve(failure ?? null);
    };
    const stop = (): void => finish(new Error('stopped before the stream took the line'));
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    stream.write(line, finish);
  });
}
