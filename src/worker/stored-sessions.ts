/**
 * What this worker's sessions have in the store: their records, and the deliveries of QoS 2 that are under way. A session that has
 * ended is forgotten with one batch; the messages that waited for it are nobody's from then on, and go in steps.
 */
import { ENDED_MESSAGES_PER_TURN } from "../base/limits.ts";
import { IN_MEMORY, type Inbox } from "../session/inbox.ts";
import { SENT_QOS1 } from "../session/outgoing.ts";
import { FROM_INBOX, type Session } from "../session/session.ts";
import type { CommitOutcome } from "./batch-company.ts";
import type { Partition } from "./partition.ts";
import { encodeOutbound, encodeSession, packetKeyOf } from "./session-record.ts";

export class StoredSessions {
  readonly #partitions: ReadonlyMap<number, Partition>;
  /** Of sessions that have ended, with the partition they are in. */
  readonly #inboxes: { readonly inbox: Inbox; readonly partition: Partition }[] = [];

  constructor(partitions: ReadonlyMap<number, Partition>) {
    this.#partitions = partitions;
  }

  #homeOf(session: Session): Partition {
    return this.#partitions.get(session.homePartition)!;
  }

  /** A session that outlives its connection from now on. */
  takeIn(session: Session): void {
    const partition = this.#homeOf(session);
    session.target = partition.takeTarget();
    session.store = partition;
    partition.sessions.set(session.target, session);
  }

  save(session: Session, done: ((outcome: CommitOutcome) => void) | undefined): void {
    const partition = this.#homeOf(session);
    const { outgoing } = session;
    const inFlight = session.isConnected
      ? []
      : outgoing
          .inOrder()
          .map((packetId) => [packetId, outgoing.stateOf(packetId), outgoing.positionOf(packetId)] as const)
          .filter(([, state, position]) => state === SENT_QOS1 && position !== IN_MEMORY);
    const record = encodeSession({
      version: 3,
      clientId: session.clientId,
      target: session.target,
      expiryS: session.expiryS === Number.POSITIVE_INFINITY ? null : session.expiryS,
      awaySinceMs: session.awaySinceMs,
      lastPacketId: outgoing.lastPacketId,
      subscriptions: [...session.subscriptions.values()].map(({ filter, options }) => [filter, options] as const),
      inFlight,
      will: session.will ?? null,
      user: session.owner ?? null,
    });
    partition.put("sessions", session.clientId, record);
    if (done !== undefined) partition.company.afterCommit(done);
  }

  keepOutbound(
    session: Session,
    packetId: number,
    state: number,
    position: number,
    done: (outcome: CommitOutcome) => void,
  ): void {
    const partition = this.#homeOf(session);
    const flags = session.outgoing.flagsOf(packetId);
    partition.put("outbound", packetKeyOf(session.clientId, packetId), encodeOutbound(state, flags, position));
    partition.company.afterCommit(done);
  }

  forgetOutbound(session: Session, packetId: number): void {
    this.#homeOf(session).put("outbound", packetKeyOf(session.clientId, packetId), undefined);
  }

  /** Removes a session that has ended, with one batch of the partition returned; its inbox goes with `removeSome`. */
  remove(session: Session): Partition {
    const partition = this.#homeOf(session);
    const { outgoing } = session;
    this.#inboxes.push({ inbox: session.inbox, partition });
    for (const packetId of outgoing.inOrder()) {
      const position = outgoing.positionOf(packetId);
      if (outgoing.ownerOf(packetId) === FROM_INBOX && position !== IN_MEMORY) partition.settle(position);
      if (outgoing.isExactlyOnce(packetId)) this.forgetOutbound(session, packetId);
    }
    partition.put("sessions", session.clientId, undefined);
    partition.sessions.delete(session.target);
    session.target = 0;
    return partition;
  }

  /** Settles some of what waited for sessions that have ended; true when there is more. A crash before that leaves it to the next start. */
  removeSome(): boolean {
    let left = ENDED_MESSAGES_PER_TURN;
    for (let first = this.#inboxes[0]; first !== undefined && left > 0; left -= 1) {
      const { inbox, partition } = first;
      if (inbox.length === 0) {
        this.#inboxes.shift();
        first = this.#inboxes[0];
        continue;
      }
      const position = inbox.headPosition;
      inbox.shift();
      if (position !== IN_MEMORY) partition.settle(position);
    }
    return this.#inboxes.length > 0;
  }
}
