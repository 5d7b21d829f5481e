/*
 * What connections, publishers and subscribers leave to the protocol that is spoken: MQTT 3.1.1 and 5 (mqtt.c), or
 * AMQP 0-9-1 (amqp.c, with --amqp).
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H
#include "connection.h"
#include "publisher.h"

struct protocol {
	/* TCP is there: begins the handshake, which ends with connection_settled(). */
	void (*greet)(struct connection *connection);
	/* Handles the whole packets at `at`; answers how many bytes they were. */
	size_t (*take)(struct connection *connection, const uint8_t *at, size_t bytes, uint64_t ns);
	/* Lays out the publisher's packet, with room for the payload; once its topic is known. */
	void (*lay_out)(struct publisher *publisher);
	/* Finishes a copy of that packet, sent under an identifier of the window; the payload comes after it. */
	void (*mark)(struct publisher *publisher, uint8_t *packet, uint16_t identifier);
	/* Queues the acknowledgement of a delivery. */
	void (*acknowledge)(struct connection *connection, uint64_t delivery);
	/* Queues the last packet of a connection. */
	void (*say_goodbye)(struct connection *connection);
};

extern const struct protocol mqtt, amqp;
/* The one that the options choose. */
const struct protocol *protocol(void);
#endif
