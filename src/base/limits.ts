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

// MQTT codec
/** What the protocol itself can say: a fixed header of 5 bytes and the largest remaining length. */
export const PACKET_BYTES_MAX = 5 + 268_435_455;
/** User properties of one packet: a megabyte of empty ones would be 200,000 objects. */
export const USER_PROPERTIES_MAX = 256;
/** Filters of one SUBSCRIBE or UNSUBSCRIBE: clients resubscribe with all they have in one packet. */
export const SUBSCRIBE_FILTERS_MAX = 8_192;
/** Levels of a topic or a filter: each is a step in the routing trie, and of its recursion. */
export const TOPIC_LEVELS_MAX = 128;
/** Bytes of a topic or a filter: what the two length bytes of a string can say. */
export const TOPIC_BYTES_MAX = 65_535;

// Queues and dispatch
/** A key expression is written by hand; what is longer or deeper is a mistake or an attack on the parser. */
export const KEY_EXPRESSION_CHARACTERS_MAX = 4_096;
export const KEY_EXPRESSION_DEPTH_MAX = 32;
/** Waiting messages in one full chunk of a queue's line: 20 KiB, so that merging or scanning one stays below 5 µs. */
export const LINE_CHUNK_MESSAGES = 1_024;
/** The first chunk of a line: a thousand idle queues hold 640 KiB, not 20 MiB. */
export const LINE_CHUNK_MESSAGES_MIN = 32;
/** Expired messages leave a queue's counts within this time; they are never handed out, whatever the sweep does. */
export const EXPIRY_SWEEP_MS = 1_000;
/** A consumer's in-flight count is 16 bits of a shared word, and Receive Maximum allows no more. */
export const CONSUMER_WINDOW_MAX = 65_535;
/** Consumers of one worker at queues of another; a credit table is 40 KiB, the next one is allocated when it is full. */
export const CREDIT_TABLE_SLOTS = 4_096;
/** Rejected and oversized messages looked at in one pump before those behind them get their turn. */
export const ASIDE_LOOK_MAX = 64;
