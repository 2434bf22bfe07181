/**
 * Small texts that this machine keeps outside of the store, by name: what it remembers across restarts.
 *
 * Contract: `write` replaces a text as a whole, and a crash leaves the old one or the new one; processes may write one name
 * at once, the last one wins. Names match `[a-z0-9][a-z0-9.-]*`.
 * Trust: whoever can write there can make this machine forget or refuse, not believe in an unsigned entry.
 */
export interface LocalState {
  /** Address of a text, for messages. */
  locate(name: string): string;
  /** The text; null when there is none. @throws ConfigError STATE_UNUSABLE */
  read(name: string): Promise<string | null>;
  /** @throws ConfigError STATE_UNUSABLE, after which the text is as it was */
  write(name: string, text: string): Promise<void>;
  /**
   * Finds out whether texts can be written and made durable, by doing it once.
   * @throws ConfigError STATE_UNUSABLE
   */
  assertWritable(): Promise<void>;
}
