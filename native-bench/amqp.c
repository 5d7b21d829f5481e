/*
 * AMQP 0-9-1 as RabbitMQ speaks it: one durable queue, named like the topic, behind the default exchange; persistent messages with
 * publisher confirms; consumers with a prefetch (basic.qos) that acknowledge every message by itself.
 *
 *   all         start ► tune ► connection.open ► channel.open ► queue.declare
 *   publisher   ► confirm.select ► open       subscriber   ► basic.qos ► basic.consume ► open
 */
#include "amqp-wire.h"
#include "base.h"
#include "options.h"
#include "protocol.h"
#include "subscriber.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL 1
/* Confirms may come in any order, but not so far apart. */
#define TAGS_MAX 65536u

struct session {
	/* Of a publisher: by tag % TAGS_MAX the identifier in its window, 0 when confirmed; tags below `first_tag` are confirmed. */
	uint16_t *identifiers;
	uint64_t first_tag, next_tag;
	/* Of a subscriber: the delivery whose body is awaited. */
	uint64_t delivery, body_bytes;
	bool is_repeated;
	char topic[256];
	struct byte_queue body; /* of several frames */
	uint64_t frame_bytes_max;
};

static struct session *session_of(struct connection *connection) { return connection->protocol_state; }

static const char *queue_of(const struct connection *connection)
{
	if (connection->role == PUBLISHER) return ((struct publisher *)connection->owner)->topic;
	const char *filter = connection->filter;
	return strncmp(filter, "$q/", 3) == 0 ? filter + 3 : filter;
}

/* ---- the handshake ---- */

static void greet(struct connection *connection)
{
	struct session *session = connection->protocol_state = zeroed(1, sizeof *session);
	if (connection->role == BYSTANDER) fail("--amqp measures no idle connections");
	if (connection->role == PUBLISHER) session->identifiers = zeroed(TAGS_MAX, sizeof *session->identifiers);
	session->first_tag = session->next_tag = 1;
	queue_append(&connection->out, "AMQP\0\0\x09\x01", 8);
}

static void log_in(struct byte_queue *out)
{
	static const char response[] = "\0guest\0guest";
	size_t begun = method_begin(out, 0, CONNECTION_START_OK);
	queue_append_number(out, 0, 4); /* no client properties */
	append_short_text(out, "PLAIN");
	queue_append_number(out, sizeof response - 1, 4);
	queue_append(out, response, sizeof response - 1);
	append_short_text(out, "en_US");
	frame_end(out, begun);
}

static void tune_and_open(struct connection *connection, const uint8_t *arguments)
{
	struct byte_queue *out = &connection->out;
	size_t begun = method_begin(out, 0, CONNECTION_TUNE_OK);
	session_of(connection)->frame_bytes_max = number_at(arguments + 2, 4);
	queue_append(out, arguments, 6);
	queue_append_number(out, 0, 2); /* no heartbeat */
	frame_end(out, begun);
	begun = method_begin(out, 0, CONNECTION_OPEN);
	append_short_text(out, "/");
	queue_append_number(out, 0, 2);
	frame_end(out, begun);
}

static void open_channel(struct byte_queue *out)
{
	size_t begun = method_begin(out, CHANNEL, CHANNEL_OPEN);
	queue_append_number(out, 0, 1);
	frame_end(out, begun);
}

static void declare(struct connection *connection)
{
	struct byte_queue *out = &connection->out, table = { 0 };
	append_short_text(&table, "x-queue-type");
	queue_append(&table, "S", 1);
	queue_append_number(&table, strlen(options.amqp_queue_type), 4);
	queue_append(&table, options.amqp_queue_type, strlen(options.amqp_queue_type));

	size_t begun = method_begin(out, CHANNEL, QUEUE_DECLARE);
	queue_append_number(out, 0, 2);
	append_short_text(out, queue_of(connection));
	queue_append_number(out, 2, 1); /* durable */
	queue_append_number(out, queued_bytes(&table), 4);
	queue_append(out, table.block, queued_bytes(&table));
	frame_end(out, begun);
	free(table.block);
}

static void ask_for_confirms(struct byte_queue *out)
{
	size_t begun = method_begin(out, CHANNEL, CONFIRM_SELECT);
	queue_append_number(out, 0, 1);
	frame_end(out, begun);
}

