/* The command line, checked. */
#ifndef OPTIONS_H
#define OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum mode { MODE_LIVE, MODE_FANOUT, MODE_ENQUEUE, MODE_DRAIN, MODE_SUBSCRIBE, MODE_CONNECT, MODES };

#define FILTERS_MAX 64

struct options {
	enum mode mode;
	const char *host, *prefix, *topic, *state, *label, *amqp_queue_type; /* NULL: MQTT */
	const char *filters[FILTERS_MAX];
	int filter_count;
	int port, mqtt, qos, sub_qos, pubs, subs, inflight, prefetch, handshakes;
	size_t size_bytes;
	bool clean, serial, spin;
	uint32_t expiry_s, run_id;
	uint64_t count, e2e_window;
	double rate_per_s, delay_ms, warmup_s, time_s, linger_s, idle_s, hold_s;
	pid_t server_pid;
};

extern struct options options;
extern const char *const mode_names[MODES];

/* Fills `options`; fail()s on anything it does not understand. */
void options_read(int count, char **words);

static inline bool mode_publishes(void)
{
	return options.mode == MODE_LIVE || options.mode == MODE_FANOUT || options.mode == MODE_ENQUEUE;
}
static inline bool mode_subscribes(void)
{
	return options.mode != MODE_ENQUEUE && options.mode != MODE_CONNECT;
}
#endif
