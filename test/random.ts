/** What is random in the tests: the same in every run, so that a run which was green stays green until the code changes. */

/** RESTANTE_TEST_SEED=N draws other cases, by hand; every seed below is made from it. */
export const testSeed = Number(process.env.RESTANTE_TEST_SEED ?? 1);

/** Numbers in [0, 1) from a seed: Mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
