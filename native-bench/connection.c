#include "connection.h"
#include "base.h"
#include "options.h"
#include "publisher.h"
#include "subscriber.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 128
#define OPEN_DEADLINE_S 30
#define READ_BYTES (256 * 1024)

struct network network;
static int poller;
static struct sockaddr_in server;

void network_init(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)options.port);
	if (inet_pton(AF_INET, options.host, &server.sin_addr) != 1) fail("--host %s: wants an IPv4 address", options.host);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0) fail("epoll_create1: %s", strerror(errno));
}

/* ---- bytes ---- */

uint8_t *queue_reserve(struct byte_queue *queue, size_t bytes)
{
	if (queue->end + bytes > queue->room && queue->begin > 0) {
		memmove(queue->block, queue->block + queue->begin, queued_bytes(queue));
		queue->end -= queue->begin;
		queue->begin = 0;
	}
	if (queue->end + bytes > queue->room) {
		size_t room = most(queue->room * 2, queue->end + bytes);
		queue->block = grown(queue->block, queue->room, room, 1);
		queue->room = room;
	}
	return queue->block + queue->end;
}

static void append(struct byte_queue *queue, const void *bytes, size_t count)
{
	memcpy(queue_reserve(queue, count), bytes, count);
	queue->end += count;
}

/* A number of `count` bytes, the highest first. */
static void append_number(struct byte_queue *queue, uint32_t number, int count)
{
	uint8_t bytes[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	append(queue, bytes + 4 - count, (size_t)count);
}

static void append_text(struct byte_queue *queue, const char *text)
{
	append_number(queue, (uint32_t)strlen(text), 2);
	append(queue, text, strlen(text));
}

/* A packet of less than 16,384 bytes: its type, its length, its body. */
static void append_packet(struct byte_queue *queue, uint32_t type, const struct byte_queue *body)
{
	size_t bytes = queued_bytes(body);
	if (bytes >= 16384) fail("a packet of %zu bytes before the first message", bytes);
	append_number(queue, type, 1);
	if (bytes >= 128) append_number(queue, (uint32_t)(bytes & 127) | 128, 1);
	append_number(queue, (uint32_t)(bytes >= 128 ? bytes >> 7 : bytes), 1);
	append(queue, body->block + body->begin, bytes);
}

/* ---- the life of one connection ---- */

static void watch(struct connection *connection, int operation, bool is_blocked)
{
	struct epoll_event event = { .events = is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = connection };
	connection->is_blocked = is_blocked;
	if (epoll_ctl(poller, operation, connection->fd, &event) != 0) fail("epoll_ctl: %s", strerror(errno));
}

static void lose(struct connection *connection, const char *why)
{
	const char *role = connection->role == PUBLISHER ? "publisher" : "subscriber";
	if (connection->stage != OPEN) fail("%s %d: %s before it was connected", role, connection->index, why);
	fprintf(stderr, "native-bench: %s %d: %s\n", role, connection->index, why);
	close(connection->fd);
	connection->stage = GONE;
	network.open--;
	network.lost++;
}

void connection_flush(struct connection *connection)
{
	struct byte_queue *out = &connection->out;
	while (queued_bytes(out) > 0) {
		ssize_t written = send(connection->fd, out->block + out->begin, queued_bytes(out), MSG_NOSIGNAL);
		if (written >= 0) {
			out->begin += (size_t)written;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			lose(connection, strerror(errno));
			return;
		}
	}
	bool waits = queued_bytes(out) > 0;
	if (!waits) out->begin = out->end = 0;
	if (waits != connection->is_blocked) watch(connection, EPOLL_CTL_MOD, waits);
}

static void dial(struct connection *connection)
{
	int on = 1;
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->fd < 0) fail("socket: %s", strerror(errno));
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	connection->dialed_ns = now_ns();
	if (connect(connection->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS)
		fail("connect: %s", strerror(errno));
	connection->stage = DIALING;
	network.dialing++;
	watch(connection, EPOLL_CTL_ADD, true);
}

static void greet(struct connection *connection)
{
	struct byte_queue body = { 0 };
	bool is_clean = connection->role != SUBSCRIBER || options.clean;
	char id[256];
	int error = 0;
	socklen_t bytes = sizeof error;
	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (error != 0) fail("connect to %s:%d: %s", options.host, options.port, strerror(error));

	snprintf(id, sizeof id, "%s%c%d", options.prefix, "psc"[connection->role], connection->index);
	append_text(&body, "MQTT");
	append_number(&body, (uint32_t)options.mqtt, 1);
	append_number(&body, is_clean ? 2 : 0, 1);
	append_number(&body, 0, 2); /* keep alive: off */
	if (options.mqtt == 5) {
		append_number(&body, is_clean ? 0 : 5, 1);
		if (!is_clean) {
			append_number(&body, 0x11, 1); /* session expiry interval */
			append_number(&body, options.expiry_s, 4);
		}
	}
	append_text(&body, id);
	append_packet(&connection->out, 0x10, &body);
	free(body.block);
	connection->stage = GREETING;
	connection_flush(connection);
}

static void settled(struct connection *connection)
{
	connection->stage = OPEN;
	network.dialing--;
	network.open++;
	histogram_add(&network.connect_ns, now_ns() - connection->dialed_ns);
}

static void subscribe(struct connection *connection)
{
	struct byte_queue body = { 0 };
	append_number(&body, 1, 2);
	if (options.mqtt == 5) append_number(&body, 0, 1);
	append_text(&body, connection->filter);
	append_number(&body, (uint32_t)options.sub_qos, 1);
	append_packet(&connection->out, 0x82, &body);
	free(body.block);
	connection->stage = SUBSCRIBING;
	connection_flush(connection);
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
	else settled(connection);
}

static void on_packet(struct connection *connection, uint8_t first, const uint8_t *body, size_t bytes, uint64_t ns)
{
	switch (first >> 4) {
	case 2: on_connack(connection, body, bytes); break;
	case 3:
		if (connection->role != SUBSCRIBER) fail("a PUBLISH to a connection that subscribed to nothing");
		subscriber_on_publish(connection->owner, first & 15, body, bytes, ns);
		break;
	case 4: publisher_on_puback(connection->owner, body, bytes, ns); break;
	case 9:
		if (bytes < 3 || body[bytes - 1] > 2) fail("the server refused %s with code 0x%02x", connection->filter, body[bytes - 1]);
		if (connection->stage == SUBSCRIBING) settled(connection);
		break;
	case 13: break;
	case 14: fprintf(stderr, "native-bench: DISCONNECT from the server, code 0x%02x\n", bytes > 0 ? body[0] : 0u); break;
	default: fail("a packet of type %d from the server", first >> 4);
	}
}

/* Handles the whole packets at `at`; answers how many bytes they were. */
static size_t take_packets(struct connection *connection, const uint8_t *at, size_t bytes, uint64_t ns)
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

/* Usually packets are taken straight from the shared read block; only the start of an unfinished one is kept. */
static void on_readable(struct connection *connection)
{
	static uint8_t block[READ_BYTES];
	ssize_t got = recv(connection->fd, block, sizeof block, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got <= 0) {
		lose(connection, got == 0 ? "closed by the server" : strerror(errno));
		return;
	}
	struct byte_queue *kept = &connection->in;
	uint64_t ns = now_ns();
	if (queued_bytes(kept) == 0) {
		size_t done = take_packets(connection, block, (size_t)got, ns);
		append(kept, block + done, (size_t)got - done);
	} else {
		append(kept, block, (size_t)got);
		kept->begin += take_packets(connection, kept->block + kept->begin, queued_bytes(kept), ns);
	}
	if (queued_bytes(kept) == 0) kept->begin = kept->end = 0;
	if (connection->stage == OPEN && queued_bytes(&connection->out) > 0 && !connection->is_blocked) connection_flush(connection);
}

static void on_event(struct connection *connection, uint32_t events)
{
	if (connection->stage == GONE) return;
	if (connection->stage == DIALING) {
		greet(connection);
		return;
	}
	if (events & ~(uint32_t)EPOLLOUT) on_readable(connection);
	if (connection->stage == GONE || !(events & EPOLLOUT)) return;
	connection_flush(connection);
	if (connection->role == PUBLISHER && connection->stage == OPEN && !connection->is_blocked) publisher_wake(connection->owner);
}

void network_wait(uint64_t deadline_ns)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	uint64_t ns = options.spin ? deadline_ns : now_ns(), left_ns = deadline_ns > ns ? deadline_ns - ns : 0;
	struct timespec timeout = { (time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S) };
	int count = epoll_pwait2(poller, events, EVENTS_PER_WAIT, &timeout, NULL);
	if (count < 0 && errno != EINTR) fail("epoll_pwait2: %s", strerror(errno));
	for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
}