static void limit_prefetch(struct byte_queue *out)
{
	size_t begun = method_begin(out, CHANNEL, BASIC_QOS);
	queue_append_number(out, 0, 4);
	queue_append_number(out, (uint64_t)options.prefetch, 2);
	queue_append_number(out, 0, 1); /* for each consumer */
	frame_end(out, begun);
}

static void consume(struct connection *connection)
{
	struct byte_queue *out = &connection->out;
	size_t begun = method_begin(out, CHANNEL, BASIC_CONSUME);
	queue_append_number(out, 0, 2);
	append_short_text(out, queue_of(connection));
	append_short_text(out, "");
	queue_append_number(out, 0, 1); /* acknowledgements are wanted */
	queue_append_number(out, 0, 4);
	frame_end(out, begun);
}

/* ---- publishing ---- */

static void lay_out(struct publisher *publisher)
{
	struct byte_queue packet = { 0 };
	size_t begun = method_begin(&packet, CHANNEL, BASIC_PUBLISH);
	queue_append_number(&packet, 0, 2);
	append_short_text(&packet, ""); /* the default exchange */
	append_short_text(&packet, publisher->topic);
	queue_append_number(&packet, 0, 1);
	frame_end(&packet, begun);

	begun = frame_begin(&packet, FRAME_HEADER, CHANNEL);
	queue_append_number(&packet, 60, 2);
	queue_append_number(&packet, 0, 2);
	queue_append_number(&packet, options.size_bytes, 8);
	queue_append_number(&packet, 0x1000, 2); /* one property: the delivery mode, */
	queue_append_number(&packet, 2, 1);      /* persistent */
	frame_end(&packet, begun);

	begun = frame_begin(&packet, FRAME_BODY, CHANNEL);
	publisher->payload_at = packet.end;
	memset(queue_reserve(&packet, options.size_bytes), 0, options.size_bytes);
	packet.end += options.size_bytes;
	frame_end(&packet, begun);
	publisher->packet = packet.block;
	publisher->packet_bytes = packet.end;
}

/* The channel numbers messages itself, in the order of sending. */
static void mark(struct publisher *publisher, uint8_t *packet, uint16_t identifier)
{
	struct session *session = session_of(&publisher->connection);
	packet[publisher->packet_bytes - 1] = FRAME_END;
	if (session->next_tag - session->first_tag >= TAGS_MAX) fail("no confirm of message %lu", (unsigned long)session->first_tag);
	session->identifiers[session->next_tag++ % TAGS_MAX] = identifier;
}

static void confirm(struct publisher *publisher, uint64_t tag, bool is_refused, uint64_t ns)
{
	struct session *session = session_of(&publisher->connection);
	uint16_t *identifier = &session->identifiers[tag % TAGS_MAX];
	if (tag < session->first_tag || tag >= session->next_tag) fail("a confirm of message %lu", (unsigned long)tag);
	if (*identifier != 0) publisher_on_acknowledged(publisher, *identifier, is_refused, ns);
	*identifier = 0;
}

static void on_confirm(struct connection *connection, const uint8_t *arguments, bool is_refused, uint64_t ns)
{
	if (connection->role != PUBLISHER) fail("a confirm to a connection that publishes nothing");
	struct session *session = session_of(connection);
	uint64_t tag = number_at(arguments, 8);
	bool are_several = (arguments[8] & 1) != 0; /* all up to this one; 0: all there are */
	if (are_several && tag == 0) tag = session->next_tag - 1;
	for (uint64_t each = are_several ? session->first_tag : tag; each <= tag; each++)
		confirm(connection->owner, each, is_refused, ns);
	while (session->first_tag < session->next_tag && session->identifiers[session->first_tag % TAGS_MAX] == 0) session->first_tag++;
}

/* ---- consuming ---- */

/* basic.deliver: consumer tag, u64 delivery tag, bit redelivered, exchange, routing key */
static void on_deliver(struct connection *connection, const uint8_t *at, const uint8_t *end)
{
	struct session *session = session_of(connection);
	if (connection->role != SUBSCRIBER) fail("a delivery to a connection that consumes nothing");
	at += 1 + *at;
	if (end - at < 11 || end - at < 11 + at[9] || end - at < 11 + at[9] + at[10 + at[9]]) fail("a malformed basic.deliver");
	session->delivery = number_at(at, 8);
	session->is_repeated = (at[8] & 1) != 0;
	at += 9;
	at += 1 + *at;
	memcpy(session->topic, at + 1, *at);
	session->topic[*at] = 0;
}

