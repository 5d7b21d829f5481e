/** A thread ended by itself: a bug, and the end of the process. */
export class ThreadFailure extends Error {
  override readonly name = "ThreadFailure";

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
