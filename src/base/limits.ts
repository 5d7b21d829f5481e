/** Every bound of the broker, in one place, by room. A bound says its unit last; a comment says why it has this value. */

// Memory
/** What lives as long as a thread and is copied between: buffers, arenas, output. Virtual until it is touched. */
export const THREAD_SLAB_BYTES = 128 * 1024 * 1024;
/** How often the process looks at what it holds for others, beside the turns of its workers. */
export const MEMORY_CHECK_MS = 100;
/** While it holds too much: who has stalled for so long is cut off; who publishes is read once in so long at least, far below a keep alive. */
export const STALLED_WHEN_OVER_MS = 1_000;
export const PUBLISHER_PAUSE_MS = 250;
/** Who publishes no more than its equal part of this part of the budget between two checks is read as ever. */
export const MODEST_BUDGET_PART = 0.01;
/** Of those that waited, so many read on in a turn when the budget holds again: 4 MiB, if each brings a whole read. */
export const PUBLISHERS_RESUMED_PER_TURN = 64;
/** Beyond so many times the budget inboxes are shed at once, below at the next check: consumers take what they can; and to how much. */
export const FAR_OVER_BUDGET = 1.25;
export const SHED_TO_BUDGET = 0.9;

// Rings and frames
/** A ring is never smaller than this, however many workers share the budget of all rings; that budget, unless configured. */
export const RING_BYTES_MIN = 64 * 1024;
export const RINGS_BUDGET_BYTES = 256 * 1024 * 1024;

// Before CONNECT
/** What a stranger may send before its CONNECT is complete, and take for it: five strings at their longest are 320 KiB, properties the rest. */
export const CONNECT_PACKET_BYTES_MAX = 512 * 1024;
export const CONNECT_DEADLINE_MS = 10_000;

// Access: files of users and rules, passwords, decisions
export const ACCESS_FILE_BYTES_MAX = 16 * 1024 * 1024;
/** Threads that hash passwords, each tens of milliseconds and 16 MiB a password; they end when none has come for so long. */
export const PASSWORD_THREADS_MAX = 2;
export const PASSWORD_THREADS_IDLE_MS = 10_000;
/** CONNECTs that wait for one: about five seconds of two threads; clients wait longer. Beyond it they are told to come again. */
export const PASSWORDS_WAITING_MAX = 256;
/** Decisions on topics that a thread remembers, a power of two, and the longest topic of one: 1 MiB. */
export const DECISIONS_REMEMBERED = 8_192;
export const DECISION_TOPIC_BYTES_MAX = 128;

// MQTT, announced in CONNACK
export const PACKET_BYTES_MAX_DEFAULT = 1024 * 1024;
export const RECEIVE_MAXIMUM_DEFAULT = 1_000;
export const TOPIC_ALIAS_MAXIMUM = 32;

// MQTT codec
/** What the protocol itself can say: a fixed header of 5 bytes and the largest remaining length. */
export const PACKET_BYTES_MAX = 5 + 268_435_455;
/** Of one packet: user properties (a megabyte of empty ones would be 200,000 objects), filters (clients resubscribe with all they have in one). */
export const USER_PROPERTIES_MAX = 256;
export const SUBSCRIBE_FILTERS_MAX = 8_192;
/** Of a topic or a filter: levels, each a step in the routing trie and of its recursion; bytes, what two length bytes can say. */
export const TOPIC_LEVELS_MAX = 128;
export const TOPIC_BYTES_MAX = 65_535;

