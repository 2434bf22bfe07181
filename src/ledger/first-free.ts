/**
 * The first number that is free in a log without holes: doubling steps from where a hint says, then halving. That nothing lies
 * behind it is for the caller to check.
 * @param exists looks for an entry in the store.
 * @param hint where the newest entry may be; null = nobody knows. Trust: none is needed, a lie costs time.
 * Cost: O(log n) calls, n being the distance from the hint; two where the hint is right.
 */
export async function firstFree(exists: (at: number) => Promise<boolean>, hint: number | null): Promise<number> {
  const isUsable = hint !== null && Number.isSafeInteger(hint) && hint > 0;
  let low = isUsable && (await exists(hint)) ? hint : 0;
  if (low === 0 && !(await exists(0))) return 0;
  let step = 1;
  for (; await exists(low + step); step *= 2) low += step;
  let high = low + step;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await exists(middle)) low = middle;
    else high = middle;
  }
  return high;
}
