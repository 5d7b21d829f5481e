/*
 * A connection's life, all of them in one epoll set:
 *
 *   dialing ──► greeting ──► (subscribing) ──► open ──► gone
 *     TCP       handshake      SUBSCRIBE                 closed by us (ok) or by the server (counted)
 */
#ifndef CONNECTION_H
#define CONNECTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "byte-queue.h"
#include "histogram.h"

enum role { PUBLISHER, SUBSCRIBER, BYSTANDER };
enum stage { STAGE_NONE, DIALING, GREETING, SUBSCRIBING, OPEN, GONE };

struct connection {
	int fd, index;
	enum role role;
	enum stage stage;
	bool is_blocked; /* output waits for the socket */
	uint64_t dialed_ns;
	const char *filter; /* NULL: subscribes to nothing */
	struct byte_queue out, in;
	void *owner; /* its struct publisher or struct subscriber */
	void *protocol_state; /* what the protocol keeps of it, or NULL */
};

struct network {
	int dialing;      /* handshakes on their way */
	int open;
	uint64_t lost;    /* connections the server closed */
	uint64_t resumed; /* CONNACKs with session present */
	struct histogram connect_ns;
};
extern struct network network;

void network_init(void);
/* Handles what happens until `deadline_ns`, at most one round of events. */
void network_wait(uint64_t deadline_ns);
/* Opens all of them, a few at a time; fail()s when that takes too long. */
void network_open(struct connection **connections, int count, void (*turn)(uint64_t deadline_ns));
/* Says goodbye on all of them and waits until the server has closed its side. */
void network_close(struct connection **connections, int count);

/* The handshake is over. */
void connection_settled(struct connection *connection);
/* Writes what the socket takes now. */
void connection_flush(struct connection *connection);
#endif
