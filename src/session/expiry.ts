/** How long a session outlives its connection. */
import { SESSION_NEVER_EXPIRES_S } from "../mqtt/packets.ts";

/** Seconds of a Session Expiry Interval as sent; Infinity = for ever [MQTT-3.1.2-23]. */
export const expirySecondsOf = (intervalS: number): number =>
  intervalS === SESSION_NEVER_EXPIRES_S ? Number.POSITIVE_INFINITY : intervalS;
