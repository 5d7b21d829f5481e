/**
 * What a worker reads back at the start: queues, sessions with what waits for them, QoS 2 identifiers, retained messages.
 *
 * ```
 *   tables queues, sessions, inbound ─► then every live record: to its queue, its session, or to nobody (settled)
 * ```
 */
import { decodeStructured } from "../base/structured.ts";
import type { RecordSummary } from "../log/contract.ts";
import { isSharedFilter } from "../mqtt/subscription-filter.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { filterBytesOf } from "../session/belongings.ts";
import { IN_MEMORY } from "../session/inbox.ts";
import { RELEASED, SENT_QOS2 } from "../session/outgoing.ts";
import { FROM_INBOX, type Session } from "../session/session.ts";
import { Subscription } from "../session/subscription.ts";
import type { Partition } from "./partition.ts";
import { provenanceOf } from "./provenance.ts";
import type { SessionDesk } from "./session-desk.ts";
import {
  decodeOutbound,
  decodeSession,
  type OutboundRecord,
  parsePacketKey,
  type SessionRecord,
} from "./session-record.ts";
import type { ShareAdoption } from "./share-adoption.ts";

export interface RecoveryParts {
  readonly desk: SessionDesk;
  readonly openQueue: (record: QueueRecord) => void;
  readonly openShare: (record: QueueRecord) => void;
  /** A session's subscription is routed again; queue subscriptions wait for the client. */
  readonly route: (subscription: Subscription) => void;
  readonly adoption: ShareAdoption;
  readonly nowMs: number;
  readonly random: () => number;
}

/** Reads one partition back; returns its queues. */
export function recoverPartition(partition: Partition, parts: RecoveryParts): QueueRecord[] {
  const queues: QueueRecord[] = [];
  partition.log.entries("queues", (_name, bytes) => {
    const record = decodeStructured<QueueRecord>(bytes);
    partition.noteTarget(record.target);
    if (isSharedFilter(record.definition.name)) {
      parts.openShare(record);
      return;
    }
    queues.push(record);
    parts.openQueue(record);
  });

  const records = new Map<Session, SessionRecord>();
  partition.log.entries("sessions", (_clientId, bytes) => {
    const record = decodeSession(bytes);
    partition.noteTarget(record.target);
    records.set(restoreSession(partition, record, parts), record);
  });
  partition.log.entries("inbound", (key, value) => partition.restoreInbound(key, value));

  const inFlight = restoreInFlight(partition, records, parts.desk);
  const nobodys: number[] = [];
  partition.queues.recover((record) => recoverRecord(partition, record, inFlight, nobodys, parts.adoption));
  // Not while the log is being read; and not when damage may have taken the definition that says whose they are.
  if (!partition.log.hasDamage) for (const position of nobodys) partition.log.settle(position);
  return queues;
}

function restoreSession(partition: Partition, record: SessionRecord, parts: RecoveryParts): Session {
  // Who was connected when the broker ended has been given identifiers that nobody knows: a new start lies elsewhere.
  const isKnown = record.awaySinceMs !== 0;
  const lastPacketId = isKnown ? record.lastPacketId : 1 + Math.floor(parts.random() * 65_535);
  const session = parts.desk.restore(record.clientId, lastPacketId);
  session.target = record.target;
  session.store = partition;
  session.expiryS = record.expiryS ?? Number.POSITIVE_INFINITY;
  // Who was connected when the broker ended has been away since then at the latest.
  session.awaySinceMs = record.awaySinceMs === 0 ? parts.nowMs : record.awaySinceMs;
  session.will = record.will ?? undefined;
  session.owner = record.user ?? undefined;
  partition.sessions.set(record.target, session);
  for (const [filter, options] of record.subscriptions) {
    const subscription = new Subscription(session, filter, options);
    session.subscriptions.set(filter, subscription);
    session.belongings.addFilter(filterBytesOf(filter));
    session.hasIdentifiers ||= options.identifier !== 0;
    parts.route(subscription);
  }
  return session;
}

/** What every session had in flight, in the order of the log; returns the positions. */
function restoreInFlight(
  partition: Partition,
  records: ReadonlyMap<Session, SessionRecord>,
  desk: SessionDesk,
): ReadonlySet<number> {
  const positions = new Set<number>();
  const outbound = new Map<Session, Map<number, OutboundRecord>>();
  partition.log.entries("outbound", (key, bytes) => {
    const { clientId, packetId } = parsePacketKey(key);
    const session = desk.find(clientId);
    if (session === undefined || !records.has(session)) return;
    if (!outbound.has(session)) outbound.set(session, new Map());
    outbound.get(session)!.set(packetId, decodeOutbound(bytes));
  });
  for (const [session, record] of records) {
    const inFlight = outbound.get(session) ?? new Map<number, OutboundRecord>();
    for (const [packetId, state, position] of record.inFlight) {
      if (inFlight.has(packetId)) continue;
      inFlight.set(packetId, { state, flags: 0, position });
    }
    const inOrder = [...inFlight].sort(([, one], [, other]) => one.position - other.position);
    for (const [packetId, { state, flags, position }] of inOrder) {
      // Its message was in memory only: the client is told to forget the identifier.
      const isLost = state === SENT_QOS2 && position === IN_MEMORY;
      session.outgoing.restore(packetId, isLost ? RELEASED : state, position, FROM_INBOX, flags);
      positions.add(position);
    }
  }
  return positions;
}

/** A live record that is no queue's: it waits for its session, or for nobody. */
function recoverRecord(
  partition: Partition,
  record: RecordSummary,
  inFlight: ReadonlySet<number>,
  nobodys: number[],
  adoption: ShareAdoption,
): void {
  const { position, target, messageBytes, flags } = record;
  const session = partition.sessions.get(target);
  partition.noteTarget(target);
  const from = provenanceOf(record);
  if (from !== undefined) adoption.restore(partition, position, from, session === undefined);
  else if (session === undefined) nobodys.push(position);
  if (session !== undefined && !inFlight.has(position)) session.inbox.push(position, messageBytes, flags);
}
