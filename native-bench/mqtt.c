/* MQTT 3.1.1 and 5: the handshake, PUBLISH both ways, PUBACK both ways. */
#include "base.h"
#include "options.h"
#include "protocol.h"
#include "subscriber.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct protocol *protocol(void) { return options.amqp_queue_type != NULL ? &amqp : &mqtt; }

static void append_text(struct byte_queue *queue, const char *text)
{
	queue_append_number(queue, strlen(text), 2);
	queue_append(queue, text, strlen(text));
}

/* A packet of less than 16,384 bytes: its type, its length, its body. */
static void append_packet(struct byte_queue *queue, uint32_t type, const struct byte_queue *body)
{
	size_t bytes = queued_bytes(body);
	if (bytes >= 16384) fail("a packet of %zu bytes before the first message", bytes);
	queue_append_number(queue, type, 1);
	if (bytes >= 128) queue_append_number(queue, (bytes & 127) | 128, 1);
	queue_append_number(queue, bytes >= 128 ? bytes >> 7 : bytes, 1);
	queue_append(queue, body->block + body->begin, bytes);
}

static void greet(struct connection *connection)
{
	struct byte_queue body = { 0 };
	bool is_clean = connection->role != SUBSCRIBER || options.clean;
	char id[256];
	snprintf(id, sizeof id, "%s%c%d", options.prefix, "psc"[connection->role], connection->index);
	append_text(&body, "MQTT");
	queue_append_number(&body, (uint32_t)options.mqtt, 1);
	queue_append_number(&body, is_clean ? 2 : 0, 1);
	queue_append_number(&body, 0, 2); /* keep alive: off */
	if (options.mqtt == 5) {
		queue_append_number(&body, is_clean ? 0 : 5, 1);
		if (!is_clean) {
			queue_append_number(&body, 0x11, 1); /* session expiry interval */
			queue_append_number(&body, options.expiry_s, 4);
		}
	}
	append_text(&body, id);
	append_packet(&connection->out, 0x10, &body);
	free(body.block);
}

static void subscribe(struct connection *connection)
{
	struct byte_queue body = { 0 };
	queue_append_number(&body, 1, 2);
	if (options.mqtt == 5) queue_append_number(&body, 0, 1);
	append_text(&body, connection->filter);
	queue_append_number(&body, (uint32_t)options.sub_qos, 1);
	append_packet(&connection->out, 0x82, &body);
	free(body.block);
	connection->stage = SUBSCRIBING;
}

/* The Receive Maximum among the properties of a CONNACK; 65,535 when it is not there. MQTT 5, section 3.2.2.3. */
static uint32_t receive_maximum_of(const uint8_t *at, const uint8_t *end)
{
	while (end - at >= 3) {
		switch (*at) {
		case 0x21: return (uint32_t)(at[1] << 8 | at[2]);
		case 0x24: case 0x25: case 0x28: case 0x29: case 0x2a: at += 2; break;
		case 0x13: case 0x22: at += 3; break;
		case 0x11: case 0x27: at += 5; break;
		case 0x26: /* a user property: two strings */
			at += 3 + (at[1] << 8 | at[2]);
			if (end - at >= 2) at += 2 + (at[0] << 8 | at[1]);
			break;
		default: at += 3 + (at[1] << 8 | at[2]); /* all others are one string */
		}
	}
	return 65535;
}

static void on_connack(struct connection *connection, const uint8_t *body, size_t bytes)
{
	if (bytes < 2) fail("CONNACK of %zu bytes", bytes);
	if (body[1] != 0) fail("the server refused a connection with code 0x%02x", body[1]);
	bool is_resumed = (body[0] & 1) != 0;
	if (is_resumed) network.resumed++;
	if (connection->role == PUBLISHER && options.mqtt == 5 && bytes > 3) {
		size_t at = 3; /* behind a property length of one byte; of two when it is 128 or more */
		if (body[2] & 128) at = 4;
		publisher_limit(connection->owner, receive_maximum_of(body + at, body + bytes));
	}
	bool has_subscription = is_resumed && options.mode == MODE_DRAIN;
	bool only_removes = options.clean && options.mode == MODE_SUBSCRIBE;
	if (connection->filter != NULL && !has_subscription && !only_removes) subscribe(connection);
	else connection_settled(connection);
}