// Queues and dispatch
/** A key expression is written by hand; what is longer or deeper is a mistake or an attack on the parser. */
export const KEY_EXPRESSION_CHARACTERS_MAX = 4_096;
export const KEY_EXPRESSION_DEPTH_MAX = 32;
/** All values that one evaluation of a key expression handles: a payload of the default maximum a dozen times, some 100 ms. */
export const KEY_WORK_BYTES_MAX = 16 * 1024 * 1024;
/** One value that a function of a key expression makes: a payload of the default maximum as hexadecimal digits. */
export const KEY_VALUE_BYTES_MAX = 2 * 1024 * 1024;
/** Characters of `rand_str`, and of what `pad` and `sprintf_s` fill up to: a key is an identifier. */
export const KEY_MADE_CHARACTERS_MAX = 4_096;
/** Instructions times characters of all regular expressions of one evaluation, 20 ns each: some 600 ms for the very worst. */
export const KEY_REGEX_STEPS_MAX = 32 * 1024 * 1024;
/** A pattern: compiling what a publisher sent stays below 20 ms; each instruction is looked at for each character in the worst case. */
export const KEY_PATTERN_CHARACTERS_MAX = 512;
export const KEY_PATTERN_INSTRUCTIONS_MAX = 2_048;
/** Patterns that are computed for each message, remembered per thread. */
export const KEY_PATTERNS_CACHED_MAX = 64;
/** Items of an array that a function makes or JSON holds: each is an object of its own. */
export const KEY_ARRAY_ITEMS_MAX = 64 * 1024;
/** Digits of an integer in JSON: reckoning with it takes time by their square. */
export const KEY_INTEGER_DIGITS_MAX = 1_024;
/** Arrays in arrays of a JSON value: reading one is recursive. */
export const KEY_JSON_DEPTH_MAX = 64;
/** Waiting messages in a full chunk of a queue's line, 20 KiB, merged or scanned in 5 µs; in its first, so that idle queues take little. */
export const LINE_CHUNK_MESSAGES = 1_024;
export const LINE_CHUNK_MESSAGES_MIN = 32;
/** Expired messages leave a queue's counts within this time; they are never handed out, whatever the sweep does. */
export const EXPIRY_SWEEP_MS = 1_000;
/** Expired messages that a partition's queues take out in one tick, in 5 to 10 ms: a million have left after three seconds. */
export const EXPIRIES_PER_TICK = 16_384;
/** In expired messages, what a queue's sweep counts as beside its own; and a rejected one whose time has come, placed anew in three orders. */
export const SWEEP_COST_EXPIRIES = 8;
export const RELEASE_COST_EXPIRIES = 4;
/** Steps of a sweep that make room for a message that a full queue is offered, each of up to two chunks of a line. */
export const EXPIRY_STEPS_PER_ACCEPT = 8;
/** Hand-outs of one message after which a rejection no longer sends it on at once: it would go round among those who all reject it. */
export const HAND_OUTS_AT_ONCE_MAX = 32;
/** Expired messages that a look for the next one to hand out passes over before others get their turn. */
export const EXPIRED_PER_PEEK = 1_024;
/** Messages of a partition's memory queues that a failed commit did not store: four gathering commits. More are dropped, and counted. Each takes an entry and views, too. */
export const KEPT_BYTES_MAX = 32 * 1024 * 1024;
export const KEPT_ENTRY_BYTES = 512;
/** How often they are tried again, which spares the log, pausing by itself, copies; and how many in one turn. */
export const KEPT_RETRY_MS = 1_000;
export const KEPT_WRITES_PER_TURN = 4_096;
/** A consumer's in-flight count is 16 bits of a shared word, and Receive Maximum allows no more. */
export const CONSUMER_WINDOW_MAX = 65_535;
/** Consumers at the queues of one worker, shared among the workers they come from: a fleet of devices with a queue each. */
export const CREDIT_SLOTS_PER_OWNER = 65_536;
/** Of these for one worker's consumers at least, however many workers there are: 49 KiB, touched as they are used. */
export const CREDIT_TABLE_SLOTS_MIN = 4_096;
/** Rejected and oversized messages looked at in one pump before those behind them get their turn. */
export const ASIDE_LOOK_MAX = 64;

