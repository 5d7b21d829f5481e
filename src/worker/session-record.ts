/**
 * A session as it lies in the store: table "sessions", key = client ID. Everything a client may rely on after a restart, but its
 * messages, which are records of the log under its target.
 *
 * These bytes outlive the process. To change them: 1. raise `version`; 2. read the old form in `decodeSession`; 3. add a test
 * with a value of the old form.
 */
import { decodeStructured, encodeStructured } from "../base/structured.ts";
import type { SessionWill } from "../session/session.ts";
import type { SubscriptionOptions } from "../session/subscription.ts";

export interface SessionRecord {
  readonly version: 3;
  readonly clientId: string;
  readonly target: number;
  /** Seconds; null = for ever. */
  readonly expiryS: number | null;
  /** Milliseconds since the epoch; 0 = was connected when this was written. */
  readonly awaySinceMs: number;
  readonly lastPacketId: number;
  readonly subscriptions: readonly (readonly [filter: string, options: SubscriptionOptions])[];
  /**
   * QoS 1 deliveries in flight in the order sent: identifier, state, position; when the session was away. Those of QoS 2 are in
   * table "outbound" at any time.
   */
  readonly inFlight: readonly (readonly [packetId: number, state: number, position: number])[];
  /** Not published and not taken back. */
  readonly will: SessionWill | null;
  /** Its owner; null = one who proved no name. */
  readonly user: string | null;
}

/** What was written before users were. */
interface SessionRecord2 extends Omit<SessionRecord, "version" | "user"> {
  readonly version: 2;
}

/** What was written before wills were. */
interface SessionRecord1 extends Omit<SessionRecord2, "version" | "will"> {
  readonly version: 1;
}

export const encodeSession = (record: SessionRecord): Buffer => encodeStructured(record);
export function decodeSession(bytes: Uint8Array): SessionRecord {
  const record = decodeStructured<SessionRecord | SessionRecord2 | SessionRecord1>(bytes);
  switch (record.version) {
    case 1:
      return { ...record, version: 3, will: null, user: null };
    case 2:
      return { ...record, version: 3, user: null };
    default:
      return record;
  }
}

/** The key of a QoS 2 identifier in use: received and not yet released, table "inbound"; given and not yet free, "outbound". */
export const packetKeyOf = (clientId: string, packetId: number): string => `${packetId}/${clientId}`;

export function parsePacketKey(key: string): { clientId: string; packetId: number } {
  const slash = key.indexOf("/");
  return { packetId: Number(key.slice(0, slash)), clientId: key.slice(slash + 1) };
}

/**
 * A QoS 2 delivery as it lies in table "outbound". The steps for changing it are those of the session.
 *
 * ```
 *   0  u8   1, the version
 *   1  u8   state          SENT_QOS2 or RELEASED, see session/outgoing.ts
 *   2  u16  flags          of the delivery, see session/inbox.ts
 *   4  f64  position       IN_MEMORY: the message is nowhere on disk
 * ```
 */
export interface OutboundRecord {
  readonly state: number;
  readonly flags: number;
  readonly position: number;
}

export function encodeOutbound(state: number, flags: number, position: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = 1;
  bytes[1] = state;
  bytes.writeUInt16LE(flags, 2);
  bytes.writeDoubleLE(position, 4);
  return bytes;
}

export const decodeOutbound = (bytes: Buffer): OutboundRecord => ({
  state: bytes[1]!,
  flags: bytes.readUInt16LE(2), // Of u8, and a byte of 0, before there were tags.
  position: bytes.readDoubleLE(4),
});
