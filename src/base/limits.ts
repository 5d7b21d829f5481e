/**
 * Every bound of the broker, in one place, by room. A bound says its unit last; a comment says why it has this value.
 */

// Rings and frames
/** A ring is never smaller than this, however many workers share the ring budget. */
export const RING_BYTES_MIN = 64 * 1024;
/** All rings together, unless configured. */
export const RINGS_BUDGET_BYTES = 256 * 1024 * 1024;

// Before CONNECT
/** What a stranger may send before its CONNECT is complete. */
export const CONNECT_PACKET_BYTES_MAX = 64 * 1024;
/** How long a stranger may take for it. */
export const CONNECT_DEADLINE_MS = 10_000;

// MQTT, announced in CONNACK
export const PACKET_BYTES_MAX_DEFAULT = 1024 * 1024;
export const RECEIVE_MAXIMUM_DEFAULT = 1_000;
export const TOPIC_ALIAS_MAXIMUM = 0;
