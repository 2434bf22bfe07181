/**
 * A small part of `names` that still fails: parts are left out, half of what is there at first, one name at the end, for as
 * long as what is left fails.
 * @param fails whether a run fails in which nothing else may happen. @param triesMax runs at most.
 * Source: ddmin, Zeller & Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002).
 */
export async function shrink(
  names: readonly string[],
  fails: (names: readonly string[]) => Promise<boolean>,
  triesMax: number,
): Promise<readonly string[]> {
  let left = names;
  let tries = 0;
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < left.length && tries < triesMax; tries++) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (await fails(without)) left = without;
      else at += size;
    }
  }
  return left;
}
