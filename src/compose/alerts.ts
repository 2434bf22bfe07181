import { MemoryJobQueue } from '../adapters/memory-queue/memory-job-queue.ts';
import { systemClock } from '../adapters/system/clock.ts';
import { systemRng } from '../adapters/system/rng.ts';
import type { LoadedConfig } from '../config/load.ts';
import { topicConfig } from '../config/topic-config.ts';
import type { AlertChannel } from '../ports/alert-channel.ts';
import type { JobQueue } from '../ports/job-queue.ts';
import { sha256Hex } from '../record/sha256.ts';
import { CauseFinder } from '../respond/alert-causes.ts';
import { ALERT_JOB, AlertDesk } from '../respond/alerts.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';
import { openNews } from './publishing.ts';

/** What sends alerts, and what finds out which are owed. */
export interface OpenedAlerts {
  readonly desk: AlertDesk;
  readonly queue: JobQueue;
  readonly causes: CauseFinder;
}

/** Opens the queue and the channels of the alerts. @throws ConfigError, UnavailableError */
export async function openAlerts(
  loaded: LoadedConfig,
  ledger: LedgerContext,
  stream: NodeJS.WritableStream,
  isTty: boolean,
  onFailure: (message: string) => void,
): Promise<OpenedAlerts> {
  const { ref } = loaded.config.publish;
  const channels = await Promise.all(
    loaded.config.alerts.map((channel, i) => openChannel(loaded, channel, i, stream, isTty)),
  );
  const queue = await openQueue(loaded, onFailure);
  const desk = new AlertDesk({
    ledger,
    queue,
    channels,
    alertColumns: (topic) => topicConfig(loaded.config, topic).alertColumns,
  });
  return { desk, queue, causes: new CauseFinder(ledger, ref, openNews(loaded, ledger)) };
}

async function openQueue({ config }: LoadedConfig, onFailure: (message: string) => void): Promise<JobQueue> {
  const { url, attemptsMax } = config.queue;
  const { DEFAULT_JOB_RETRY_RULES } = await import('../ports/job-rules.ts');
  const common = {
    clock: systemClock,
    rng: systemRng,
    retryRules: { ...DEFAULT_JOB_RETRY_RULES, attemptsMax },
    onFailure: ({ error }: { readonly error: unknown }) =>
      onFailure(error instanceof Error ? error.message : String(error)),
  };
  if (url === null) return MemoryJobQueue.open(common);
  const { BullmqJobQueue } = await import('../adapters/bullmq/bullmq-job-queue.ts');
  return BullmqJobQueue.open({
    ...common,
    url,
    kinds: [ALERT_JOB],
    prefix: `headgate-${sha256Hex(Buffer.from(config.pipeline, 'utf8')).slice(0, 16)}`,
    onError: (error: Error) => onFailure(error.message),
  });
}

async function openChannel(
  { config }: LoadedConfig,
  channel: LoadedConfig['config']['alerts'][number],
  index: number,
  stream: NodeJS.WritableStream,
  isTty: boolean,
): Promise<AlertChannel> {
  if (channel.type === 'console') {
    const { ConsoleAlertChannel } = await import('../adapters/console-alert/console-alert-channel.ts');
    return new ConsoleAlertChannel({
      name: channel.name,
      stream: stream as NodeJS.WriteStream,
      format: isTty ? 'human' : 'json',
    });
  }
  const { WebhookChannel } = await import('../adapters/webhook/webhook-channel.ts');
  return new WebhookChannel({
    name: channel.name,
    url: channel.url!,
    secrets: channel.secrets!,
    source: `urn:headgate:${encodeURIComponent(config.pipeline)}`,
    configPath: `alerts/${index}`,
    clock: systemClock,
    allowPrivate: channel.allowPrivate ?? [],
  });
}
