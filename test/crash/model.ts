/**
 * What a queue owes its users, as a model: it hears of every publish, acknowledgement and delivery, and says what is wrong.
 *
 * ```
 *  sent ──PUBACK──► owed ──delivered──► in flight ──PUBACK of the consumer──► done
 *    └── no PUBACK: may be stored or not                         │ synced: never again
 *                                                                └ not yet synced when the broker was killed: may come again
 * ```
 */

interface Job {
  isOwed: boolean;
  deliveries: number;
  deliveredInLife: number;
  /** The consumer wrote its PUBACK; in which life of the broker and when (ms). */
  doneInLife: number;
  doneAtMs: number;
  /** The connection that holds it now; 0: none. */
  holder: number;
}

export class QueueModel {
  readonly faults: string[] = [];
  #jobs = new Map<string, Job>();
  #life = 0;
  /** When each life ended, ms. */
  #killedAtMs: number[] = [];
  readonly #syncMsMax: number;

  /** `syncMsMax`: an acknowledgement older than this when the broker was killed was on disk. */
  constructor(syncMsMax: number) {
    this.#syncMsMax = syncMsMax;
  }

  onSent(id: string): void {
    this.#jobs.set(id, { isOwed: false, deliveries: 0, deliveredInLife: -1, doneInLife: -1, doneAtMs: 0, holder: 0 });
  }

  onPublisherAcknowledged(id: string): void {
    this.#jobs.get(id)!.isOwed = true;
  }

  /** `connection`: a number of its own for every connection of a consumer. */
  onDelivered(id: string, isDup: boolean, connection: number): void {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      this.faults.push(`${id} was never sent`);
      return;
    }
    if (job.holder !== 0) this.faults.push(`${id} came to connection ${connection} while ${job.holder} held it`);
    if (job.doneInLife === this.#life) this.faults.push(`${id} came again after its acknowledgement, without a kill`);
    else if (job.doneInLife >= 0 && this.#killedAtMs[job.doneInLife]! - job.doneAtMs > this.#syncMsMax) {
      const ageMs = Math.round(this.#killedAtMs[job.doneInLife]! - job.doneAtMs);
      this.faults.push(`${id} came again, although acknowledged ${ageMs} ms before a kill`);
    }
    // The other way round proves nothing: what was delivered may have been cut off on its way.
    if (!isDup && job.deliveredInLife === this.#life) this.faults.push(`${id} came again without DUP`);
    job.deliveries++;
    job.deliveredInLife = this.#life;
    job.holder = connection;
    job.doneInLife = -1;
  }

  onConsumerAcknowledged(id: string, nowMs: number): void {
    const job = this.#jobs.get(id)!;
    job.doneInLife = this.#life;
    job.doneAtMs = nowMs;
    job.holder = 0;
  }

  /** A connection ended: what it held goes back. */
  onConnectionEnded(connection: number): void {
    for (const job of this.#jobs.values()) if (job.holder === connection) job.holder = 0;
  }

  onKilled(nowMs: number): void {
    this.#killedAtMs[this.#life++] = nowMs;
    for (const job of this.#jobs.values()) job.holder = 0;
  }

  /** Acknowledged to their publisher, and not acknowledged by a consumer. */
  owed(): string[] {
    return [...this.#jobs].filter(([, job]) => job.isOwed && job.doneInLife < 0).map(([id]) => id);
  }

  /** Acknowledged to their publisher and never delivered at all. */
  lost(): string[] {
    return [...this.#jobs].filter(([, job]) => job.isOwed && job.deliveries === 0).map(([id]) => id);
  }

  get sentCount(): number {
    return this.#jobs.size;
  }

  get repeatedCount(): number {
    return [...this.#jobs.values()].filter(({ deliveries }) => deliveries > 1).length;
  }
}
