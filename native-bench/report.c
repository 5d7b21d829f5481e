#include "report.h"
#include "base.h"
#include "options.h"
#include "publisher.h"
#include "server-usage.h"
#include "subscriber.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

struct moment moment_now(void)
{
	return (struct moment){
		now_ns(), publishing.published, publishing.acked, receiving.received, own_cpu_s(), server_cpu_s(), machine_cpu_s(),
	};
}

double rate_between(uint64_t count, uint64_t from_ns, uint64_t to_ns)
{
	return count > 0 && to_ns > from_ns ? (double)count * (double)NS_PER_S / (double)(to_ns - from_ns) : 0;
}

static void put_count(const char *name, uint64_t value) { printf(",\"%s\":%" PRIu64, name, value); }
static void put_number(const char *name, double value) { printf(",\"%s\":%.3f", name, value); }

static void put_text(const char *name, const char *text)
{
	printf(",\"%s\":\"", name);
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\') printf("\\%c", *text);
		else if ((unsigned char)*text < 32) printf("\\u%04x", (unsigned)*text);
		else putchar(*text);
	}
	putchar('"');
}

static void put_latency(const char *name, const struct histogram *histogram)
{
	static const struct { const char *name; double part; } percentiles[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 },
	};
	if (histogram->count == 0) {
		printf(",\"%s\":null", name);
		return;
	}
	printf(",\"%s\":{\"n\":%" PRIu64 ",\"mean\":%.1f", name, histogram->count, histogram_mean(histogram) / 1e3);
	for (int i = 0; i < 4; i++)
		printf(",\"%s\":%.1f", percentiles[i].name, histogram_percentile(histogram, percentiles[i].part) / 1e3);
	printf(",\"max\":%.1f}", (double)histogram->largest / 1e3);
}

struct losses { uint64_t lost, gaps, unacked_received; };

/* A drain without a state file knows only the gaps. */
static struct losses losses_now(void)
{
	struct losses losses = { 0 };
	bool knows_what_was_sent = mode_publishes() || (options.mode == MODE_DRAIN && options.state != NULL);
	for (int a = 0; a < audience_count; a++) {
		for (int p = 0; p < options.pubs; p++) {
			const struct publisher *publisher = &publishing.publishers[p];
			const struct sequence_set *received = &audiences[a].received[p];
			losses.gaps += received->end - received->members;
			if (!knows_what_was_sent || !audience_expects(&audiences[a], publisher->topic)) continue;
			for (uint64_t number = 0; number < publisher->next_number; number++) {
				bool is_owed = options.qos == 0 || sequence_contains(&publisher->acknowledged, number);
				bool is_here = sequence_contains(received, number);
				losses.lost += is_owed && !is_here;
				losses.unacked_received += !is_owed && is_here;
			}
		}
	}
	return losses;
}

static void put_setup(void)
{
	uint32_t window = (uint32_t)options.inflight;
	for (int p = 0; p < options.pubs; p++) window = (uint32_t)least(window, publishing.publishers[p].window_size);
	if (options.amqp_queue_type != NULL) put_text("amqp", options.amqp_queue_type);
	else put_count("mqtt", (uint64_t)options.mqtt);
	put_count("qos", (uint64_t)options.qos);
	put_count("sub_qos", (uint64_t)options.sub_qos);
	put_count("pubs", mode_publishes() ? (uint64_t)options.pubs : 0);
	put_count("subs", options.mode == MODE_ENQUEUE ? 0 : (uint64_t)options.subs);
	put_count("size", options.size_bytes);
	put_number("rate_target", options.rate_per_s);
	put_count("inflight", window);
	put_count("e2e_window", options.e2e_window);
	put_text("topic", options.topic);
	put_text("filter", mode_subscribes() ? options.filters[0] : "");
	put_count("run_id", options.run_id);
}

