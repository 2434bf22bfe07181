/** Entries of a log from `from` up to, not including, `to`; from < to. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The fewest ranges that cover others, lowest first, apart from each other.
 * @param max where there are more, those with the least between them become one, and cover that too; ≥ 1.
 */
export function joinRanges(ranges: readonly SeqRange[], max: number): SeqRange[] {
  const apart: SeqRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = apart.at(-1);
    if (last === undefined || range.from > last.to) apart.push(range);
    else apart.splice(-1, 1, { from: last.from, to: Math.max(last.to, range.to) });
  }
  if (apart.length <= max) return apart;
  const gaps = apart.slice(1).map(({ from }, i) => ({ start: i + 1, width: from - apart[i]!.to }));
  const starts = gaps.toSorted((a, b) => b.width - a.width).slice(0, max - 1);
  const cuts = [0, ...starts.map(({ start }) => start).toSorted((a, b) => a - b), apart.length];
  return cuts.slice(1).map((end, i) => ({ from: apart[cuts[i]!]!.from, to: apart[end - 1]!.to }));
}
