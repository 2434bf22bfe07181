import type { ControlEntry } from '../../ledger/control-entry.ts';
import type { VerifiedControlEntry } from '../../ledger/control-log.ts';
import { actFault, rolesOf } from '../../ledger/control-rules.ts';
import { EMPTY_STATE, applyAct, stateDigest, type ControlState } from '../../ledger/control-state.ts';
import { isFarAhead, timeFault } from '../../ledger/entry-time.ts';
import { BYTES_MAX } from '../../ledger/layout.ts';
import { firstBehind } from '../../ledger/listing.ts';
import { parseLogId } from '../../record/log-id.ts';
import type { LedgerContext } from '../ledger-context.ts';
import type { Findings } from './findings.ts';
import { noteStrays, type LogIndex } from './partition-logs.ts';
import { Past } from './past.ts';
import { SnapshotVerification } from './snapshots.ts';

/**
 * Replays the control log: every entry must follow from the one before, be allowed there, state what results from it, and
 * name objects, batches and snapshots that are as it says.
 */
export class ControlVerification {
  entries = 0;
  /** Time of the newest entry; null before the first. */
  newestTime: string | null = null;
  /** What a person should know, and is no problem. */
  readonly warnings: string[] = [];
  readonly #ledger: LedgerContext;
  readonly #findings: Findings;
  readonly #index: LogIndex;
  readonly #snapshots: SnapshotVerification;
  readonly #past = new Past();
  readonly #ahead: { readonly key: string; readonly time: string; readonly controlSeq: number }[] = [];
  /** The newest act of a person that is not dated ahead. */
  #acted: Extract<ControlEntry, { kind: 'hold' | 'resume' }> | null = null;
  #state: ControlState = EMPTY_STATE;

  constructor(ledger: LedgerContext, findings: Findings, index: LogIndex) {
    this.#ledger = ledger;
    this.#findings = findings;
    this.#index = index;
    this.#snapshots = new SnapshotVerification(ledger, findings, index, this.#past);
  }

