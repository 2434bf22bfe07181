import type { Clock } from '../../ports/clock.ts';
import type { JobQueue } from '../../ports/job-queue.ts';
import type { CommandContext } from '../context.ts';

/** Longest that a one-pass run waits for its alerts to be delivered, in ms. */
const ALERTS_WAIT_MS = 10_000;
const LOOK_MS = 50;

/** A one-pass run sends its alerts before it ends, but does not wait for ever for a channel that is away. */
export async function waitForAlerts(
  { output, stop }: Pick<CommandContext, 'output' | 'stop'>,
  clock: Clock,
  queue: Pick<JobQueue, 'depth'>,
): Promise<void> {
  const until = clock.monotonic() + ALERTS_WAIT_MS;
  const ask = (): Promise<number> => queue.depth().catch(() => 0);
  let owed = await ask();
  for (; owed > 0 && !stop.aborted && clock.monotonic() < until; owed = await ask()) await clock.sleep(LOOK_MS, stop);
  if (owed > 0) output.note(`alerts: ${owed} not delivered yet; the next run sends them, or headgate worker`);
}
