/**
 * The shared subscriptions of this worker's sessions: each is a member of one that lives on some worker, which it joins and leaves.
 */
import { homePartitionOf } from "../base/hash.ts";
import { JOIN, type JoinBody, LEAVE, type LeaveBody, type ShareMember } from "../frame/kinds.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partner } from "./partner.ts";
import { ShareAdoption } from "./share-adoption.ts";

export class ShareMembers {
  readonly adoption: ShareAdoption;
  readonly #partners: readonly Partner[];
  readonly #partitionCount: number;
  /** Where a start has found stored messages: another number of partitions would have put them elsewhere. */
  readonly #found = new Map<string, number>();
  readonly #joining = new Map<number, () => void>();
  #token = 0;

  constructor(partners: readonly Partner[], partitionCount: number) {
    this.#partners = partners;
    this.adoption = new ShareAdoption(partners, (filter) => this.partitionOf(filter));
    this.#partitionCount = partitionCount;
  }

  /** The partition where a shared subscription lives, on whatever worker. */
  partitionOf(filter: string): number {
    return this.#found.get(filter) ?? homePartitionOf(filter, this.#partitionCount);
  }

  noteFound(filter: string, partition: number): void {
    this.#found.set(filter, partition);
  }

  /** `done` when what is published from then on is the subscription's. */
  join(subscription: Subscription, done: () => void): void {
    this.#token = (this.#token + 1) >>> 0;
    this.#joining.set(this.#token, done);
    const body: JoinBody = { token: this.#token, ...memberOf(subscription) };
    this.#partnerOf(subscription.filter).control(JOIN, body);
  }

  onJoined(token: number): void {
    const done = this.#joining.get(token);
    this.#joining.delete(token);
    done?.();
  }

  leave({ filter, session }: Subscription): void {
    const body: LeaveBody = { filter, clientId: session.clientId };
    this.#partnerOf(filter).control(LEAVE, body);
  }

  #partnerOf(filter: string): Partner {
    return this.#partners[this.partitionOf(filter) % this.#partners.length]!;
  }
}

export const memberOf = ({ filter, session, options }: Subscription): ShareMember => ({
  filter,
  clientId: session.clientId,
  qos: options.qos,
  isDurable: session.isDurable,
});