void network_open(struct connection **connections, int count, void (*turn)(uint64_t deadline_ns))
{
	uint64_t deadline_ns = later_ns(now_ns(), OPEN_DEADLINE_S);
	int dialed = 0, goal = network.open + count;
	while (network.open < goal) {
		while (dialed < count && network.dialing < options.handshakes) dial(connections[dialed++]);
		turn(later_ns(now_ns(), 0.2));
		if (now_ns() > deadline_ns) fail("%d of %d connections within %d s", network.open, goal, OPEN_DEADLINE_S);
	}
}

void network_close(struct connection **connections, int count)
{
	static const uint8_t disconnect[2] = { 0xe0, 0 };
	uint8_t rest[4096];
	struct timeval patience = { 0, 250000 };
	for (int i = 0; i < count; i++) {
		if (connections[i]->stage != OPEN) continue;
		if (send(connections[i]->fd, disconnect, sizeof disconnect, MSG_NOSIGNAL) == sizeof disconnect)
			shutdown(connections[i]->fd, SHUT_WR);
	}
	/* The end of the stream says that the server has read all we sent, the last acknowledgements too. */
	for (int i = 0; i < count; i++) {
		if (connections[i]->stage != OPEN) continue;
		fcntl(connections[i]->fd, F_SETFL, 0);
		setsockopt(connections[i]->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		while (recv(connections[i]->fd, rest, sizeof rest, 0) > 0) continue;
		close(connections[i]->fd);
		connections[i]->stage = GONE;
		network.open--;
	}
}
