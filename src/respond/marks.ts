import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { IntegrityError, RequestError } from '../errors.ts';
import type { ControlHead, ControlLog } from '../ledger/control-log.ts';
import { Count, Sha256 } from '../ledger/stored-types.ts';
import type { LocalState } from '../ports/local-state.ts';
import { sha256Hex } from '../record/sha256.ts';

/** What is remembered of one ledger. */
const Mark = Type.Object({ seq: Count, digest: Sha256 }, { additionalProperties: false });
type Mark = Static<typeof Mark>;

/**
 * Remembers the newest control entry that this machine has seen of a store, outside the store. A store that later shows
 * an older or another one was rolled back or split: nobody who reads it alone could tell.
 */
export class Marks {
  readonly #state: LocalState;
  readonly #name: string;

  /** @param state where marks are kept. @param location and @param pipeline say which ledger. */
  constructor(state: LocalState, location: string, pipeline: string) {
    this.#state = state;
    this.#name = `${sha256Hex(Buffer.from(`${location}\n${pipeline}`, 'utf8')).slice(0, 32)}.json`;
  }

  /**
   * Checks the store's head against the mark and moves the mark forward.
   * @throws IntegrityError STORE_ROLLED_BACK with both heads; RequestError when the mark is no mark: to go on without it
   *   would be to trust the store blindly; ConfigError STATE_UNUSABLE when it cannot be read or written at all
   */
  async check(control: ControlLog, head: ControlHead): Promise<void> {
    const mark = await this.#read();
    // Also where there is nothing to remember yet: a process must not first find out when it matters.
    if (mark === null) await this.#state.assertWritable();
    else {
      const found = (await control.read(mark.seq))?.digest ?? 'nothing';
      if (found !== mark.digest) {
        throw new IntegrityError(
          'STORE_ROLLED_BACK',
          `control entry ${mark.seq}`,
          `Cannot trust the store: control entry ${mark.seq} was ${mark.digest} when this machine last looked, now it is ${found} (mend: put the newest copy of the store back; if an older one is all that is left, docs/operating/incident.md, "An older copy of the store", has the step that accepts it and what is lost; mark: ${this.#state.locate(this.#name)})`,
        );
      }
    }
    await this.#advance(mark, head);
  }

  /**
   * Moves the mark forward to what this process has read or written since, without a look at the store.
   * @throws RequestError, ConfigError as {@link check}
   */
  async remember(known: ControlHead): Promise<void> {
    await this.#advance(await this.#read(), known);
  }

  async #advance(mark: Mark | null, { newest }: ControlHead): Promise<void> {
    if (newest !== null && (mark === null || newest.entry.seq > mark.seq))
      await this.#state.write(this.#name, JSON.stringify({ seq: newest.entry.seq, digest: newest.digest }));
  }

  async #read(): Promise<Mark | null> {
    const text = await this.#state.read(this.#name);
    if (text === null) return null;
    try {
      const mark: unknown = JSON.parse(text);
      Value.Assert(Mark, mark);
      return mark;
    } catch (cause) {
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot read mark file "${this.#state.locate(this.#name)}" (mend: restore it; without it, this machine trusts whatever the store shows)`,
        { cause },
      );
    }
  }
}
