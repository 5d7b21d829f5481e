/*
 * loadgen: a load generator for MQTT 3.1.1 and 5, and for AMQP 0-9-1, that checks what it measures. `loadgen --help` lists its
 * options.
 *
 *   base ◄─ byte-queue  histogram  sequence  payload     values
 *    ▲      options  server-usage                 what is asked; what the server used
 *    └───── connection ◄─ publisher  subscriber   one thread, one epoll set
 *             mqtt  amqp  amqp-wire               what they say to the server: protocol.h
 *                         audience                who should receive what
 *           state-file  report  (this file)       the modes
 *
 * A turn: publishers that may send do, postponed acknowledgements that are due go out, then events are handled.
 */
#include "base.h"
#include "options.h"
#include "publisher.h"
#include "report.h"
#include "server-usage.h"
#include "state-file.h"
#include "subscriber.h"
#include <signal.h>
#include <sys/prctl.h>

static struct outcome outcome;
static struct connection **publishers, **subscribers;

static void turn(uint64_t deadline_ns)
{
	uint64_t ns = now_ns(), owed = 0;
	deadline_ns = least(deadline_ns, publishers_run(ns));
	deadline_ns = least(deadline_ns, subscribers_acknowledge(ns));
	owed = publishing.owed;
	network_wait(deadline_ns);
	if (options.e2e_window > 0 && publishing.owed < owed) publishers_wake_all(); /* There is room again. */
}

static void turns_until(uint64_t end_ns)
{
	for (uint64_t ns; (ns = now_ns()) < end_ns && network.open > 0;) turn(least(end_ns, later_ns(ns, 0.05)));
}

static void run_connect(void)
{
	outcome.begin = moment_now();
	network_open(subscribers, options.subs, turn);
	outcome.end = moment_now();
	outcome.connected_per_s = rate_between((uint64_t)options.subs, outcome.begin.ns, outcome.end.ns);
	turns_until(later_ns(outcome.end.ns, options.hold_s));
}

static void run_subscribe(void)
{
	outcome.begin = moment_now();
	network_open(subscribers, options.subs, turn);
	turns_until(later_ns(now_ns(), 0.05));
	outcome.end = moment_now();
}

/* From the first connect() to the last message. */
static void run_drain(void)
{
	outcome.begin = moment_now();
	uint64_t end_ns = later_ns(outcome.begin.ns, options.time_s);
	network_open(subscribers, options.subs, turn);
	uint64_t opened_ns = now_ns();
	for (uint64_t ns; (ns = now_ns()) < end_ns && network.open > 0;) {
		if (options.count > 0 && receiving.distinct >= options.count) break;
		if (ns > later_ns(most(opened_ns, receiving.last_ns), options.idle_s)) break;
		turn(least(end_ns, later_ns(ns, 0.05)));
	}
	outcome.end = moment_now();
	outcome.received_per_s = rate_between(receiving.received, outcome.begin.ns, receiving.last_ns);
}

/* Whether anything came since it was asked last; `since_ns` keeps when. */
static bool has_moved(uint64_t *since_ns, uint64_t ns)
{
	static uint64_t last;
	uint64_t sum = publishing.acked + publishing.ack_errors + receiving.received;
	if (sum == last) return false;
	last = sum;
	*since_ns = ns;
	return true;
}

static bool is_all_acknowledged(void)
{
	return options.qos == 0 || publishing.acked + publishing.ack_errors >= publishing.published;
}

static bool is_count_done(void)
{
	if (options.count == 0 || publishing.published < options.count || !is_all_acknowledged()) return false;
	for (int p = 0; p < options.pubs; p++)
		if (queued_bytes(&publishers[p]->out) > 0) return false;
	return true;
}

static void publish_in_window(void)
{
	uint64_t moved_ns = now_ns();
	for (uint64_t ns; (ns = now_ns()) < measured.to_ns && network.open > 0 && !is_count_done();) {
		turn(least(measured.to_ns, later_ns(ns, 0.1)));
		/* A server may drop QoS 0: a closed loop would stand still for ever. */
		if (!has_moved(&moved_ns, ns) && options.e2e_window > 0 && ns > later_ns(moved_ns, 0.5)) {
			publishing.owed = 0;
			outcome.stalls++;
			moved_ns = ns;
			publishers_wake_all();
		}
	}
}

