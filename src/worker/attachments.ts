/**
 * The consumers of this worker: the attachments of its sessions to queues and shared subscriptions, wherever those live.
 *
 * ```
 *   SUBSCRIBE ─► bound by address ─ queue is there, or the moment it is created ─► slot of the credit table ─► ATTACH
 *   gone ─► DETACH, everything goes back        unsubscribed ─► DETACH draining ─ last settlement ─► DETACH gone
 * ```
 */

import { SHARED_REPLACED_MS } from "../base/limits.ts";
import { CreditTable, NOT_PAUSED, SESSION_WINDOW_FULL, SOCKET_FULL } from "../dispatch/credit.ts";
import { CreditSlots, NO_CREDIT_SLOT } from "../dispatch/credit-slots.ts";
import { ATTACH, type AttachBody, DETACH, type DetachBody } from "../frame/kinds.ts";
import { variableByteIntegerBytes } from "../mqtt/variable-byte-integer.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { queueAddressOf } from "../queue/queue-address.ts";
import type { QueueBinding, QueueRegistry } from "../queue/registry.ts";
import { Attachment } from "../session/attachment.ts";
import { mayConsume } from "../session/rights.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partner } from "./partner.ts";
import type { ShareMembers } from "./share-members.ts";

/** Where a consumer attaches. */
type Place = Pick<AttachBody, "partition" | "target" | "group">;

export class Attachments {
  readonly #registry: QueueRegistry;
  readonly #partners: readonly Partner[];
  /** By the queue's worker. */
  readonly #slots: readonly CreditSlots[];
  readonly #bySlot: readonly (Attachment | undefined)[][];
  /** Attachments that found no slot. */
  readonly #waiting: readonly Set<Attachment>[];
  readonly #bindings = new Map<Attachment, QueueBinding>();
  readonly #members: ShareMembers;
  readonly #onFull: (worker: number) => void;

  /** `partners` and `credit` by worker, this one's own included. `onFull`: the first consumer waits for another to go. */
  constructor(
    registry: QueueRegistry,
    partners: readonly Partner[],
    credit: readonly ArrayBufferLike[],
    members: ShareMembers,
    onFull: (worker: number) => void,
  ) {
    this.#members = members;
    this.#onFull = onFull;
    this.#registry = registry;
    this.#partners = partners;
    this.#slots = credit.map((memory) => new CreditSlots(new CreditTable(memory)));
    this.#bySlot = credit.map(() => []);
    this.#waiting = credit.map(() => new Set());
  }