// Log
/** A gathering batch starts with this much memory and doubles: a quiet partition stays small. */
export const LOG_ARENA_BYTES_MIN = 1024 * 1024;
/** What gathers while a commit is under way; then publishers park. A larger message still fits alone. */
export const LOG_BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Batches kept in memory for reading, per partition: three full ones, so that what was just stored is not read from disk. */
export const LOG_READ_CACHE_BYTES_DEFAULT = 24 * 1024 * 1024;
/** Values from here on are read into memory that is used again; what is smaller is left to the collector. */
export const LOG_READ_MEMORY_BYTES_MIN = 64 * 1024;
/** Kept free for the next reads, each of at most one batch: one is read while another leaves the cache. */
export const LOG_READ_MEMORIES_FREE_MAX = 2;
/** Of one commit, for rewriting mostly dead batches, or as much as the batch it comes with if that is more. */
export const LOG_REWRITE_BYTES_MIN = 1024 * 1024;
/** Nothing is rewritten below so many dead bytes: batches that drain in order free themselves soon. */
export const LOG_DEAD_BYTES_FLOOR = 4 * 1024 * 1024;
/** A smaller dead part is not worth a rewrite. */
export const LOG_REWRITE_GAIN_BYTES_MIN = 1024;
/** A rewrite counts as at least so many bytes: 64 small ones a commit, 10 µs each. */
export const LOG_REWRITE_COST_BYTES_MIN = 16 * 1024;
/** A value up to this is merged with its neighbours: in pages of its own it would leave much of them empty. */
export const LOG_MERGE_SMALL_BYTES = 8 * 1024;
/** So many bytes together are worth a value of their own; what it is made of is read at once. */
export const LOG_MERGE_BYTES = 64 * 1024;
export const LOG_MERGE_READ_BYTES = 4 * LOG_MERGE_BYTES;
/** Fewer neighbours, between larger ones, stay as they are; more do not go into one value. */
export const LOG_MERGE_BATCHES_MIN = 8;
export const LOG_MERGE_BATCHES_MAX = 256;
/** Rows of the table looked at for each commit, about 2 µs; no fewer than one value is made of. */
export const LOG_MERGE_LOOKS = 512;
/** Of the disk, per partition, kept for settlements when it is full, so that draining a queue makes room. */
export const LOG_RESERVE_BYTES = 4 * 1024 * 1024;
/** Allocated at a time beyond what a commit needs: a call of 0.1 ms for every so many bytes that the store grows. What a new store needs first. */
export const LOG_AHEAD_BYTES = 4 * 1024 * 1024;
export const LOG_EMPTY_STORE_BYTES = 1024 * 1024;
/** Settlements alone gather so long: a small window would pay a commit each time it is used up. A fifth of what a crash may repeat. */
export const LOG_SETTLEMENTS_WAIT_MS = 10;
/** After a failed commit: the first pause, doubled up to the second; a publisher waits at most that long for its error. */
export const LOG_RETRY_MS_MIN = 20;
export const LOG_RETRY_MS_MAX = 500;
/** Between two probes of a log that cannot store; it is sound again one or two of these after its disk is. */
export const LOG_PROBE_MS = 1_000;
/** Findings kept for the statistics; all are counted and reported. */
export const LOG_DAMAGE_LIST_MAX = 100;
/** Bad values kept aside for a look; a store with more damage than this needs its backup, not copies of it. */
export const LOG_QUARANTINE_VALUES_MAX = 1_000;
/** Keys of record tables up to this are LMDB keys as they are (its limit is 1,978); longer ones by prefix and hash. */
export const LOG_KEY_BYTES_MAX = 1_024;
/** Batch numbers reserved at a time, for an emptied store remembers none, and their end: four years of a thousand commits a second. */
export const LOG_BATCH_NUMBERS_RESERVED = 65_536;
export const LOG_BATCH_NUMBERS_MAX = 2 ** 37;
/** Read in one go by a scan of the store: no read transaction lives longer. */
export const LOG_SCAN_BYTES = 1024 * 1024;
export const LOG_SCAN_VALUES = 1_024;
/** Waiting batches in one chunk of their table: 21 KiB. */
export const LOG_TABLE_CHUNK_BATCHES = 1_024;
/** Partitions of a store: each takes threads, descriptors and memory. */
export const LOG_PARTITIONS_MAX = 1_024;

// Rings (see ring/layout.ts)
/** A larger ring is no faster (128 MiB measured like 64 KiB) and is all resident in time: its writer goes round in it. */
export const RING_BYTES_MAX = 8 * 1024 * 1024;
/** A record, padding included, is at most this part of its ring: an empty ring takes any record wherever its tail stands. */
export const RING_RECORD_DIVISOR = 4;
/** This part of a ring is for settlements and control only: they pass when messages have filled the rest. */
export const RING_RESERVED_DIVISOR = 8;

