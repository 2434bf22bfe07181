import { setImmediate } from 'node:timers/promises';

/** What Node would write to standard error while `work` runs: that something leaks, or will go away. */
export async function warningsOf(work: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const note = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
  process.on('warning', note);
  try {
    await work();
    // Warnings are told in the next turn.
    await setImmediate();
  } finally {
    process.off('warning', note);
  }
  return warnings;
}
