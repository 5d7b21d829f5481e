/* Subscribers: check every message, count it for their audience, acknowledge it at once or later. */
#ifndef SUBSCRIBER_H
#define SUBSCRIBER_H
#include "audience.h"
#include "connection.h"

struct postponed { uint64_t due_ns, delivery; };

/* One message as it arrived; its bytes are the connection's. */
struct message {
	const uint8_t *topic, *payload;
	size_t topic_bytes, payload_bytes;
	bool is_repeated;  /* as the server says */
	uint64_t delivery; /* what to acknowledge; 0: nothing */
};

struct subscriber {
	struct connection connection;
	struct audience *audience;
	uint64_t received;
	uint64_t *seen_end; /* by publisher: the highest number seen here + 1 */
	struct postponed *postponed; /* a ring, ordered by time */
	size_t postponed_first, postponed_count, postponed_room;
	uint64_t busy_until_ns; /* --serial: when the last postponed one is done */
};

struct receiving {
	struct subscriber *subscribers;
	uint64_t received, distinct, duplicates, dup_flag, stale, invalid, bad_topic, out_of_order;
	uint64_t first_ns, last_ns;
	struct histogram e2e_ns;
};
extern struct receiving receiving;

void subscribers_init(void);
void subscriber_on_message(struct subscriber *subscriber, const struct message *message, uint64_t ns);
/* Sends the acknowledgements that are due; answers when the next one is. */
uint64_t subscribers_acknowledge(uint64_t ns);
bool subscribers_owe_acknowledgements(void);
#endif