// Shared subscriptions
/** Messages of a shared subscription that are in memory only are laid side by side in pages; the first is small, each twice the one before. */
export const VOLATILE_PAGE_BYTES_MIN = 4 * 1024;
export const VOLATILE_PAGE_BYTES = 256 * 1024;
/** They wait as long as their Message Expiry Interval allows; a queue must name a period. */
export const SHARED_RETENTION_MS = 100 * 365 * 24 * 3_600_000;
/** After which a message is offered to a member again whose worker could not take it over. */
export const SHARED_RETRY_MS = 100;
/** How long a member's attachment whose subscription was made again takes what was on its way to it with QoS 0. */
export const SHARED_REPLACED_MS = 1_000;

// Router
/** Levels held by one trie, 60 bytes each, and bytes of their names: a full index refuses new filters. */
export const TRIE_NODES_MAX = 16 * 1024 * 1024;
export const TRIE_NAME_BYTES_MAX = 512 * 1024 * 1024;
/** Topics whose matches are remembered, and their bytes, in each of two generations: a fleet of 100,000 devices with a topic each fits. */
export const MATCH_CACHE_TOPICS_MAX = 128 * 1024;
export const MATCH_CACHE_TOPIC_BYTES_MAX = 8 * 1024 * 1024;
/** Subscribers, queues and workers listed in remembered matches, in each generation: 8 bytes each. */
export const MATCH_CACHE_ENTRIES_MAX = 1024 * 1024;

// Transport
/** Connections whose CONNECT is not complete: beyond it the oldest makes room, so that idle strangers keep nobody out. */
export const STRANGERS_MAX = 4_096;
/** How often it is looked whether strangers that wait for their turn may be read. */
export const ADMISSION_CHECK_MS = 20;
/** What all strangers together may have sent: a whole CONNECT rarely takes more than one read, so this holds the slow ones. */
export const STRANGERS_BUDGET_BYTES = 16 * 1024 * 1024;
/** The kernel's queue of connections not yet accepted (it takes the smaller of this and net.core.somaxconn). */
export const ACCEPT_BACKLOG = 4_096;
/** One read of a socket, as much as libuv asks for by itself; in front of it, for the beginning of a packet: a larger one gets a buffer of its own. */
export const READ_BUFFER_BYTES = 64 * 1024;
export const READ_HEADROOM_BYTES = 4 * 1024;
/** Spare buffers for such beginnings, kept per thread. */
export const CARRY_SPARE_MAX = 256;
/** What a thread's connections may hold back (unfinished packets, pauses in mid-read): 256 packets of the default maximum. */
export const INPUT_BUDGET_BYTES = 256 * 1024 * 1024;
/** Output is handed out in chunks: ten thousand connections with one packet each take 160 MiB. The arena grows by a thousand of them. */
export const OUTPUT_CHUNK_BYTES = 16 * 1024;
export const OUTPUT_SLAB_BYTES = 16 * 1024 * 1024;
/** All output of a thread that its kernel has not taken. */
export const OUTPUT_BUDGET_BYTES = 256 * 1024 * 1024;
/** Chunks in one write: half a mebibyte, so that `bytesWritten` moves while a slow peer reads. */
export const OUTPUT_BATCH_CHUNKS_MAX = 32;
/** With this much unwritten no more deliveries go in, only acknowledgements; below the second, half a millisecond at 1 Gbit/s, they go on. */
export const OUTPUT_HIGH_BYTES = 256 * 1024;
export const OUTPUT_LOW_BYTES = 64 * 1024;
/** A slow reader is cut off when it has this much unwritten and something is to be added. */
export const OUTPUT_CONNECTION_BYTES_MAX = 4 * 1024 * 1024;
/** When more than the first of a part (input, output) is in use, who would take so long to move what it holds, at its pace over some time, is cut off, down to the second; when all of it is, so many are compared. */
export const PART_TIGHT = 0.5;
export const PART_RELIEVED = 0.375;
export const SLOW_HOLD_MS = 10_000;
export const PACE_MS = 2_000;
export const HOLDERS_COMPARED_MAX = 1_024;
/** A peer that takes nothing of its output, or sends nothing more of a packet, for so long is cut off; a look at it so often makes it so late. */
export const STALLED_MS_DEFAULT = 60_000;
export const STALL_CHECK_MS = 1_000;
/** Time for a peer to read the last bytes (CONNACK, DISCONNECT) and to close after our FIN. */
export const END_DEADLINE_MS = 2_000;

