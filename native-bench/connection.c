#include "connection.h"
#include "base.h"
#include "options.h"
#include "protocol.h"
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

static void on_dialed(struct connection *connection)
{
	int error = 0;
	socklen_t bytes = sizeof error;
	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (error != 0) fail("connect to %s:%d: %s", options.host, options.port, strerror(error));
	connection->stage = GREETING;
	protocol()->greet(connection);
	connection_flush(connection);
}

void connection_settled(struct connection *connection)
{
	connection->stage = OPEN;
	network.dialing--;
	network.open++;
	histogram_add(&network.connect_ns, now_ns() - connection->dialed_ns);
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
		size_t done = protocol()->take(connection, block, (size_t)got, ns);
		queue_append(kept, block + done, (size_t)got - done);
	} else {
		queue_append(kept, block, (size_t)got);
		kept->begin += protocol()->take(connection, kept->block + kept->begin, queued_bytes(kept), ns);
	}
	if (queued_bytes(kept) == 0) kept->begin = kept->end = 0;
	if (connection->stage != GONE && queued_bytes(&connection->out) > 0 && !connection->is_blocked) connection_flush(connection);
}

static void on_event(struct connection *connection, uint32_t events)
{
	if (connection->stage == GONE) return;
	if (connection->stage == DIALING) {
		on_dialed(connection);
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
	uint8_t rest[4096];
	struct timeval patience = { 0, 250000 };
	for (int i = 0; i < count; i++) {
		if (connections[i]->stage != OPEN) continue;
		protocol()->say_goodbye(connections[i]);
		connection_flush(connections[i]);
		if (connections[i]->stage == OPEN) shutdown(connections[i]->fd, SHUT_WR);
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
