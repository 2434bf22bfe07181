import type { ChunkSpan, SkipReason } from '../../record/chunk.ts';

/** The spans of a chunk while it is built: they meet without a gap, and neighbours that say the same are one. */
export class SpanList {
  readonly from: number;
  readonly #spans: ChunkSpan[] = [];
  /** The last span, open at its end. */
  #start: number;
  #end: number;
  #leaderEpoch: number | null = null;
  #skip: SkipReason | null = null;

  /** @param from first offset that the chunk accounts for */
  constructor(from: number) {
    this.from = from;
    this.#start = from;
    this.#end = from;
  }

  /** Past the last offset accounted for. */
  get end(): number {
    return this.#end;
  }

  /** Accounts for the offsets up to `to`: those before `from` were compacted away, since the broker skipped them. */
  add(from: number, to: number, leaderEpoch: number | null, skip: SkipReason | null): void {
    if (from > this.#end) this.#append(from, null, 'compacted');
    if (to > this.#end) this.#append(to, leaderEpoch, skip);
  }

  finish(): readonly ChunkSpan[] {
    this.#flush();
    this.#start = this.#end;
    return this.#spans;
  }

  #append(to: number, leaderEpoch: number | null, skip: SkipReason | null): void {
    if (leaderEpoch !== this.#leaderEpoch || skip !== this.#skip) {
      this.#flush();
      this.#start = this.#end;
      this.#leaderEpoch = leaderEpoch;
      this.#skip = skip;
    }
    this.#end = to;
  }

  #flush(): void {
    if (this.#end === this.#start) return;
    this.#spans.push({ from: this.#start, to: this.#end, leaderEpoch: this.#leaderEpoch, skip: this.#skip });
  }
}