// Transport: what is around MQTT bytes
/** The header of the PROXY protocol: addresses take 52 bytes, the extensions of any known proxy some hundred more. */
export const PROXY_HEADER_BYTES_MAX = 4 * 1024;
/** Strangers of one worker that speak TLS or WebSocket: a handshake under way takes some 50 KiB. The oldest makes room. */
export const WRAPPED_STRANGERS_MAX = 1_024;
/** The head of the HTTP request that opens a WebSocket: as on the REST port. */
export const UPGRADE_HEAD_BYTES_MAX = 16 * 1024;
/** Answers to pings that the client has not read; then it is closed. */
export const WEB_SOCKET_PONG_BYTES_MAX = 64 * 1024;

// Sessions
/** Topic aliases that one client is sent, however many it takes: they are searched one by one, and 8 KiB hold their topics. */
export const TOPIC_ALIASES_SENT_MAX = 32;
/** An alias takes 3 bytes beside the topic it is sent with first: shorter topics gain nothing, longer ones are rare. */
export const ALIASED_TOPIC_BYTES_MIN = 6;
export const ALIASED_TOPIC_BYTES_MAX = 256;
/** A client is gone when nothing came for this many times its Keep Alive [MQTT-3.1.2-22]. */
export const KEEP_ALIVE_FACTOR = 1.5;
/** A v3 publisher whose message failed is disconnected after this pause, doubled for each further failure up to the second. */
export const REFUSAL_PAUSE_MS_MIN = 1_000;
export const REFUSAL_PAUSE_MS_MAX = 30_000;
/** Clients whose pause is remembered; beyond it the one refused longest ago begins again with the first pause. */
export const REFUSALS_REMEMBERED_MAX = 65_536;
/** Messages of one session looked at in one pump: an inbox in which everything has expired is emptied in steps. */
export const SESSION_SENDS_PER_PUMP = 2_048;
/** Copies of messages that wait in memory are laid side by side in pages of this size. */
export const INBOX_PAGE_BYTES = 64 * 1024;
/** The first page of a session that is away: a hundred thousand that wait for one message each take 100 MiB. */
export const INBOX_PAGE_BYTES_MIN = 1024;
/** Pages kept for the next inbox, per thread. */
export const INBOX_PAGES_SPARE_MAX = 64;
/** What a session may keep in any case (names, will, filters, aliases); more while all take this part of the memory budget at most, or a worker's. */
export const BELONGINGS_FREE_BYTES = 4 * 1024;
export const BELONGINGS_BUDGET_PART = 0.25;
export const BELONGINGS_WORKER_BYTES = 32 * 1024 * 1024;
/** Of one session: subscriptions, each an object and a route; those with an identifier that ended, whose messages may still wait. */
export const SUBSCRIPTIONS_PER_SESSION_MAX = 100_000;
export const ENDED_IDENTIFIERS_MAX = 64;
/** Queue messages that a consumer holds while ordinary ones wait for the same window: its share of a read's worth of PUBACKs. */
export const HELD_AHEAD_MAX = 16;
/** How long the last packet identifier of a client without a lasting session is remembered, and of how many: 3,000 new clients a second. */
export const PACKET_ID_MEMORY_MS = 5 * 60_000;
export const PACKET_ID_MEMORIES_MAX = 1_000_000;