static void wait_for_the_rest(void)
{
	uint64_t expected = 0, moved_ns = now_ns(), end_ns = later_ns(moved_ns, options.linger_s);
	for (int p = 0; p < options.pubs; p++)
		expected += publishing.publishers[p].next_number * publishing.publishers[p].audiences;
	for (uint64_t ns; (ns = now_ns()) < end_ns && network.open > 0;) {
		if (is_all_acknowledged() && receiving.distinct >= expected) return;
		if (!has_moved(&moved_ns, ns) && ns > later_ns(moved_ns, options.idle_s)) return;
		turn(least(end_ns, later_ns(ns, 0.05)));
	}
}

static void run_publishing(void)
{
	if (mode_subscribes()) network_open(subscribers, options.subs, turn);
	network_open(publishers, options.pubs, turn);
	uint64_t start_ns = now_ns();
	outcome.start_ns = start_ns;
	measured.from_ns = later_ns(start_ns, options.warmup_s);
	measured.to_ns = later_ns(measured.from_ns, options.time_s);
	publishers_begin(start_ns);
	turns_until(measured.from_ns);
	outcome.begin = moment_now();
	publish_in_window();
	outcome.end = moment_now();
	publishing.is_on = false;
	outcome.behind = publishers_behind(outcome.end.ns);
	wait_for_the_rest();

	const struct moment *begin = &outcome.begin, *end = &outcome.end;
	if (options.count > 0) {
		outcome.published_per_s = rate_between(publishing.published, start_ns, publishing.last_sent_ns);
		outcome.acked_per_s = rate_between(publishing.acked, start_ns, publishing.last_ack_ns);
		outcome.received_per_s = rate_between(receiving.received, start_ns, receiving.last_ns);
	} else {
		outcome.published_per_s = rate_between(end->published - begin->published, begin->ns, end->ns);
		outcome.acked_per_s = rate_between(end->acked - begin->acked, begin->ns, end->ns);
		outcome.received_per_s = rate_between(end->received - begin->received, begin->ns, end->ns);
	}
}

static void prepare(void)
{
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* Sleep no longer than asked. */
	if (options.mode == MODE_DRAIN && options.state != NULL) state_read_head(options.state);
	network_init();
	publishers_init();
	subscribers_init();
	if (options.mode == MODE_DRAIN && options.state != NULL) state_read(options.state);
	publishers = zeroed((size_t)options.pubs, sizeof *publishers);
	subscribers = zeroed((size_t)options.subs, sizeof *subscribers);
	for (int p = 0; p < options.pubs; p++) publishers[p] = &publishing.publishers[p].connection;
	for (int s = 0; s < options.subs; s++) subscribers[s] = &receiving.subscribers[s].connection;
}

int main(int argc, char **argv)
{
	options_read(argc, argv);
	prepare();
	server_watch(options.server_pid);
	server_forget_peak();
	outcome.resident_before_kb = server_resident_kb();
	outcome.start_ns = now_ns();

	if (options.mode == MODE_CONNECT) run_connect();
	else if (options.mode == MODE_SUBSCRIBE) run_subscribe();
	else if (options.mode == MODE_DRAIN) run_drain();
	else run_publishing();

	server_watch(options.server_pid); /* It may have got children meanwhile. */
	outcome.resident_after_kb = server_resident_kb();
	outcome.peak_kb = server_peak_kb();
	outcome.finish_ns = now_ns();
	for (uint64_t end_ns = later_ns(now_ns(), 2); subscribers_owe_acknowledgements() && now_ns() < end_ns;)
		turn(later_ns(now_ns(), 0.01));
	uint64_t lost = network.lost;
	network_close(publishers, options.pubs);
	network_close(subscribers, options.subs);
	network.lost = lost;
	if (mode_publishes() && options.state != NULL) state_write(options.state);
	return report(&outcome);
}