static void put_counts(const struct outcome *outcome)
{
	struct losses losses = losses_now();
	put_count("published", publishing.published);
	put_count("acked", publishing.acked);
	put_count("ack_errors", publishing.ack_errors);
	put_count("received", receiving.received);
	put_count("distinct", receiving.distinct);
	put_count("duplicates", receiving.duplicates);
	put_count("dup_flag", receiving.dup_flag);
	put_count("lost", losses.lost);
	put_count("gaps", losses.gaps);
	put_count("unacked_received", losses.unacked_received);
	put_count("out_of_order", receiving.out_of_order);
	put_count("stale", receiving.stale);
	put_count("invalid", receiving.invalid);
	put_count("bad_topic", receiving.bad_topic);
	put_count("disconnects", network.lost);
	put_count("sessions_present", network.resumed);
	put_count("window_stalls", outcome->stalls);
	put_count("behind", outcome->behind);
	if (!mode_subscribes()) return;
	uint64_t lowest = UINT64_MAX, highest = 0;
	for (int s = 0; s < options.subs; s++) {
		lowest = least(lowest, receiving.subscribers[s].received);
		highest = most(highest, receiving.subscribers[s].received);
	}
	put_count("per_sub_min", lowest);
	put_count("per_sub_max", highest);
}

static void put_server(const struct outcome *outcome, double window_s)
{
	const struct moment *begin = &outcome->begin, *end = &outcome->end;
	double server_s = end->server_cpu_s - begin->server_cpu_s, own_s = end->own_cpu_s - begin->own_cpu_s;
	double others_s = end->machine_cpu_s - begin->machine_cpu_s - server_s - own_s;
	/* The kernel's ticks are too coarse for less. */
	if (window_s >= 0.2) put_number("other_cpus", others_s > 0 ? others_s / window_s : 0);
	put_number("cpu_server_s", server_s);
	put_count("rss_start_kb", outcome->resident_before_kb);
	put_count("rss_end_kb", outcome->resident_after_kb);
	put_count("rss_peak_kb", outcome->peak_kb);
	double more_kb = (double)outcome->resident_after_kb - (double)outcome->resident_before_kb;
	if (options.mode == MODE_CONNECT) put_number("bytes_per_conn", more_kb * 1024 / options.subs);
}

int report(const struct outcome *outcome)
{
	double window_s = (double)(outcome->end.ns - outcome->begin.ns) / (double)NS_PER_S;
	bool is_ok = receiving.invalid + receiving.bad_topic + network.lost == 0;
	printf("{\"mode\":\"%s\"", mode_names[options.mode]);
	if (options.label != NULL) put_text("label", options.label);
	printf(",\"ok\":%s", is_ok ? "true" : "false");
	put_setup();
	put_number("window_s", window_s);
	put_number("total_s", (double)(outcome->finish_ns - outcome->start_ns) / (double)NS_PER_S);
	put_counts(outcome);
	put_number("pub_per_s", outcome->published_per_s);
	put_number("ack_per_s", outcome->acked_per_s);
	put_number("recv_per_s", outcome->received_per_s);
	if (options.mode == MODE_CONNECT) put_number("connect_per_s", outcome->connected_per_s);
	if (options.mode == MODE_DRAIN && receiving.first_ns != 0) {
		put_number("first_ms", (double)(receiving.first_ns - outcome->start_ns) / 1e6);
		put_number("drain_s", (double)(receiving.last_ns - outcome->start_ns) / 1e9);
	}
	put_latency("e2e_us", &receiving.e2e_ns);
	put_latency("ack_us", &publishing.ack_ns);
	put_latency("send_lag_us", &publishing.lag_ns);
	put_latency("connect_us", &network.connect_ns);
	put_number("cpu_self_s", outcome->end.own_cpu_s - outcome->begin.own_cpu_s);
	if (options.server_pid != 0) put_server(outcome, window_s);
	puts("}");
	return receiving.invalid + receiving.bad_topic > 0 ? 2 : network.lost > 0 ? 3 : 0;
}
