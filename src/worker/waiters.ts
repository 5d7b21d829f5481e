/**
 * Who waits for a batch to be on disk: publishers on this worker and on others. Part of the batch's company.
 *
 * ```
 *   [worker · origin · sequence] …        worker JOIN: origin is a place in `Joins`
 * ```
 */
export const JOIN = 0xffff;

export class Waiters {
  #workers = new Uint16Array(256);
  #origins = new Uint32Array(256);
  #sequences = new Uint32Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(worker: number, origin: number, sequence: number): void {
    if (this.#length === this.#workers.length) this.#grow();
    this.#workers[this.#length] = worker;
    this.#origins[this.#length] = origin;
    this.#sequences[this.#length] = sequence;
    this.#length += 1;
  }

  /** Tells everyone, in the order in which they were added, and empties the set. */
  drain(answer: (worker: number, origin: number, sequence: number) => void): void {
    const length = this.#length;
    for (let index = 0; index < length; index += 1) {
      answer(this.#workers[index]!, this.#origins[index]!, this.#sequences[index]!);
    }
    this.#length = 0;
  }

  #grow(): void {
    const capacity = this.#workers.length * 2;
    const workers = new Uint16Array(capacity);
    const origins = new Uint32Array(capacity);
    const sequences = new Uint32Array(capacity);
    workers.set(this.#workers);
    origins.set(this.#origins);
    sequences.set(this.#sequences);
    this.#workers = workers;
    this.#origins = origins;
    this.#sequences = sequences;
  }
}

/** Answers to another worker that need several partitions of this one: one STORED when the last is done. */
export class Joins {
  readonly #entries: { worker: number; origin: number; sequence: number; pending: number; reason: number }[] = [];
  readonly #free: number[] = [];

  /** A place for an answer that `pending` partitions owe; `reason` is the worst that is known already. */
  open(worker: number, origin: number, sequence: number, pending: number, reason: number): number {
    const place = this.#free.pop() ?? this.#entries.length;
    this.#entries[place] = { worker, origin, sequence, pending, reason };
    return place;
  }

  /** One partition is done; `answer` when it was the last. */
  resolve(
    place: number,
    reason: number,
    answer: (worker: number, origin: number, sequence: number, reason: number) => void,
  ): void {
    const entry = this.#entries[place];
    if (entry === undefined) return;
    entry.reason = Math.max(entry.reason, reason);
    entry.pending -= 1;
    if (entry.pending > 0) return;
    this.#free.push(place);
    answer(entry.worker, entry.origin, entry.sequence, entry.reason);
  }
}
