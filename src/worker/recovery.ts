/**
 * What a worker reads back at the start: queues, sessions with what waits for them, QoS 2 identifiers, retained messages.
 *
 * ```
 *   tables queues, sessions, inbound ─► then every live record: to its queue, its session, or to nobody (settled)
 * ```
 */
import { decodeStructured } from "../base/structured.ts";
import type { RecordSummary } from "../log/contract.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { FROM_INBOX, type Session } from "../session/session.ts";
import { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import type { SessionDesk } from "./session-desk.ts";
import { decodeSession, parseInboundKey, type SessionRecord } from "./session-record.ts";

export interface RecoveryParts {
  readonly desk: SessionDesk;
  readonly openQueue: (record: QueueRecord) => void;
  /** A session's subscription is routed again; queue subscriptions wait for the client. */
  readonly route: (subscription: Subscription) => void;
  readonly nowMs: number;
}

/** Reads one partition back; returns its queues. */
export function recoverPartition(partition: Partition, parts: RecoveryParts): QueueRecord[] {
  const queues: QueueRecord[] = [];
  partition.log.entries("queues", (_name, bytes) => {
    const record = decodeStructured<QueueRecord>(bytes);
    partition.noteTarget(record.target);
    queues.push(record);
    parts.openQueue(record);
  });

  const records = new Map<Session, SessionRecord>();
  partition.log.entries("sessions", (_clientId, bytes) => {
    const record = decodeSession(bytes);
    partition.noteTarget(record.target);
    records.set(restoreSession(partition, record, parts), record);
  });
  partition.log.entries("inbound", (key) => {
    partition.inbound.set(key, undefined);
    const { clientId, packetId } = parseInboundKey(key);
    parts.desk.find(clientId)?.inbound.restore(packetId);
  });

  const inFlight = new Map<number, Session>();
  for (const [session, record] of records) {
    for (const [packetId, state, position] of record.inFlight) {
      session.outgoing.restore(packetId, state, position, FROM_INBOX);
      inFlight.set(position, session);
    }
  }
  partition.queues.recover(parts.nowMs, (record) => recoverRecord(partition, record, inFlight));
  for (const session of records.keys()) parts.desk.watchExpiry(session);
  return queues;
}

function restoreSession(partition: Partition, record: SessionRecord, parts: RecoveryParts): Session {
  const session = parts.desk.restore(record.clientId, record.lastPacketId);
  session.target = record.target;
  session.store = partition.log;
  session.expiryS = record.expiryS ?? Number.POSITIVE_INFINITY;
  // Who was connected when the broker ended has been away since then at the latest.
  session.awaySinceMs = record.awaySinceMs === 0 ? parts.nowMs : record.awaySinceMs;
  partition.sessions.set(record.target, session);
  for (const [filter, options] of record.subscriptions) {
    const subscription = new Subscription(session, filter, options);
    session.subscriptions.set(filter, subscription);
    session.hasIdentifiers ||= options.identifier !== 0;
    parts.route(subscription);
  }
  return session;
}

/** A live record that is no queue's: it waits for its session, or for nobody. */
function recoverRecord(partition: Partition, record: RecordSummary, inFlight: ReadonlyMap<number, Session>): void {
  const { position, target, messageBytes, flags } = record;
  const session = partition.sessions.get(target);
  if (session === undefined) partition.log.settle(position);
  else if (!inFlight.has(position)) session.inbox.push(position, messageBytes, flags);
}
