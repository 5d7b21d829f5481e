/**
 * Retained publishes by number: every worker counts its own, for each home of topics by itself, and sends each to that home, so that
 * the home takes them without a gap. What of them has been taken here tells who is ahead of whom.
 *
 * ```
 *   from \ home    0    1    2
 *       0          7    3    9      of worker 0 for topics that live on worker 1, the 3rd was the last taken here
 *       1          …                own row: how many there are
 * ```
 */
export class RetainedNumbers {
  readonly #worker: number;
  readonly #workers: number;
  readonly #taken: Float64Array;
  /** What the others have said of their own rows: it may be on its way here, or go elsewhere. */
  readonly #told: Float64Array;
  #snapshot: Float64Array | undefined;

  constructor(worker: number, workers: number) {
    this.#worker = worker;
    this.#workers = workers;
    this.#taken = new Float64Array(workers * workers);
    this.#told = new Float64Array(workers * workers);
  }

  /** The number of one that is published here. */
  next(home: number): number {
    const place = this.#worker * this.#workers + home;
    this.#snapshot = undefined;
    this.#taken[place]! += 1;
    return this.#taken[place]!;
  }

  /** One of another worker was taken. */
  take(from: number, home: number, number: number): void {
    this.#snapshot = undefined;
    this.#taken[from * this.#workers + home] = number;
  }

  /** How many were published here, by home. */
  get published(): number[] {
    const start = this.#worker * this.#workers;
    return [...this.#taken.subarray(start, start + this.#workers)];
  }

  /** Another worker has published so many by home. */
  onTold(from: number, published: readonly number[]): void {
    this.#told.set(published, from * this.#workers);
  }

  /** What has been taken by now, by worker and home; shared, it never changes. */
  get snapshot(): Float64Array {
    this.#snapshot ??= Float64Array.from(this.#taken);
    return this.#snapshot;
  }

  /** For topics of a home, by worker: what has been taken here. */
  takenOf(home: number): number[] {
    return Array.from({ length: this.#workers }, (_, from) => this.#taken[from * this.#workers + home]!);
  }

  /** For topics of a home, by worker: what is known to have been published. */
  knownOf(home: number): number[] {
    return this.takenOf(home).map((taken, from) => Math.max(taken, this.#told[from * this.#workers + home]!));
  }

  /** Whether what was taken here for topics of a home is all among this. */
  isWithin(home: number, taken: readonly number[]): boolean {
    return taken.every((number, from) => this.#taken[from * this.#workers + home]! <= number);
  }

  /** Whether this worker, a home, has taken all of this. */
  hasTaken(published: readonly number[]): boolean {
    return published.every((number, from) => this.#taken[from * this.#workers + this.#worker]! >= number);
  }
}
