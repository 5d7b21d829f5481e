/** A broken invariant: a bug, never an expected failure. Reaching one stops the process. */
export class AssertionFault extends Error {
  override readonly name = "AssertionFault";
}

/** Asserts an invariant, in production too. `message` names the invariant, not the symptom. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}