static void on_publish(struct connection *connection, uint32_t flags, const uint8_t *body, size_t bytes, uint64_t ns)
{
	uint32_t qos = flags >> 1 & 3;
	size_t topic_bytes = bytes < 2 ? 0 : (size_t)(body[0] << 8 | body[1]), at = 2 + topic_bytes;
	uint16_t identifier = 0;
	if (qos > 1 || at + (qos > 0 ? 2 : 0) > bytes) fail("a malformed PUBLISH from the server");
	if (qos > 0) {
		identifier = (uint16_t)(body[at] << 8 | body[at + 1]);
		at += 2;
	}
	if (options.mqtt == 5) {
		size_t properties = 0;
		for (int shift = 0; at < bytes; shift += 7) {
			properties |= (size_t)(body[at] & 127) << shift;
			if ((body[at++] & 128) == 0) break;
		}
		at += properties;
		if (at > bytes) fail("a PUBLISH with malformed properties from the server");
	}
	struct message message = {
		.topic = body + 2, .topic_bytes = topic_bytes, .payload = body + at, .payload_bytes = bytes - at,
		.is_repeated = (flags & 8) != 0, .delivery = identifier,
	};
	subscriber_on_message(connection->owner, &message, ns);
}

static void on_puback(struct publisher *publisher, const uint8_t *body, size_t bytes, uint64_t ns)
{
	uint32_t identifier = bytes < 2 ? 0 : (uint32_t)(body[0] << 8 | body[1]);
	publisher_on_acknowledged(publisher, identifier, bytes > 2 && body[2] >= 0x80, ns);
}

static void on_packet(struct connection *connection, uint8_t first, const uint8_t *body, size_t bytes, uint64_t ns)
{
	switch (first >> 4) {
	case 2: on_connack(connection, body, bytes); break;
	case 3:
		if (connection->role != SUBSCRIBER) fail("a PUBLISH to a connection that subscribed to nothing");
		on_publish(connection, first & 15, body, bytes, ns);
		break;
	case 4: on_puback(connection->owner, body, bytes, ns); break;
	case 9:
		if (bytes < 3 || body[bytes - 1] > 2) fail("the server refused %s with code 0x%02x", connection->filter, body[bytes - 1]);
		if (connection->stage == SUBSCRIBING) connection_settled(connection);
		break;
	case 13: break;
	case 14: fprintf(stderr, "native-bench: DISCONNECT from the server, code 0x%02x\n", bytes > 0 ? body[0] : 0u); break;
	default: fail("a packet of type %d from the server", first >> 4);
	}
}

static size_t take(struct connection *connection, const uint8_t *at, size_t bytes, uint64_t ns)
{
	size_t done = 0;
	while (connection->stage != GONE) {
		size_t length = 0, header = 1;
		for (;; header++) {
			if (done + header >= bytes) return done;
			if (header > 4) fail("a packet length of more than 4 bytes from the server");
			uint8_t digit = at[done + header];
			length |= (size_t)(digit & 127) << (7 * (header - 1));
			if ((digit & 128) == 0) break;
		}
		header++;
		if (done + header + length > bytes) return done;
		on_packet(connection, at[done], at + done + header, length, ns);
		done += header + length;
	}
	return done;
}

static size_t length_bytes(size_t length) { return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4; }

static void lay_out(struct publisher *publisher)
{
	size_t topic_bytes = strlen(publisher->topic), identifier = options.qos > 0 ? 2 : 0, properties = options.mqtt == 5 ? 1 : 0;
	size_t length = 2 + topic_bytes + identifier + properties + options.size_bytes;
	publisher->packet_bytes = 1 + length_bytes(length) + length;
	uint8_t *at = publisher->packet = zeroed(publisher->packet_bytes, 1);
	*at++ = (uint8_t)(0x30 | options.qos << 1);
	for (; length >= 128; length >>= 7) *at++ = (uint8_t)(length | 128);
	*at++ = (uint8_t)length;
	*at++ = (uint8_t)(topic_bytes >> 8);
	*at++ = (uint8_t)topic_bytes;
	memcpy(at, publisher->topic, topic_bytes);
	publisher->identifier_at = (size_t)(at - publisher->packet) + topic_bytes;
	publisher->payload_at = publisher->identifier_at + identifier + properties;
}

static void mark(struct publisher *publisher, uint8_t *packet, uint16_t identifier)
{
	packet[publisher->identifier_at] = (uint8_t)(identifier >> 8);
	packet[publisher->identifier_at + 1] = (uint8_t)identifier;
}

static void acknowledge(struct connection *connection, uint64_t delivery)
{
	uint8_t *packet = queue_reserve(&connection->out, 4);
	packet[0] = 0x40;
	packet[1] = 2;
	packet[2] = (uint8_t)(delivery >> 8);
	packet[3] = (uint8_t)delivery;
	connection->out.end += 4;
}

static void say_goodbye(struct connection *connection) { queue_append_number(&connection->out, 0xe000, 2); }

const struct protocol mqtt = { greet, take, lay_out, mark, acknowledge, say_goodbye };
