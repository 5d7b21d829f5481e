/*
 * limits: what this machine can do at most, whatever the broker. One JSON line a test.
 *
 *   limits disk FOLDER [SECONDS]   pwrite + fdatasync of 256-byte records, 1 to 1,000 a commit: commits and records a
 *                                  second and how long a commit takes; into a file that grows, and into one that was
 *                                  written before
 *   limits echo [SECONDS]          256-byte messages over loopback TCP to a process that returns them, 1, 100 and 1,000
 *                                  on their way: round trips a second and their latency
 */
#include "base.h"
#include "histogram.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD_BYTES 256
#define FILE_BYTES (64 << 20)

static void put_latency(const struct histogram *histogram)
{
	printf("\"us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}}\n", histogram_percentile(histogram, 0.5) / 1e3,
	       histogram_percentile(histogram, 0.99) / 1e3, histogram_percentile(histogram, 0.999) / 1e3, (double)histogram->largest / 1e3);
	fflush(stdout);
}

static void measure_disk(const char *folder, double seconds, size_t records, bool is_written_before)
{
	static char block[1 << 20];
	struct histogram *commit_ns = zeroed(1, sizeof *commit_ns);
	char path[4096];
	snprintf(path, sizeof path, "%s/limits-XXXXXX", folder);
	int file = mkstemp(path);
	if (file < 0) fail("%s: %s", path, strerror(errno));
	unlink(path);
	memset(block, 'r', sizeof block);
	for (off_t at = 0; is_written_before && at < FILE_BYTES; at += (off_t)sizeof block)
		if (pwrite(file, block, sizeof block, at) != (ssize_t)sizeof block) fail("pwrite: %s", strerror(errno));
	if (fdatasync(file) != 0) fail("fdatasync: %s", strerror(errno));

	size_t bytes = records * RECORD_BYTES;
	off_t at = 0;
	uint64_t begin_ns = now_ns(), end_ns = later_ns(begin_ns, seconds), ns = begin_ns;
	while (ns < end_ns) {
		if (is_written_before && at + (off_t)bytes > FILE_BYTES) at = 0;
		if (pwrite(file, block, bytes, at) != (ssize_t)bytes) fail("pwrite: %s", strerror(errno));
		if (fdatasync(file) != 0) fail("fdatasync: %s", strerror(errno));
		at += (off_t)bytes;
		uint64_t done_ns = now_ns();
		histogram_add(commit_ns, done_ns - ns);
		ns = done_ns;
	}
	close(file);
	double took_s = (double)(ns - begin_ns) / 1e9, commits = (double)commit_ns->count;
	printf("{\"test\":\"disk\",\"file\":\"%s\",\"records\":%zu,\"commits_per_s\":%.0f,\"records_per_s\":%.0f,",
	       is_written_before ? "written before" : "growing", records, commits / took_s, commits * (double)records / took_s);
	put_latency(commit_ns);
	free(commit_ns);
}

static void connected_pair(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &bytes) != 0 || connect(ends[0], (struct sockaddr *)&address, bytes) != 0)
		fail("loopback: %s", strerror(errno));
	ends[1] = accept(listener, NULL, NULL);
	close(listener);
	for (int i = 0; i < 2; i++) setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Answers false when the other side is gone. */
static bool send_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
		if (sent <= 0) return false;
		bytes += sent;
		count -= (size_t)sent;
	}
	return true;
}

static void return_everything(int fd)
{
	static char block[256 * 1024];
	ssize_t got;
	while ((got = recv(fd, block, sizeof block, 0)) > 0 && send_all(fd, block, (size_t)got)) continue;
	_exit(0);
}

static void measure_echo(double seconds, size_t window)
{
	static char block[256 * 1024];
	struct histogram *trip_ns = zeroed(1, sizeof *trip_ns);
	uint64_t *sent_ns = zeroed(window, sizeof *sent_ns); /* a ring: what comes back comes in order */
	char *messages = zeroed(window, RECORD_BYTES);
	int ends[2];
	connected_pair(ends);
	pid_t child = fork();
	if (child < 0) fail("fork: %s", strerror(errno));
	if (child == 0) {
		close(ends[0]);
		return_everything(ends[1]);
	}
	close(ends[1]);

	uint64_t begin_ns = now_ns(), end_ns = later_ns(begin_ns, seconds), ns = begin_ns, back = 0;
	for (size_t i = 0; i < window; i++) sent_ns[i] = begin_ns;
	bool goes_on = send_all(ends[0], messages, window * RECORD_BYTES);
	for (size_t part = 0; goes_on && ns < end_ns;) {
		ssize_t got = recv(ends[0], block, sizeof block, 0);
		if (got <= 0) fail("the echo ended");
		ns = now_ns();
		part += (size_t)got;
		size_t whole = part / RECORD_BYTES;
		part %= RECORD_BYTES;
		for (size_t i = 0; i < whole; i++, back++) {
			histogram_add(trip_ns, ns - sent_ns[back % window]);
			sent_ns[back % window] = ns;
		}
		goes_on = send_all(ends[0], messages, whole * RECORD_BYTES);
	}
	close(ends[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("{\"test\":\"echo\",\"window\":%zu,\"round_trips_per_s\":%.0f,", window, (double)back / ((double)(ns - begin_ns) / 1e9));
	put_latency(trip_ns);
	free(messages);
	free(sent_ns);
	free(trip_ns);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1, 10, 100, 1000 }, windows[] = { 1, 100, 1000 };
	bool disk = argc >= 3 && strcmp(argv[1], "disk") == 0, echo = argc >= 2 && strcmp(argv[1], "echo") == 0;
	if (!disk && !echo) fail("usage: limits disk FOLDER [SECONDS] | limits echo [SECONDS]");
	const char *given = argc > (disk ? 3 : 2) ? argv[disk ? 3 : 2] : "2";
	double seconds = atof(given);
	for (int i = 0; disk && i < 4; i++) measure_disk(argv[2], seconds, sizes[i], false);
	for (int i = 0; disk && i < 4; i += 2) measure_disk(argv[2], seconds, sizes[i], true);
	for (int i = 0; echo && i < 3; i++) measure_echo(seconds, windows[i]);
	return 0;
}
