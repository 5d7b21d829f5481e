/**
 * The CONNACK that a good CONNECT is answered with. All but an assigned client ID is the same for very many clients: it is encoded once and
 * copied.
 */
import { TOPIC_ALIAS_MAXIMUM } from "../base/limits.ts";
import type { ProtocolLevel } from "../mqtt/packets.ts";
import { encodeRare } from "../mqtt/rare.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { SessionLimits } from "./ports.ts";

export interface Greeting {
  readonly protocolLevel: ProtocolLevel;
  readonly isSessionPresent: boolean;
  readonly assignedClientId: string | undefined;
  /** What the client is told instead of its own Keep Alive. */
  readonly serverKeepAliveS: number | undefined;
}

/** By what varies; a dozen at most, for a Server Keep Alive is the setting's or none. */
const encoded = new WeakMap<SessionLimits, Map<number, Buffer>>();

/** The bytes; they are not to be changed. */
export function greetingOf(limits: SessionLimits, greeting: Greeting): Buffer {
  const { protocolLevel, isSessionPresent, assignedClientId, serverKeepAliveS } = greeting;
  if (assignedClientId !== undefined) return encode(limits, greeting);
  let byKey = encoded.get(limits);
  if (byKey === undefined) {
    byKey = new Map();
    encoded.set(limits, byKey);
  }
  const key = ((serverKeepAliveS ?? -1) + 1) * 16 + protocolLevel * 2 + (isSessionPresent ? 1 : 0);
  let bytes = byKey.get(key);
  if (bytes === undefined) {
    bytes = encode(limits, greeting);
    byKey.set(key, bytes);
  }
  return bytes;
}

function encode(limits: SessionLimits, greeting: Greeting): Buffer {
  return encodeRare(
    {
      kind: "connack",
      isSessionPresent: greeting.isSessionPresent, // [MQTT-3.2.2-2]
      reasonCode: ReasonCode.success,
      assignedClientId: greeting.assignedClientId, // [MQTT-3.2.2-16]
      receiveMaximum: limits.receiveMaximum,
      maximumPacketBytes: limits.packetBytesMax,
      topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
      isSharedSubscriptionAvailable: true,
      serverKeepAliveS: greeting.serverKeepAliveS, // [MQTT-3.2.2-21]
    },
    greeting.protocolLevel,
  );
}
