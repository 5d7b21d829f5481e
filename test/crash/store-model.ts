/** What a partition's store has to hold, as a model: it hears what was sealed in one life after another, and which seals are on disk. */

interface Change {
  readonly added?: number;
  readonly target?: number;
  readonly number?: number;
  readonly settled?: number;
  /** Of a put, `table/key`; without a value it is removed. */
  readonly key?: string;
  readonly value?: string;
}

/** A line that the child says. */
export interface Report {
  readonly sealed?: number;
  readonly changes?: readonly Change[];
  /** The batch's commit has resolved. */
  readonly stored?: number;
  readonly killedAt?: string;
  /** The newest message and the newest position so far. */
  readonly number?: number;
  readonly given?: number;
}

export class StoreModel {
  /** By position. */
  readonly live = new Map<number, { readonly position: number; readonly target: number; readonly number: number }>();
  /** Values in base64 by `table/key`. */
  readonly values = new Map<string, string>();
  /** Faults so far. */
  readonly faults: string[] = [];
  /** The number of the newest message. */
  number = 0;
  /** Batches on disk so far. */
  batches = 0;
  /** By queue and key: the newest value that was ever on disk. */
  readonly newest = new Map<string, number>();
  /** The key of a message of a last-value queue. */
  readonly #keyOf: (target: number, number: number) => string | undefined;
  /** The newest position that must not be given again. */
  #taken = -1;

  constructor(keyOf: (target: number, number: number) => string | undefined) {
    this.#keyOf = keyOf;
  }

  /** A life has ended; its store says that `last` is the newest batch on disk. */
  endLife(reports: readonly Report[], last: number): void {
    let given = this.#taken;
    let isAnyStored = false;
    for (const { sealed = 0, stored = 0, changes = [], ...report } of reports) {
      this.number = Math.max(this.number, report.number ?? 0);
      if (stored > last) this.faults.push(`batch ${stored} was on disk, and ${last} is the last one`);
      for (const { added } of changes) {
        if (added === undefined) continue;
        if (added <= given) this.faults.push(`position ${added} was given behind ${given}`);
        given = added;
      }
      if (sealed > last || sealed === 0) continue;
      isAnyStored = true;
      this.batches += 1;
      for (const change of changes) this.#apply(change);
    }
    const lost = reports.filter(({ sealed }) => sealed !== undefined && sealed > last);
    if (lost.length > 1) this.faults.push(`${lost.length} sealed batches are not on disk`);
    // Before the first commit of a life nobody is told a position, and the numbers of its batches are not reserved.
    if (isAnyStored) this.#taken = Math.max(given, ...reports.map((report) => report.given ?? 0));
  }

  /** Values of last-value queues that would follow a newer one. */
  stale(): string[] {
    const newestLive = new Map<string, number>();
    for (const { target, number } of this.records()) {
      const key = this.#keyOf(target, number);
      if (key !== undefined) newestLive.set(key, number);
    }
    const isStale = ([key, number]: [string, number]): boolean => number < this.newest.get(key)!;
    return [...newestLive].filter(isStale).map(([key, number]) => `${key}: ${number} behind ${this.newest.get(key)}`);
  }

  /** What is live, in order of position. */
  records(): { readonly position: number; readonly target: number; readonly number: number }[] {
    return [...this.live.values()].sort((one, other) => one.position - other.position);
  }

  #apply({ added, target, number, settled, key, value }: Change): void {
    if (added !== undefined) {
      this.live.set(added, { position: added, target: target!, number: number! });
      const key = this.#keyOf(target!, number!);
      if (key !== undefined) this.newest.set(key, number!);
    }
    if (settled !== undefined) this.live.delete(settled);
    if (key === undefined) return;
    if (value === undefined) this.values.delete(key);
    else this.values.set(key, value);
  }
}
