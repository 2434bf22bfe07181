import type { ControlEntry } from '../../ledger/control-entry.ts';
import type { BatchEntry } from '../../ledger/partition-entry.ts';

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
  readonly #verdicts = new Map<string, 'clean' | 'suspect'>();
  /** Newest decision by entry digest. */
  readonly #decisions = new Map<string, 'released' | 'condemned'>();

  note(entry: ControlEntry): void {
    if (entry.kind === 'schema') {
      this.#schemas.add(`${entry.topic} ${entry.schema}`);
      this.#learned.delete(entry.topic);
    }
    if (entry.kind === 'learn')
      this.#learned.set(entry.topic, new Set(this.#learned.get(entry.topic)).add(entry.baseline));
    if (entry.kind === 'approve') this.#approved.add(`${entry.topic} ${entry.baseline}`);
    if (entry.kind === 'resume') this.resumes.push(entry.seq);
    if (entry.kind === 'verdict') for (const { digest } of entry.batches) this.#verdicts.set(digest, entry.outcome);
    if (entry.kind === 'decision') this.#decisions.set(entry.batch.digest, entry.outcome);
  }

  /** A rollback voids releases and verdicts on all but what its target holds. @param kept entry digests of that. */
  rollBack(kept: ReadonlySet<string>): void {
    for (const digest of this.#verdicts.keys()) if (!kept.has(digest)) this.#verdicts.delete(digest);
    for (const [digest, outcome] of this.#decisions)
      if (outcome === 'released' && !kept.has(digest)) this.#decisions.delete(digest);
  }

  /** The promise of the product: judged clean, released by a person, or let through in observe mode; never condemned. */
  mayBePublished(digest: string, { mode, verdict }: Pick<BatchEntry, 'mode' | 'verdict'>): boolean {
    const decision = this.#decisions.get(digest);
    if (decision !== undefined) return decision === 'released';
    return mode === 'observe' || (this.#verdicts.get(digest) ?? verdict) === 'clean';
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
