/**
 * Who may go on: tasks of `run` alone, in the order in which they came; those of `share` together with others of `share`, behind every
 * `run` that came before. How a task ends, well or not, is its caller's; the others only wait.
 *
 * ```
 *   share share ─► run ─► run ─► share share share ─► run
 * ```
 */
export class Mutex {
  /** The end of the `run` that came last. */
  #last: Promise<unknown> = Promise.resolve();
  /** The ends of those of `share` that came since. */
  readonly #sharing = new Set<Promise<unknown>>();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = Promise.all([this.#last, ...this.#sharing]).then(task);
    this.#last = result.catch(() => undefined);
    this.#sharing.clear();
    return result;
  }

  share<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    const end: Promise<unknown> = result.catch(() => undefined).then(() => this.#sharing.delete(end));
    this.#sharing.add(end);
    return result;
  }
}

/** A mutex for each name, while somebody wants it. */
export class NamedMutexes {
  readonly #byName = new Map<string, Promise<unknown>>();

  run<T>(name: string, task: () => Promise<T>): Promise<T> {
    const result = (this.#byName.get(name) ?? Promise.resolve()).then(task);
    const end: Promise<unknown> = result
      .catch(() => undefined)
      .then(() => {
        if (this.#byName.get(name) === end) this.#byName.delete(name);
      });
    this.#byName.set(name, end);
    return result;
  }
}
