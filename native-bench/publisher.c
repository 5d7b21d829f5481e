#include "publisher.h"
#include "audience.h"
#include "base.h"
#include "options.h"
#include "payload.h"
#include "protocol.h"
#include <string.h>

/* A connection is not given more before so much of it is written: larger writes gain nothing, and stamps grow old. */
#define OUT_BYTES_MAX (64 * 1024)

struct publishing publishing;
struct span measured = { NEVER_NS, 0 };

static struct publisher *first_runnable, **last_runnable = &first_runnable;
static uint64_t schedule_step; /* the next message of all publishers together, by --rate */

static void publisher_init(struct publisher *publisher, int index)
{
	publisher->connection.role = PUBLISHER;
	publisher->connection.index = index;
	publisher->connection.owner = publisher;
	publisher->topic = expanded(options.topic, index);

	protocol()->lay_out(publisher);

	uint64_t pubs = (uint64_t)options.pubs, share = options.count / pubs, rest = options.count % pubs;
	publisher->quota = options.count == 0 ? UINT64_MAX : share + ((uint64_t)index < rest ? 1 : 0);
	publisher->window_size = (uint32_t)options.inflight;
	publisher->window = zeroed(publisher->window_size, sizeof *publisher->window);
	publisher->free_identifiers = zeroed(publisher->window_size, sizeof *publisher->free_identifiers);
	for (uint32_t i = 0; i < publisher->window_size; i++)
		publisher->free_identifiers[i] = (uint16_t)(publisher->window_size - i);
	publisher->free_count = publisher->window_size;
}

void publishers_init(void)
{
	publishing.publishers = zeroed((size_t)options.pubs, sizeof *publishing.publishers);
	for (int i = 0; i < options.pubs; i++) publisher_init(&publishing.publishers[i], i);
}

void publisher_limit(struct publisher *publisher, uint32_t receive_maximum)
{
	if (receive_maximum == 0 || receive_maximum >= publisher->window_size) return;
	/* The stack begins with the highest identifiers: those are given up. */
	uint32_t given_up = publisher->window_size - receive_maximum;
	memmove(publisher->free_identifiers, publisher->free_identifiers + given_up, receive_maximum * sizeof *publisher->free_identifiers);
	publisher->window_size = publisher->free_count = receive_maximum;
}

void publisher_wake(struct publisher *publisher)
{
	if (publisher->is_runnable) return;
	publisher->is_runnable = true;
	publisher->next_runnable = NULL;
	*last_runnable = publisher;
	last_runnable = &publisher->next_runnable;
}

void publishers_wake_all(void)
{
	for (int i = 0; i < options.pubs; i++) publisher_wake(&publishing.publishers[i]);
}

void publishers_begin(uint64_t ns)
{
	publishing.first_ns = ns;
	publishing.is_on = true;
	for (int i = 0; i < options.pubs; i++)
		publishing.publishers[i].audiences = audiences_of(publishing.publishers[i].topic);
	publishers_wake_all();
}

static uint64_t due_ns(uint64_t step)
{
	return publishing.first_ns + (uint64_t)((double)step * (double)NS_PER_S / options.rate_per_s);
}

uint64_t publishers_behind(uint64_t ns)
{
	if (options.rate_per_s == 0) return 0;
	uint64_t due = (uint64_t)((double)(ns - publishing.first_ns) / (double)NS_PER_S * options.rate_per_s);
	if (options.count > 0) due = least(due, options.count);
	return due > publishing.published ? due - publishing.published : 0;
}

static bool may_send(const struct publisher *publisher)
{
	if (!publishing.is_on || publisher->connection.stage != OPEN || publisher->next_number == publisher->quota) return false;
	if (options.qos > 0 && publisher->free_count == 0) return false;
	return options.e2e_window == 0 || publishing.owed + publisher->audiences <= options.e2e_window;
}

static void send_one(struct publisher *publisher, uint64_t stamp_ns)
{
	struct payload payload = {
		.run = options.run_id, .sender = (uint32_t)publisher->connection.index, .bytes = (uint32_t)options.size_bytes,
		.number = publisher->next_number++, .sent_ns = stamp_ns,
	};
	uint8_t *packet = queue_reserve(&publisher->connection.out, publisher->packet_bytes);
	memcpy(packet, publisher->packet, publisher->payload_at);
	if (options.qos > 0) {
		uint16_t identifier = publisher->free_identifiers[--publisher->free_count];
		publisher->window[identifier - 1] = (struct unacknowledged){ payload.number, stamp_ns };
		protocol()->mark(publisher, packet, identifier);
	}
	payload_write(packet + publisher->payload_at, &payload);
	publisher->connection.out.end += publisher->packet_bytes;
	publishing.published++;
	publishing.owed += publisher->audiences;
}

/* Answers true when only the bound of its output stopped it. */
static bool send_some(struct publisher *publisher)
{
	struct connection *connection = &publisher->connection;
	bool is_full = false;
	while (!is_full && may_send(publisher)) {
		uint64_t ns = now_ns(), stamp_ns = ns;
		if (options.rate_per_s > 0) {
			stamp_ns = due_ns(publisher->next_number * (uint64_t)options.pubs + (uint64_t)connection->index);
			if (stamp_ns > ns) break;
			if (is_measured(ns)) histogram_add(&publishing.lag_ns, ns - stamp_ns);
		}
		send_one(publisher, stamp_ns);
		publishing.last_sent_ns = ns;
		is_full = queued_bytes(&connection->out) >= OUT_BYTES_MAX;
	}
	if (connection->stage == OPEN && queued_bytes(&connection->out) > 0) connection_flush(connection);
	return is_full && connection->stage == OPEN && !connection->is_blocked;
}

uint64_t publishers_run(uint64_t ns)
{
	bool by_schedule = publishing.is_on && options.rate_per_s > 0;
	for (; by_schedule && due_ns(schedule_step) <= ns; schedule_step++)
		publisher_wake(&publishing.publishers[schedule_step % (uint64_t)options.pubs]);

	struct publisher *publisher = first_runnable;
	first_runnable = NULL;
	last_runnable = &first_runnable;
	while (publisher != NULL) {
		struct publisher *next = publisher->next_runnable;
		publisher->is_runnable = false;
		if (!publisher->connection.is_blocked && send_some(publisher)) publisher_wake(publisher);
		publisher = next;
	}
	if (first_runnable != NULL) return ns;
	return by_schedule ? due_ns(schedule_step) : NEVER_NS;
}

void publisher_on_acknowledged(struct publisher *publisher, uint32_t identifier, bool is_refused, uint64_t ns)
{
	if (identifier == 0 || identifier > (uint32_t)options.inflight || publisher->window[identifier - 1].stamp_ns == 0)
		fail("an acknowledgement of packet identifier %u, which is not in use", identifier);
	struct unacknowledged *waiting = &publisher->window[identifier - 1];
	if (is_measured(waiting->stamp_ns)) histogram_add(&publishing.ack_ns, ns - waiting->stamp_ns);
	waiting->stamp_ns = 0;
	publisher->free_identifiers[publisher->free_count++] = (uint16_t)identifier;
	if (is_refused) {
		publishing.ack_errors++;
	} else {
		publishing.acked++;
		publishing.last_ack_ns = ns;
		sequence_insert(&publisher->acknowledged, waiting->number);
	}
	publisher_wake(publisher);
}
