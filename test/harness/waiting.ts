/** Waiting for something to become true, with a deadline that fails the test instead of hanging it. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Asks again and again until the answer is true.
 * @throws with `what` when `timeoutMs` pass first.
 */
export async function eventually(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) {
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await pause(10);
  }
}

/** True when this run should be long: RESTANTE_TEST_SIZE=full. */
export const isFullSize = process.env.RESTANTE_TEST_SIZE === "full";
