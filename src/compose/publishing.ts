import type { LoadedConfig } from '../config/load.ts';
import { JUDGE_DEFAULTS, type JudgeSettings } from '../detect/verdict.ts';
import { NewsFinder } from '../publish/news.ts';
import { Publisher } from '../publish/publisher.ts';
import type { Rejudge } from '../publish/reconsider.ts';
import { makeRejudge } from '../publish/rejudge.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';
import { actorName, openKey } from './ledger.ts';

/** How batches are judged. */
export function judgeSettings({ config }: LoadedConfig): JudgeSettings {
  return { ...JUDGE_DEFAULTS, budget: config.judge.falseAlarmBudget, recordsMin: config.judge.recordsMin };
}

/** Re-judging of stored batches as the publisher and `resume` do it. */
export function openRejudge(loaded: LoadedConfig, { store, layout, clock }: LedgerContext): Rejudge {
  return makeRejudge({ store, layout, clock, settings: judgeSettings(loaded) });
}

/** What is new in the partition logs, for one reader. */
export function openNews({ config }: LoadedConfig, { store, layout, logs, clock }: LedgerContext): NewsFinder {
  return new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: config.publish.fullWalkIntervalMs });
}

/** The publisher of the configured ref. @throws ConfigError */
export async function openPublisher(loaded: LoadedConfig, ledger: LedgerContext): Promise<Publisher> {
  const { store, layout, logs, control, snapshots, clock } = ledger;
  const { ref } = loaded.config.publish;
  const signer = await openKey(loaded, ledger.trust, 'publisher');
  const news = openNews(loaded, ledger);
  const by = actorName();
  return new Publisher({
    store,
    layout,
    logs,
    control,
    snapshots,
    news,
    signer,
    clock,
    pipeline: loaded.config.pipeline,
    ref,
    by,
    rejudge: openRejudge(loaded, ledger),
  });
}
