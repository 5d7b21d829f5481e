#include "subscriber.h"
#include "base.h"
#include "options.h"
#include "payload.h"
#include "protocol.h"
#include <stdlib.h>
#include <string.h>

struct receiving receiving;

void subscribers_init(void)
{
	receiving.subscribers = zeroed((size_t)options.subs, sizeof *receiving.subscribers);
	for (int i = 0; i < options.subs; i++) {
		struct subscriber *subscriber = &receiving.subscribers[i];
		subscriber->connection.index = i;
		subscriber->connection.owner = subscriber;
		subscriber->connection.role = options.mode == MODE_CONNECT ? BYSTANDER : SUBSCRIBER;
		if (!mode_subscribes()) continue;
		subscriber->connection.filter = expanded(options.filters[i % options.filter_count], i);
		subscriber->audience = audience_join(subscriber->connection.filter);
		subscriber->seen_end = zeroed((size_t)options.pubs, sizeof *subscriber->seen_end);
	}
}

static void count(struct subscriber *subscriber, const struct payload *payload, bool dup_flag, uint64_t ns)
{
	receiving.received++;
	subscriber->received++;
	if (receiving.first_ns == 0) receiving.first_ns = ns;
	receiving.last_ns = ns;
	if (dup_flag) receiving.dup_flag++;
	if (!sequence_insert(&subscriber->audience->received[payload->sender], payload->number)) {
		receiving.duplicates++;
		return;
	}
	receiving.distinct++;
	if (publishing.owed > 0) publishing.owed--;
	uint64_t *seen_end = &subscriber->seen_end[payload->sender];
	if (payload->number < *seen_end) receiving.out_of_order++;
	else *seen_end = payload->number + 1;
	if (is_measured(payload->sent_ns)) histogram_add(&receiving.e2e_ns, ns > payload->sent_ns ? ns - payload->sent_ns : 0);
}

static void check(struct subscriber *subscriber, const struct message *message, uint64_t ns)
{
	struct payload payload;
	if (!payload_read(message->payload, message->payload_bytes, &payload)) {
		receiving.invalid++;
		return;
	}
	if (options.run_id == 0) options.run_id = payload.run; /* a drain takes the run of the first message it sees */
	if (payload.run != options.run_id) {
		receiving.stale++;
		return;
	}
	if (payload.sender >= (uint32_t)options.pubs) {
		receiving.invalid++;
		return;
	}
	const char *expected = publishing.publishers[payload.sender].topic;
	if (strlen(expected) != message->topic_bytes || memcmp(expected, message->topic, message->topic_bytes) != 0) {
		receiving.bad_topic++;
		return;
	}
	count(subscriber, &payload, message->is_repeated, ns);
}

static void postpone(struct subscriber *subscriber, uint64_t delivery, uint64_t ns)
{
	if (subscriber->postponed_count == subscriber->postponed_room) {
		size_t room = subscriber->postponed_room * 2 + 64;
		struct postponed *ring = zeroed(room, sizeof *ring);
		for (size_t i = 0; i < subscriber->postponed_count; i++)
			ring[i] = subscriber->postponed[(subscriber->postponed_first + i) % subscriber->postponed_room];
		free(subscriber->postponed);
		subscriber->postponed = ring;
		subscriber->postponed_room = room;
		subscriber->postponed_first = 0;
	}
	uint64_t from_ns = options.serial ? most(ns, subscriber->busy_until_ns) : ns;
	subscriber->busy_until_ns = later_ns(from_ns, options.delay_ms / 1e3);
	size_t at = (subscriber->postponed_first + subscriber->postponed_count++) % subscriber->postponed_room;
	subscriber->postponed[at] = (struct postponed){ subscriber->busy_until_ns, delivery };
}

void subscriber_on_message(struct subscriber *subscriber, const struct message *message, uint64_t ns)
{
	check(subscriber, message, ns);
	if (message->delivery == 0) return;
	if (options.delay_ms > 0) postpone(subscriber, message->delivery, ns);
	else protocol()->acknowledge(&subscriber->connection, message->delivery);
}

uint64_t subscribers_acknowledge(uint64_t ns)
{
	uint64_t next_ns = NEVER_NS;
	if (options.delay_ms == 0 || receiving.subscribers == NULL) return next_ns;
	for (int i = 0; i < options.subs; i++) {
		struct subscriber *subscriber = &receiving.subscribers[i];
		struct connection *connection = &subscriber->connection;
		if (connection->stage != OPEN) continue;
		for (; subscriber->postponed_count > 0; subscriber->postponed_count--) {
			const struct postponed *first = &subscriber->postponed[subscriber->postponed_first];
			if (first->due_ns > ns) {
				next_ns = least(next_ns, first->due_ns);
				break;
			}
			protocol()->acknowledge(connection, first->delivery);
			subscriber->postponed_first = (subscriber->postponed_first + 1) % subscriber->postponed_room;
		}
		if (queued_bytes(&connection->out) > 0 && !connection->is_blocked) connection_flush(connection);
	}
	return next_ns;
}

bool subscribers_owe_acknowledgements(void)
{
	for (int i = 0; receiving.subscribers != NULL && i < options.subs; i++) {
		const struct subscriber *subscriber = &receiving.subscribers[i];
		if (subscriber->connection.stage != OPEN) continue;
		if (subscriber->postponed_count > 0 || queued_bytes(&subscriber->connection.out) > 0) return true;
	}
	return false;
}
