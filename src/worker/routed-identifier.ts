/** The QoS 2 identifier of the message that is routed, in the partitions of this worker: who has the message already, and who gets it now. */
import { hasShare } from "./inbound-record.ts";
import { KNOWN, type Staging } from "./staging.ts";

export class RoutedIdentifier {
  readonly #staging: readonly Staging[];
  /** Empty: it has none that is kept. */
  #key = "";

  constructor(staging: readonly Staging[]) {
    this.#staging = staging;
  }

  /** Of the next message; empty: it has none, or none any more. */
  begin(key: string): void {
    this.#key = key;
  }

  /** Asks who in each partition has this message already; whoever waits for it waits for that batch. */
  askKnown(): void {
    for (const staging of this.#staging) {
      const { partition } = staging;
      const identifier = partition.inbound.get(this.#key);
      if (identifier === undefined) continue;
      const { shares, company } = identifier;
      staging.earlier = company;
      if (hasShare(shares, partition.share)) staging.staged = KNOWN;
      else if (shares.length > 0) staging.known = shares;
    }
  }

  /** It lies with the message, wherever that is. Where only queues in memory have it, nobody waits for either. */
  keep(): void {
    if (this.#key === "") return;
    for (const staging of this.#staging) {
      if (staging.staged < 0) continue;
      const isFree = staging.isInMemory && !staging.isTouched;
      staging.partition.keepInbound(this.#key, true, isFree);
      if (!isFree) staging.isTouched = true;
    }
  }

  /**
   * In the publisher's own partition, so that a session read back knows it. Nobody waits for it if it lies with the message elsewhere,
   * where a start finds it, too. `sentOn`: of each worker it goes to, whether it is stored there.
   */
  keepAtHome(homePartition: number, sentOn: readonly boolean[]): void {
    if (this.#key === "") return;
    const staging = this.#staging.find(({ partition }) => partition.number === homePartition);
    if (staging === undefined || staging.partition.inbound.has(this.#key)) return;
    const isFree = sentOn.includes(true) || this.#staging.some(({ staged }) => staged >= 0);
    staging.partition.keepInbound(this.#key, false, isFree);
    if (!isFree) staging.isTouched = true;
  }
}