// Worker
/** Frames taken from one ring in one turn, before the other rings and the sockets get theirs. */
export const FRAMES_PER_TURN = 2_048;
/** Turns in which a question about a queue waits for what other workers had sent before it: 131,072 frames. */
export const CATCH_UP_TURNS_MAX = 64;
/** Messages handed out by one queue in one turn, and by all; those that were not reached come first in the next. */
export const HAND_OUTS_OF_QUEUE_PER_TURN = 1_024;
export const HAND_OUTS_PER_TURN = 8_192;
/** What looking at a ready queue counts as, in hand-outs: a thousand queues that are ready for one message each make a turn. */
export const PUMP_COST_HAND_OUTS = 4;
/** Sessions that get what a commit has stored for them, in one turn: a batch may hold one message for each of 65,536. */
export const SESSIONS_PUMPED_PER_TURN = 2_048;
/** Stored messages of sessions that have ended, removed in one turn: a full inbox takes 50. */
export const ENDED_MESSAGES_PER_TURN = 2_048;
/** SUBACK waits no longer for a queue that subscribing creates, far above a commit; a worker asks for so many at a time, twice a SUBSCRIBE's. */
export const WANTED_QUEUE_DEADLINE_MS = 5_000;
export const WANTED_QUEUES_MAX = 16_384;
/** A look into a queue goes on in the next turn after so many messages, bytes of them, and batches, each of them up to 8 MiB to read. */
export const LOOK_MESSAGES_PER_TURN = 256;
export const LOOK_BYTES_PER_TURN = 1024 * 1024;
export const LOOK_BATCHES_PER_TURN = 4;
/** Slots of messages that stand aside of a queue's line in one page of their slab: 304 KiB; none is ever copied as a whole. */
export const ASIDE_PAGE_SLOTS = 4_096;
/** Places in one table of an index by position or by key: 96 KiB, divided in two when it is full. */
export const INDEX_TABLE_PLACES_MAX = 8_192;
/** What a queue goes on with in steps (what comes back, what a lowered limit drops): messages at a time. */
export const QUEUE_STEP_MESSAGES = 2_048;
/** What of it is done at once: a usual window, so that nothing is put off that few messages are in. */
export const QUEUE_AT_ONCE_MESSAGES = 64;
/** What looking at one queue counts as beside its messages. */
export const WORK_COST_MESSAGES = 8;
/** Slots looked at in one step of a sweep, and how many of them count as much as an expired message. */
export const SWEEP_SLOTS_PER_STEP = 4_096;
export const SWEEP_SLOTS_PER_EXPIRY = 16;
/** A purge, and the removal of a deleted queue, likewise: about a millisecond. */
export const PURGE_MESSAGES_PER_TURN = 2_048;

// Control: HTTP
/** REST and the dashboard are for people and scripts, not for fleets; a basic authentication header takes far less than Node's own default. */
export const HTTP_CONNECTIONS_MAX = 512;
export const HTTP_HEADER_BYTES_MAX = 16 * 1024;
/** From the connection, or the request before, to the end of the head. */
export const HTTP_HEAD_DEADLINE_MS = 10_000;
/** A whole request, the largest body at 2 Mbit/s; and for the client to take a response, the longest list. */
export const HTTP_REQUEST_DEADLINE_MS = 30_000;
export const HTTP_RESPONSE_DEADLINE_MS = 30_000;
/** Longer than the pauses of a script, shorter than the patience of a proxy (60 s). */
export const HTTP_KEEP_ALIVE_MS = 55_000;
/** Requests under way on one connection: nobody pipelines but tests and attackers. */
export const HTTP_PIPELINED_REQUESTS_MAX = 32;
/** Bodies of all connections together while they are received. */
export const HTTP_BODIES_BUDGET_BYTES = 64 * 1024 * 1024;
/** A refused body is read and thrown away up to this, so that the client gets to read the answer; then it is cut off. */
export const HTTP_LINGER_BYTES_MAX = 1024 * 1024;
export const HTTP_LINGER_MS = 1_000;

