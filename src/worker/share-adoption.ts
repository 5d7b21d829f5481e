/**
 * A QoS 2 message of a shared subscription for a member whose session outlives its connection: it becomes the session's own, on disk,
 * before it is sent, so that its delivery is completed with this client and no other [MQTT-4.8.2-4].
 *
 * ```
 *   DELIVER ─► a record of the session ─on disk─► its inbox, SETTLE · ADOPTED ─on disk there─► FORGOTTEN: PUBREC is taken, the record may go
 *                                          └ the member has left meanwhile ─► the record goes ─on disk─► DETACH: others have it
 * ```
 *
 * The two disks never agree at one moment. The record says where it comes from, and is on disk while the message may be: so a start knows
 * what was taken over, and nobody else is given it.
 */
import { SHARED_RETRY_MS } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { ADOPTED, type AdoptedBody } from "../frame/kinds.ts";
import { expiresAtMsOf, totalBytes } from "../frame/message.ts";
import { NO_ROOM } from "../log/contract.ts";
import type { Attachment } from "../session/attachment.ts";
import { deliverAdopted, pump } from "../session/deliver.ts";
import { DELIVERY_RETAIN } from "../session/inbox.ts";
import type { Attachments } from "./attachments.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import { type Provenance, provenanceHigh, provenanceLow } from "./provenance.ts";

/** A record of a session's home, which its shared subscription's disk may still have, too. */
interface Contested {
  readonly home: Partition;
  readonly record: number;
}

export class ShareAdoption {
  readonly #partners: readonly Partner[];
  readonly #partitionOf: (filter: string) => number;
  /** By the shared subscription's partition: not asked for yet. */
  #unasked = new Map<number, Contested[]>();
  /** By token. */
  readonly #asked = new Map<number, readonly Contested[]>();
  /** By the shared subscription's partition, what a start has found. */
  readonly #found = new Map<number, { readonly positions: number[]; readonly contested: Contested[] }>();
  #token = 0;

  /** `partitionOf`: where a shared subscription lives. */
  constructor(partners: readonly Partner[], partitionOf: (filter: string) => number) {
    this.#partners = partners;
    this.#partitionOf = partitionOf;
  }

  /** See SessionHost.tryAdopt. `home`: the session's partition; `position`: where the message lies, negative in memory. */
  tryAdopt(
    home: Partition,
    attachments: Attachments,
    attachment: Attachment,
    position: number,
    message: Region,
    offset: number,
    isRetain: boolean,
  ): boolean {
    const { session, filter } = attachment.subscription;
    const { log, company } = home;
    const partition = this.#partitionOf(filter);
    const isStored = position >= 0;
    const high = isStored ? provenanceHigh(partition, position) : 0;
    const low = isStored ? provenanceLow(position) : 0;
    const bytes = totalBytes(message, offset);
    const flags = 2 | attachment.sharedFlags | (isRetain ? DELIVERY_RETAIN : 0);
    const staged = home.hasRoom(bytes, 1) ? log.stage(message, offset, bytes) : NO_ROOM;
    const expiresAtMs = staged === NO_ROOM ? 0 : expiresAtMsOf(message, offset);
    const record = staged === NO_ROOM ? NO_ROOM : log.add(session.target, staged, flags, expiresAtMs, high, low);
    if (record === NO_ROOM) {
      session.host.after(SHARED_RETRY_MS, () => pump(session));
      return false;
    }
    attachment.unsettled += 1;
    attachment.adopting += 1;
    session.adopting += 1;
    company.afterCommit((outcome) => {
      if (outcome === "stored" && (attachment.isLeaving || !session.isDurable)) {
        log.settle(record);
        home.whenStored(() => {
          attachments.endAdoption(attachment);
          pump(session); // Others of it may wait for the place.
        });
        return;
      }
      attachments.endAdoption(attachment);
      if (outcome === "stored") {
        if (isStored) this.#note(home, record, partition);
        deliverAdopted(session, record, bytes, flags);
        attachments.settleAdopted(attachment, position);
      } else if (attachment.isBound) {
        attachments.settle(attachment, position, false, true);
      }
      pump(session);
    });
    session.host.wake();
    return true;
  }

  #note(home: Partition, record: number, partition: number): void {
    home.adopted.note(record, false);
    const unasked = this.#unasked.get(partition);
    if (unasked === undefined) this.#unasked.set(partition, [{ home, record }]);
    else unasked.push({ home, record });
  }

  /** Asks to be told of what was settled in this turn. */
  ask(): void {
    if (this.#unasked.size === 0) return;
    const unasked = this.#unasked;
    this.#unasked = new Map();
    for (const [partition, contested] of unasked) {
      this.#token = (this.#token + 1) >>> 0;
      this.#asked.set(this.#token, contested);
      const body: AdoptedBody = { partition, token: this.#token };
      this.#partners[partition % this.#partners.length]!.control(ADOPTED, body);
    }
  }

  onForgotten(token: number): void {
    const contested = this.#asked.get(token) ?? [];
    this.#asked.delete(token);
    for (const { home, record } of contested) if (home.adopted.forgotten(record)) home.log.settle(record);
  }

  // The start.

  /** A record that was found; `isDone`: its session has ended. */
  restore(home: Partition, record: number, { partition, position }: Provenance, isDone: boolean): void {
    home.adopted.note(record, isDone);
    const found = this.#found.get(partition) ?? { positions: [], contested: [] };
    found.positions.push(position);
    found.contested.push({ home, record });
    this.#found.set(partition, found);
  }

  /** By the shared subscriptions' partitions: the positions of what was found. */
  get found(): (readonly [partition: number, positions: readonly number[]])[] {
    return [...this.#found].map(([partition, { positions }]) => [partition, positions]);
  }

  /** All shared subscriptions have been told. */
  begin(): void {
    for (const [partition, { contested }] of this.#found) this.#unasked.set(partition, contested);
    this.#found.clear();
  }
}