  /** @throws UnavailableError */
  async verify(signal: AbortSignal): Promise<void> {
    const { layout, control } = this.#ledger;
    const sound = await this.#findings.guard(layout.control(), async () => {
      for await (const verified of control.walk()) {
        if (signal.aborted) return;
        await this.#entry(verified);
        this.entries++;
      }
      await this.#assertEnd();
    });
    await noteStrays({ ledger: this.#ledger, findings: this.#findings, signal }, layout.control(), (key) =>
      layout.isControlEntry(key),
    );
    this.#datedAhead();
    if (signal.aborted || !sound) return;
    this.#logsAgree();
    for (const sha256 of new Set(Object.values(this.#state.refs))) await this.#snapshots.covers(sha256, this.#state);
  }

  async #entry({ entry, keyId, key }: VerifiedControlEntry): Promise<void> {
    const { layout, clock, trust } = this.#ledger;
    await this.#findings.guard(key, async () => trust.assertRole(keyId, rolesOf(this.#state, entry), key));
    const isAhead = isFarAhead(entry.time, clock.now());
    if (isAhead) this.#ahead.push({ key, time: entry.time, controlSeq: entry.seq });
    else if (entry.kind === 'hold' || entry.kind === 'resume') this.#acted = entry;
    const time = isAhead ? null : timeFault(entry.time, clock.now());
    const fault = actFault(this.#state, entry) ?? (await this.#reference(entry)) ?? time;
    if (fault !== null) this.#findings.found(key, 'CHAIN_BROKEN', fault);
    if (entry.kind === 'publish') await this.#snapshots.published(entry, key, this.#state);
    if (entry.kind === 'rollback') await this.#snapshots.rolledBack(entry, key, this.#state);
    this.#state = applyAct(this.#state, entry, entry.seq);
    if (stateDigest(this.#state) !== entry.state)
      this.#findings.found(key, 'CHAIN_BROKEN', 'the state it names does not follow from the entries before it');
    await this.#findings.object(layout.state(entry.state), entry.state, BYTES_MAX.state);
    await this.#namedBy(entry);
    this.newestTime = entry.time;
    this.#past.note(entry);
    if (entry.kind === 'decision' && entry.outcome === 'condemned')
      this.#snapshots.condemned(entry.batch.log, entry.batch.digest);
  }

  /**
   * An entry that is dated far ahead would be fresh for ever, if it were the newest (matrix M29). Behind one, a person who holds
   * or resumes a ref under a right clock says that it was a clock: it stays told of, and is no tampering any more.
   */
  #datedAhead(): void {
    const acted = this.#acted;
    const all = [...this.#index.ahead, ...this.#ahead];
    const open = all.filter(({ controlSeq }) => acted === null || controlSeq >= acted.seq);
    for (const { key, time } of open)
      this.#findings.found(key, 'CHAIN_BROKEN', timeFault(time, this.#ledger.clock.now()) ?? '');
    const known = all.filter((each) => !open.includes(each));
    const [first] = known;
    if (acted !== null && first !== undefined)
      this.warnings.push(
        `${known.length === 1 ? '1 entry is' : `${known.length} entries are`} dated more than a day ahead of this machine's clock, first ${first.key} (${first.time}); ${acted.by} has acted since (control entry ${acted.seq}, "${acted.reason}")`,
      );
  }

  /** Objects that an entry names beside the state and a snapshot. */
  async #namedBy(entry: ControlEntry): Promise<void> {
    const { layout } = this.#ledger;
    if (entry.kind === 'schema')
      await this.#findings.object(layout.schema(entry.schema), entry.schema, BYTES_MAX.schema);
    if (entry.kind === 'learn')
      await this.#findings.object(layout.baseline(entry.baseline), entry.baseline, BYTES_MAX.baseline);
    if (entry.kind === 'verdict')
      await this.#findings.object(layout.judgement(entry.evidence), entry.evidence, BYTES_MAX.evidence);
  }

  /**
   * Why what an entry refers to is not there; null if it is. A slot that is gone is a problem of its own, and logs that could
   * not be read to their end are not asked.
   */
  async #reference(entry: ControlEntry): Promise<string | null> {
    if (entry.kind === 'approve' && !this.#past.isLearned(entry.topic, entry.baseline))
      return `it approves baseline ${entry.baseline}, which was not learned before under the pinned schema`;
    const batches = entry.kind === 'verdict' ? entry.batches : entry.kind === 'decision' ? [entry.batch] : [];
    for (const { log, slot, digest } of batches) {
      const indexed = this.#index.logs.get(log);
      if (indexed?.sound === false || indexed?.digests[slot] === digest) continue;
      const id = parseLogId(log);
      if (id === undefined || indexed?.digests[slot] !== undefined)
        return `it speaks of slot ${slot} of "${log}", which is another entry`;
      const key = this.#ledger.layout.slot(id, slot);
      // What is there lies behind something that could not be read, and is noted with that.
      if ((await this.#ledger.store.stat(key)) === null)
        this.#findings.found(key, 'SLOT_MISSING', `it is missing although control entry ${entry.seq} speaks of it`);
    }
    return null;
  }

  /** The end is the end only if nothing lies behind it, and nobody had read more. */
  async #assertEnd(): Promise<void> {
    const { layout, store } = this.#ledger;
    const missing = layout.controlEntry(this.entries);
    const later = await firstBehind(store, layout.control(), missing, (key) => layout.isControlEntry(key));
    const { newestControl } = this.#index;
    const witness =
      later ?? (newestControl !== null && newestControl.seq >= this.entries ? newestControl.key : undefined);
    if (witness === undefined) return;
    const why = later !== null ? 'exists' : `was written by one who had read entry ${newestControl!.seq}`;
    this.#findings.found(missing, 'SLOT_MISSING', `it is missing although "${witness}" ${why}`);
  }

  /** What batches claim about the control log must be true. */
  #logsAgree(): void {
    const { layout } = this.#ledger;
    for (const { log, batches } of this.#index.logs.values()) {
      for (const { slot, digest } of batches) {
        const { schema, baseline, data } = this.#index.batches.get(digest)!;
        const key = layout.slot(log, slot);
        // Where no record was decoded, none was decoded by it.
        if (data !== null && !this.#past.isPinned(log.topic, schema))
          this.#findings.found(key, 'CHAIN_BROKEN', `it was decoded by schema ${schema}, which was never pinned`);
        if (baseline !== null && !this.#past.isApproved(log.topic, baseline))
          this.#findings.found(key, 'CHAIN_BROKEN', `it was judged by baseline ${baseline}, which was never approved`);
      }
    }
    for (const { key, haltedAt, controlSeq } of this.#index.afterHalts) {
      if (!this.#past.resumes.some((seq) => seq > haltedAt && seq <= controlSeq))
        this.#findings.found(key, 'CHAIN_BROKEN', `it follows a batch that halted its log, and nobody has resumed it`);
    }
  }
}