// Control: REST
/** A queue's definition with the longest filter and key expression, each character escaped. */
export const REST_BODY_BYTES_MAX = 512 * 1024;
/** What a request that needs no body may send nevertheless. */
export const REST_IDLE_BODY_BYTES_MAX = 16 * 1024;
/** `POST /publish`: beside the payload, topic and properties; Base64 and JSON's escapes make a payload up to 6 times longer. */
export const REST_PUBLISH_OVERHEAD_BYTES = 512 * 1024;
export const REST_PUBLISH_ESCAPE_FACTOR = 2;
/** `POST /publish/bulk`: one body, and of its messages so many are on their way to the disk together. */
export const REST_BULK_BODY_BYTES_MAX = 8 * 1024 * 1024;
export const REST_BULK_MESSAGES_MAX = 10_000;
export const REST_BULK_WINDOW = 256;
/** A client waits this long for the workers; what was begun goes on. */
export const REST_ANSWER_DEADLINE_MS = 15_000;
/** A queue's name in a path takes three times its bytes; with the beginning of its filter, in a cursor: within HTTP_HEADER_BYTES_MAX. */
export const QUEUE_NAME_BYTES_MAX = 1_024;
export const REST_CURSOR_FILTER_CHARACTERS = 256;
/** A page of a list, as EMQX. */
export const REST_PAGE_ITEMS_MAX = 10_000;
export const REST_PAGE_ITEMS_DEFAULT = 100;
/** What one look into a queue answers with; a page ends early at it. In JSON a payload may take up to 6 times its bytes. */
export const REST_LOOK_BYTES_MAX = 8 * 1024 * 1024;
/** Between two tries to finish a change of a queue that a worker did not follow. */
export const REGISTRY_REPAIR_MS = 1_000;
/** Retained messages of one worker: a full index refuses new topics. */
export const RETAINED_MESSAGES_MAX = 10_000_000;
export const RETAINED_BYTES_MAX_DEFAULT = 4 * 1024 * 1024 * 1024;
/** Topic levels looked at in one step of a scan of retained messages, and messages passed over in one go. */
export const RETAINED_SCAN_STEPS = 4_096;
/** Topics below `$SYS`, and bytes of each with its value: written by the broker alone. */
export const SYSTEM_TOPICS_MAX = 256;
export const SYSTEM_MESSAGE_BYTES_MAX = 512;
/** Sessions and subscriptions that one turn counts for `$SYS`: below a millisecond. */
export const COUNTED_PER_TURN = 10_000;
/** Retained messages of another worker that one subscription has waiting at most. */
export const RECALL_WINDOW = 32;
/** Subscriptions of one client that are given their retained messages at a time; the others wait. */
export const RECALLS_OPEN_MAX = 16;
/** Of those that wait so many at most know what had been taken when they came: 8 bytes for each pair of workers, unless they share it. */
export const EXACT_CROSSINGS_MAX = 1_024;
/** What a worker takes from memory for one message assembled from chunks: the largest packet and its envelope. */
export const ENVELOPE_BYTES_MAX = 256 * 1024;
/** How often queues look at their deadlines, redispatch and expiry: while one is near, and else. */
export const QUEUE_TICK_MS = 50;
export const QUEUE_IDLE_TICK_MS = 1_000;
/** Publishers that found no room again in one turn; the next turn goes on with the others. Each try lays its message out. */
export const PARKED_REFUSALS_PER_TURN = 64;
/** Timers of one turn: a hundred thousand sessions may expire together. */
export const TIMERS_PER_TURN = 4_096;
/** How often idle things are looked through: remembered matches, packet identifiers, refusal pauses. */
export const HOUSEKEEPING_MS = 60_000;
/** How often freed memory goes back to the kernel: 2 to 5 ms in the pool after a million messages or connections have gone. */
export const MEMORY_RETURN_MS = 10_000;
/** What clients make happen very often is a line of the log so often. */
export const NOTICE_PERIOD_MS = 10_000;

// Raising the number of partitions
/** What gathers for one destination before it is committed: half a batch, because all destinations gather at once. */
export const RAISE_BATCH_BYTES = 4 * 1024 * 1024;
/** Retained messages read in one pass over their table: it is visited in one go, so each pass costs a scan. */
export const RAISE_RETAINED_BYTES = 64 * 1024 * 1024;
/** Records removed in one commit from where they were. */
export const RAISE_SETTLED_RECORDS = 65_536;
