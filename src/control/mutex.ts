/** One after the other: tasks run in the order in which they came, each when the one before has ended, well or not. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined); // Its fault is its caller's; the next task only waits.
    return result;
  }
}