  /** Ties an attachment to its queue; it attaches now, or the moment the queue is created. */
  bind(attachment: Attachment): void {
    if (attachment.isShared) {
      attachment.subscription.session.attachments.add(attachment);
      this.#attachWaiting(attachment);
      return;
    }
    const address = queueAddressOf(attachment.subscription.filter);
    if (address === undefined) return;
    const binding = this.#registry.bind(address, (record) =>
      this.#replace(attachment.subscription, binding, record, false),
    );
    this.#bindings.set(attachment, binding);
    attachment.subscription.session.attachments.add(attachment);
    if (binding.record !== undefined) this.#attach(attachment, binding.record);
  }

  /** Attaches to what it is bound to, if that is there. */
  #attachWaiting(attachment: Attachment): void {
    const { filter } = attachment.subscription;
    if (attachment.isShared) {
      this.#attach(attachment, { partition: this.#members.partitionOf(filter), target: 0, group: filter });
      return;
    }
    const record = this.#bindings.get(attachment)?.record;
    if (record !== undefined) this.#attach(attachment, record);
  }

  /** The consumer is gone. */
  detach(attachment: Attachment): void {
    this.#unbind(attachment);
    this.#release(attachment, true);
    attachment.subscription.session.attachments.delete(attachment);
  }

  /** The consumer takes nothing more; what it was sent stays with it. */
  drain(attachment: Attachment): void {
    this.#unbind(attachment);
    const { successor, session } = attachment.subscription;
    const isReplaced = attachment.isShared && successor !== undefined;
    if (!attachment.isBound || (attachment.unsettled === 0 && !isReplaced)) {
      this.detach(attachment);
      return;
    }
    attachment.isDraining = true;
    this.#send(attachment, false);
    for (const { position } of attachment.held.splice(0)) this.settle(attachment, position, false, false);
    if (attachment.unsettled > 0 || !attachment.isBound) return;
    const { generation } = attachment;
    session.host.after(SHARED_REPLACED_MS, () => {
      if (attachment.generation === generation && attachment.isBound) this.detach(attachment);
    });
  }

  /** An acknowledgement or rejection of something that came from the queue. `wasSent`: it had reached the client. */
  settle(attachment: Attachment, position: number, accepted: boolean, wasSent: boolean): void {
    if (!attachment.isBound) return; // The queue was deleted meanwhile.
    if (wasSent) attachment.unsettled -= 1;
    this.#slots[attachment.worker]!.table.addSettled(attachment.slot, 1);
    this.#partners[attachment.worker]!.settle(attachment.slot, attachment.generation, position, accepted);
    if (attachment.isDraining && attachment.unsettled === 0) this.detach(attachment);
  }

  /**
   * The session has a message now, which is done with at the queue. It still counts as in flight with this consumer until its delivery is
   * finished: else the queue would choose a member that has no room.
   */
  settleAdopted(attachment: Attachment, position: number): void {
    attachment.unsettled -= 1;
    attachment.adopted += 1;
    this.#partners[attachment.worker]!.settle(attachment.slot, attachment.generation, position, true);
    if (attachment.isDraining && attachment.unsettled === 0) this.detach(attachment);
  }

  giveRoom(attachment: Attachment): void {
    attachment.adopted -= 1;
    if (!attachment.isBound) return;
    this.#slots[attachment.worker]!.table.addSettled(attachment.slot, 1);
    this.#partners[attachment.worker]!.nudge(); // No frame tells of it.
  }

  /** One that was being taken over is decided. */
  endAdoption(attachment: Attachment): void {
    attachment.adopting -= 1;
    attachment.subscription.session.adopting -= 1;
    if (attachment.isLeaving && attachment.adopting === 0) this.#release(attachment, true);
  }

  pause(attachment: Attachment, reason: "session_window_full" | "socket_full" | null): void {
    if (!attachment.isBound) return;
    const value = reason === null ? NOT_PAUSED : reason === "socket_full" ? SOCKET_FULL : SESSION_WINDOW_FULL;
    this.#slots[attachment.worker]!.table.setPaused(attachment.slot, value);
    if (value === NOT_PAUSED) this.#partners[attachment.worker]!.nudge(); // No frame tells of it, and the queue may wait.
  }

  /** The consumer's rights are others: it loses its queue, which takes back what it had, or gets it. */
  judge(attachment: Attachment): void {
    if (attachment.isDraining) return;
    const isAllowed = this.#isAllowed(attachment);
    if (isAllowed && !attachment.isBound) this.#attachWaiting(attachment);
    else if (!isAllowed) this.#replace(attachment.subscription, this.#bindings.get(attachment), undefined, true);
  }

  /** Whether the rules let its session have what it is bound to. */
  #isAllowed(attachment: Attachment): boolean {
    const { session, filter } = attachment.subscription;
    if (session.rights === undefined) return true;
    return mayConsume(session.rights, filter, this.#bindings.get(attachment)?.record?.definition.topic_filter);
  }

  /** The attachment a DELIVER speaks of; undefined when it has ended meanwhile. */
  find(worker: number, slot: number, generation: number): Attachment | undefined {
    const attachment = this.#bySlot[worker]![slot];
    return attachment?.generation === generation ? attachment : undefined;
  }

  #attach(attachment: Attachment, place: Place): void {
    const { session, options } = attachment.subscription;
    const { attendance } = session;
    if (attendance === undefined) return;
    if (!this.#isAllowed(attachment)) return;
    const worker = place.partition % this.#partners.length;
    const slots = this.#slots[worker]!;
    const slot = slots.open();
    if (slot === NO_CREDIT_SLOT) {
      if (this.#waiting[worker]!.size === 0) this.#onFull(worker);
      this.#waiting[worker]!.add(attachment); // Consumers of a pair of workers are bounded: the next one that goes makes room.
      return;
    }
    attachment.worker = worker;
    attachment.slot = slot;
    attachment.generation = slots.generationOf(slot);
    this.#bySlot[worker]![slot] = attachment;
    const body: AttachBody = {
      slot,
      generation: attachment.generation,
      partition: place.partition,
      target: place.target,
      ...(place.group === undefined ? {} : { group: place.group }),
      clientId: session.clientId,
      qos: attachment.qos,
      receiveMaximum: attendance.window,
      packetBytesMax: Math.min(attendance.packetBytesMax, Number.MAX_SAFE_INTEGER),
      subscriptionIdentifierBytes: options.identifier === 0 ? 0 : 1 + variableByteIntegerBytes(options.identifier),
    };
    this.#partners[worker]!.control(ATTACH, body);
  }

  /** The queue went, came, or is another: an attachment of its own, so that nothing of the old one settles at the new. */
  #replace(
    subscription: Subscription,
    binding: QueueBinding | undefined,
    record: QueueRecord | undefined,
    tells: boolean,
  ): void {
    const { session, attachment: old } = subscription;
    if (old === undefined) return;
    this.#bindings.delete(old);
    for (const waiting of this.#waiting) waiting.delete(old);
    this.#release(old, tells);
    session.attachments.delete(old);
    const attachment = new Attachment(subscription, old.qos);
    subscription.attachment = attachment;
    if (binding !== undefined) this.#bindings.set(attachment, binding);
    session.attachments.add(attachment);
    if (record !== undefined) this.#attach(attachment, record);
  }

  #unbind(attachment: Attachment): void {
    for (const waiting of this.#waiting) waiting.delete(attachment);
    this.#bindings.get(attachment)?.close();
    this.#bindings.delete(attachment);
  }

  /** Gives up the slot; `tells` the queue's worker unless the queue is gone. */
  #release(attachment: Attachment, tells: boolean): void {
    if (!attachment.isBound) return;
    if (attachment.adopting > 0) {
      this.#leaveLater(attachment);
      return;
    }
    if (tells) this.#send(attachment, true);
    const { worker, slot } = attachment;
    this.#slots[worker]!.close(slot);
    this.#bySlot[worker]![slot] = undefined;
    attachment.worker = -1;
    attachment.slot = -1;
    attachment.clear();
    const [next] = this.#waiting[worker]!;
    if (next === undefined) return;
    this.#waiting[worker]!.delete(next);
    this.#attachWaiting(next);
  }

  /** What its session is taking over must not go to others before that is off the disk again; its successor does not wait. */
  #leaveLater(attachment: Attachment): void {
    const { subscription } = attachment;
    attachment.isLeaving = true;
    if (subscription.attachment === attachment) subscription.attachment = new Attachment(subscription, attachment.qos);
    if (!attachment.isDraining) this.#send(attachment, false);
    attachment.isDraining = true;
    for (const { position } of attachment.held.splice(0)) this.settle(attachment, position, false, false);
  }

  #send(attachment: Attachment, gone: boolean): void {
    const body: DetachBody = { slot: attachment.slot, generation: attachment.generation, gone };
    this.#partners[attachment.worker]!.control(DETACH, body);
  }
}