static void on_message(struct connection *connection, const uint8_t *payload, size_t bytes, uint64_t ns)
{
	struct session *session = session_of(connection);
	struct message message = {
		.topic = (const uint8_t *)session->topic, .topic_bytes = strlen(session->topic), .payload = payload,
		.payload_bytes = bytes, .is_repeated = session->is_repeated, .delivery = session->delivery,
	};
	subscriber_on_message(connection->owner, &message, ns);
}

/* Usually a body is one frame, and is looked at where it lies. */
static void on_body(struct connection *connection, const uint8_t *payload, size_t bytes, uint64_t ns)
{
	struct session *session = session_of(connection);
	struct byte_queue *body = &session->body;
	if (queued_bytes(body) == 0 && bytes == session->body_bytes) {
		on_message(connection, payload, bytes, ns);
		return;
	}
	queue_append(body, payload, bytes);
	if (queued_bytes(body) < session->body_bytes) return;
	on_message(connection, body->block + body->begin, queued_bytes(body), ns);
	body->begin = body->end = 0;
}

static void acknowledge(struct connection *connection, uint64_t delivery)
{
	size_t begun = method_begin(&connection->out, CHANNEL, BASIC_ACK);
	queue_append_number(&connection->out, delivery, 8);
	queue_append_number(&connection->out, 0, 1); /* this one alone */
	frame_end(&connection->out, begun);
}

/* ---- frames ---- */

static void on_method(struct connection *connection, const uint8_t *at, size_t bytes, uint64_t ns)
{
	if (bytes < 4) fail("a method of %zu bytes", bytes);
	const uint8_t *arguments = at + 4, *end = at + bytes;
	enum method method = (enum method)number_at(at, 4);
	switch (method) {
	case CONNECTION_START: log_in(&connection->out); break;
	case CONNECTION_TUNE: tune_and_open(connection, arguments); break;
	case CONNECTION_OPEN_OK: open_channel(&connection->out); break;
	case CHANNEL_OPEN_OK: declare(connection); break;
	case QUEUE_DECLARE_OK:
		if (options.size_bytes + FRAME_HEAD_BYTES + 1 > session_of(connection)->frame_bytes_max)
			fail("--size %zu: more than a frame of this server", options.size_bytes);
		if (connection->role == PUBLISHER) ask_for_confirms(&connection->out);
		else limit_prefetch(&connection->out);
		break;
	case BASIC_QOS_OK: consume(connection); break;
	case BASIC_CONSUME_OK:
	case CONFIRM_SELECT_OK: connection_settled(connection); break;
	case BASIC_DELIVER: on_deliver(connection, arguments, end); break;
	case BASIC_ACK: on_confirm(connection, arguments, false, ns); break;
	case BASIC_NACK: on_confirm(connection, arguments, true, ns); break;
	case CONNECTION_CLOSE_OK: break;
	case CONNECTION_CLOSE:
	case CHANNEL_CLOSE: fail("the server closed: %d %.*s", (int)number_at(arguments, 2), (int)arguments[2], arguments + 3);
	default: fail("method %u of class %u from the server", method & 0xffff, method >> 16);
	}
}

static size_t take(struct connection *connection, const uint8_t *at, size_t bytes, uint64_t ns)
{
	size_t done = 0;
	while (connection->stage != GONE && bytes - done > FRAME_HEAD_BYTES) {
		const uint8_t *frame = at + done, *payload = frame + FRAME_HEAD_BYTES;
		if (*frame == 'A') fail("the server speaks another protocol than AMQP 0-9-1");
		size_t length = (size_t)number_at(frame + 3, 4);
		if (bytes - done < FRAME_HEAD_BYTES + length + 1) break;
		if (payload[length] != FRAME_END) fail("a frame without its end");
		if (*frame == FRAME_METHOD) on_method(connection, payload, length, ns);
		else if (*frame == FRAME_HEADER && length >= 12) session_of(connection)->body_bytes = number_at(payload + 4, 8);
		else if (*frame == FRAME_BODY) on_body(connection, payload, length, ns);
		done += FRAME_HEAD_BYTES + length + 1;
	}
	return done;
}

static void say_goodbye(struct connection *connection)
{
	size_t begun = method_begin(&connection->out, 0, CONNECTION_CLOSE);
	queue_append_number(&connection->out, 200, 2);
	append_short_text(&connection->out, "");
	queue_append_number(&connection->out, 0, 4);
	frame_end(&connection->out, begun);
}

const struct protocol amqp = { greet, take, lay_out, mark, acknowledge, say_goodbye };
