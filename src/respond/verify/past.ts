import type { ControlEntry } from '../../ledger/control-entry.ts';
import type { BatchEntry } from '../../ledger/partition-entry.ts';
import { parseLogId } from '../../record/log-id.ts';

/** What the control log has said up to some entry, beyond what its state keeps. */
export class Past {
  /** Seqs of `resume` entries. */
  readonly resumes: number[] = [];
  /** Each as `topic sha256`. */
  readonly #schemas = new Set<string>();
  /** Baselines by topic that were learned under the schema that is pinned. */
  readonly #learned = new Map<string, Set<string>>();
  readonly #approved = new Set<string>();
  /** Newest verdict of the publisher by entry digest. */
  readonly #verdicts = new Map<string, { readonly outcome: 'clean' | 'suspect'; readonly topic: string | undefined }>();
  /** Entry digests of what has been published, rightly, since the last rollback or in what that went back to. */
  readonly #published = new Set<string>();
  /** Newest decision by entry digest. */
  readonly #decisions = new Map<string, 'released' | 'condemned'>();

  note(entry: ControlEntry): void {
    if (entry.kind === 'schema') {
      this.#schemas.add(`${entry.topic} ${entry.schema}`);
      this.#learned.delete(entry.topic);
    }
    if (entry.kind === 'schema' || entry.kind === 'approve') this.#voidClean(entry.topic);
    if (entry.kind === 'learn')
      this.#learned.set(entry.topic, new Set(this.#learned.get(entry.topic)).add(entry.baseline));
    if (entry.kind === 'approve') this.#approved.add(`${entry.topic} ${entry.baseline}`);
    if (entry.kind === 'resume') this.resumes.push(entry.seq);
    if (entry.kind === 'verdict')
      for (const { digest, log } of entry.batches)
        this.#verdicts.set(digest, { outcome: entry.outcome, topic: parseLogId(log)?.topic });

    if (entry.kind === 'decision') this.#decisions.set(entry.batch.digest, entry.outcome);
  }

  /**
   * A rollback voids releases and verdicts on all but what its target holds.
   * @param published entry digests of what is in the target's dataset. @param kept of that, and of what it holds back
   */
  rollBack(published: ReadonlySet<string>, kept: ReadonlySet<string>): void {
    for (const digest of this.#published) if (!published.has(digest)) this.#published.delete(digest);
    for (const digest of this.#verdicts.keys()) if (!kept.has(digest)) this.#verdicts.delete(digest);
    for (const [digest, outcome] of this.#decisions)
      if (outcome === 'released' && !kept.has(digest)) this.#decisions.delete(digest);
  }

  /**
   * The promise of the product: judged clean, released by a person, or let through in observe mode; never condemned. Its own
   * verdict counts only by a baseline that was in force at the publish, or at the one before.
   * @param inForce baselines of its topic at those two
   */
  publish(
    digest: string,
    { mode, verdict, baseline }: Pick<BatchEntry, 'mode' | 'verdict' | 'baseline'>,
    inForce: readonly (string | undefined)[],
  ): boolean {
    const decision = this.#decisions.get(digest);
    if (decision === 'condemned') return false;
    const isStale = baseline !== null && !inForce.includes(baseline);
    const judged = this.#verdicts.get(digest)?.outcome ?? (isStale ? 'stale' : verdict);
    const isRight = decision === 'released' || mode === 'observe' || judged === 'clean' || this.#published.has(digest);
    if (isRight) this.#published.add(digest);
    return isRight;
  }

  /** What was called clean by a baseline that is out of force now, and was not published on it. */
  #voidClean(topic: string): void {
    for (const [digest, verdict] of this.#verdicts)
      if (verdict.topic === topic && verdict.outcome === 'clean' && !this.#published.has(digest))
        this.#verdicts.delete(digest);
  }

  isPinned(topic: string, schema: string): boolean {
    return this.#schemas.has(`${topic} ${schema}`);
  }

  /** True when it was learned under the schema that is pinned now. */
  isLearned(topic: string, baseline: string): boolean {
    return this.#learned.get(topic)?.has(baseline) === true;
  }

  isApproved(topic: string, baseline: string): boolean {
    return this.#approved.has(`${topic} ${baseline}`);
  }
}
