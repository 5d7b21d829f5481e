/**
 * A session as it lies in the store: table "sessions", key = client ID. Everything a client may rely on after a restart, but its
 * messages, which are records of the log under its target.
 *
 * These bytes outlive the process. To change them: 1. raise `version`; 2. read the old form in `decodeSession`; 3. add a test
 * with a value of the old form.
 */
import { decodeStructured, encodeStructured } from "../base/structured.ts";
import type { SubscriptionOptions } from "../session/subscription.ts";

export interface SessionRecord {
  readonly version: 1;
  readonly clientId: string;
  readonly target: number;
  /** Seconds; null = for ever. */
  readonly expiryS: number | null;
  /** Milliseconds since the epoch; 0 = was connected when this was written. */
  readonly awaySinceMs: number;
  readonly lastPacketId: number;
  readonly subscriptions: readonly (readonly [filter: string, options: SubscriptionOptions])[];
  /** Deliveries in flight in the order sent: identifier, state, position. Complete when the session was away. */
  readonly inFlight: readonly (readonly [packetId: number, state: number, position: number])[];
}

export const encodeSession = (record: SessionRecord): Buffer => encodeStructured(record);
export const decodeSession = (bytes: Uint8Array): SessionRecord => decodeStructured<SessionRecord>(bytes);

/** The key of a QoS 2 identifier that was received and not yet released: table "inbound". */
export const inboundKeyOf = (clientId: string, packetId: number): string => `${packetId}/${clientId}`;

export function parseInboundKey(key: string): { clientId: string; packetId: number } {
  const slash = key.indexOf("/");
  return { packetId: Number(key.slice(0, slash)), clientId: key.slice(slash + 1) };
}
