/* Publishers: as fast as their windows allow, or by a schedule. */
#ifndef PUBLISHER_H
#define PUBLISHER_H
#include "connection.h"
#include "sequence.h"

struct unacknowledged { uint64_t number, stamp_ns; }; /* stamp 0: the packet identifier is free */

struct publisher {
	struct connection connection;
	char *topic;
	uint8_t *packet; /* a finished PUBLISH; identifier and payload are written into its copies */
	size_t packet_bytes, identifier_at, payload_at;
	uint64_t next_number, quota;
	uint64_t audiences; /* deliveries a message should cause */
	struct unacknowledged *window; /* by packet identifier - 1 */
	uint16_t *free_identifiers;    /* a stack */
	uint32_t window_size, free_count;
	struct sequence_set acknowledged;
	bool is_runnable;
	struct publisher *next_runnable;
};

struct publishing {
	struct publisher *publishers;
	bool is_on;
	uint64_t published, acked, ack_errors;
	uint64_t first_ns, last_sent_ns, last_ack_ns;
	uint64_t owed; /* deliveries on their way, for --e2e-window */
	struct histogram ack_ns, lag_ns;
};
extern struct publishing publishing;

/* Messages stamped in this span count for the latencies. */
struct span { uint64_t from_ns, to_ns; };
extern struct span measured;
static inline bool is_measured(uint64_t ns) { return ns >= measured.from_ns && ns < measured.to_ns; }

void publishers_init(void);
void publishers_begin(uint64_t ns);
/* Lets the publishers send what they may; answers when the next message is due (now, when some could go on at once). */
uint64_t publishers_run(uint64_t ns);
void publishers_wake_all(void);
void publisher_wake(struct publisher *publisher);
void publisher_limit(struct publisher *publisher, uint32_t receive_maximum);
/* The server has it, or refused it, whatever stands under that identifier. */
void publisher_on_acknowledged(struct publisher *publisher, uint32_t identifier, bool is_refused, uint64_t ns);
/* Messages that were due by then and could not be sent. */
uint64_t publishers_behind(uint64_t ns);
#endif
