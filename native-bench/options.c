#include "options.h"
#include "base.h"
#include "payload.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const mode_names[MODES] = { "live", "fanout", "enqueue", "drain", "subscribe", "connect" };

struct options options = {
	.host = "127.0.0.1", .port = 1883, .mqtt = 4, .prefix = "lg", .topic = "bench/%i", .qos = 1, .sub_qos = -1,
	.pubs = 1, .subs = 0, .inflight = 100, .prefetch = 100, .handshakes = 64, .size_bytes = 256, .clean = true, .expiry_s = 86400,
	.warmup_s = 1, .time_s = 5, .linger_s = 10, .idle_s = 1.5, .hold_s = 1,
};

static const char usage[] =
	"usage: loadgen MODE [options]\n"
	"modes\n"
	"  live       publishers and subscribers at once\n"
	"  fanout     live with one publisher and 100 subscribers\n"
	"  enqueue    publishers only\n"
	"  drain      subscribers only: a backlog, until --count messages, --time or --idle\n"
	"  subscribe  subscribe and leave: makes persistent sessions (with --clean 1: removes them)\n"
	"  connect    --subs idle connections\n"
	"connections: --host A --port N --mqtt 4|5 --prefix TEXT --clean 0|1 --expiry S --handshakes N\n"
	"traffic:     --pubs N --subs N --qos 0|1 --sub-qos 0|1 --size BYTES --topic T --filter F (again: used in turn;\n"
	"             %i in a topic or filter is the index of its publisher or subscriber) --rate PER_S --inflight N\n"
	"             --e2e-window N (at most N messages on their way; a closed loop, so that QoS 0 loses nothing)\n"
	"             --delay MS (before an acknowledgement) --serial (one message at a time) --spin (never sleep)\n"
	"AMQP 0-9-1:  --amqp quorum|classic (instead of MQTT: a queue of that type, named like the topic; user guest; the filter\n"
	"             $q/TOPIC makes the subscribers share it) --prefetch N\n"
	"duration:    --warmup S --time S --count N (then no warm-up) --linger S --idle S --hold S\n"
	"bookkeeping: --run-id N --state FILE (enqueue and live write it, drain reads it) --server-pid N --label TEXT\n"
	"result:      one JSON line. lost = acknowledged (QoS 0: sent) and not received; latencies in microseconds;\n"
	"             with --rate a latency counts from the moment the message was due.\n"
	"exit:        0 ok, 1 cannot measure, 2 a payload was not what was sent, 3 a connection was lost\n";

enum name {
	HOST = 1, PORT, MQTT, PREFIX, CLEAN, EXPIRY, HANDSHAKES, PUBS, SUBS, QOS, SUB_QOS, SIZE, TOPIC, FILTER, RATE, INFLIGHT,
	E2E_WINDOW, AMQP, PREFETCH, DELAY, SERIAL, SPIN, WARMUP, TIME, COUNT, LINGER, IDLE, HOLD, RUN_ID, STATE, SERVER_PID, LABEL,
	HELP
};

static const struct option names[] = {
	{ "host", 1, NULL, HOST }, { "port", 1, NULL, PORT }, { "mqtt", 1, NULL, MQTT }, { "prefix", 1, NULL, PREFIX },
	{ "clean", 1, NULL, CLEAN }, { "expiry", 1, NULL, EXPIRY }, { "handshakes", 1, NULL, HANDSHAKES },
	{ "pubs", 1, NULL, PUBS }, { "subs", 1, NULL, SUBS }, { "qos", 1, NULL, QOS }, { "sub-qos", 1, NULL, SUB_QOS },
	{ "size", 1, NULL, SIZE }, { "topic", 1, NULL, TOPIC }, { "filter", 1, NULL, FILTER }, { "rate", 1, NULL, RATE },
	{ "inflight", 1, NULL, INFLIGHT }, { "e2e-window", 1, NULL, E2E_WINDOW }, { "amqp", 1, NULL, AMQP }, { "prefetch", 1, NULL, PREFETCH },
	{ "delay", 1, NULL, DELAY },
	{ "serial", 0, NULL, SERIAL }, { "spin", 0, NULL, SPIN }, { "warmup", 1, NULL, WARMUP }, { "time", 1, NULL, TIME },
	{ "count", 1, NULL, COUNT }, { "linger", 1, NULL, LINGER }, { "idle", 1, NULL, IDLE }, { "hold", 1, NULL, HOLD },
	{ "run-id", 1, NULL, RUN_ID }, { "state", 1, NULL, STATE }, { "server-pid", 1, NULL, SERVER_PID },
	{ "label", 1, NULL, LABEL }, { "help", 0, NULL, HELP }, { NULL, 0, NULL, 0 }
};

static uint64_t whole(const char *text, const char *name, uint64_t lowest, uint64_t highest)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != 0 || value < lowest || value > highest)
		fail("--%s %s: wants a whole number from %llu to %llu", name, text, (unsigned long long)lowest, (unsigned long long)highest);
	return value;
}

static double amount(const char *text, const char *name)
{
	char *end;
	double value = strtod(text, &end);
	if (*text == 0 || *end != 0 || !(value >= 0)) fail("--%s %s: wants a number that is not negative", name, text);
	return value;
}

static void take(enum name name, const char *word)
{
	const char *text = word != NULL ? word : "", *label = names[name - 1].name;
	switch (name) {
	case HOST: options.host = text; break;
	case PORT: options.port = (int)whole(text, label, 1, 65535); break;
	case MQTT: options.mqtt = (int)whole(text, label, 4, 5); break;
	case PREFIX: options.prefix = text; break;
	case CLEAN: options.clean = whole(text, label, 0, 1) == 1; break;
	case EXPIRY: options.expiry_s = (uint32_t)whole(text, label, 0, UINT32_MAX); break;
	case HANDSHAKES: options.handshakes = (int)whole(text, label, 1, 65535); break;
	case PUBS: options.pubs = (int)whole(text, label, 1, 100000); break;
	case SUBS: options.subs = (int)whole(text, label, 1, 100000); break;
	case QOS: options.qos = (int)whole(text, label, 0, 1); break;
	case SUB_QOS: options.sub_qos = (int)whole(text, label, 0, 1); break;
	case SIZE: options.size_bytes = whole(text, label, PAYLOAD_BYTES_MIN, 200000000); break;
	case TOPIC: options.topic = text; break;
	case FILTER:
		if (options.filter_count == FILTERS_MAX) fail("more than %d filters", FILTERS_MAX);
		options.filters[options.filter_count++] = text;
		break;
	case RATE: options.rate_per_s = amount(text, label); break;
	case INFLIGHT: options.inflight = (int)whole(text, label, 1, 65535); break;
	case E2E_WINDOW: options.e2e_window = whole(text, label, 0, UINT64_MAX); break;
	case AMQP:
		if (strcmp(text, "quorum") != 0 && strcmp(text, "classic") != 0) fail("--amqp %s: wants quorum or classic", text);
		options.amqp_queue_type = text;
		break;
	case PREFETCH: options.prefetch = (int)whole(text, label, 0, 65535); break;
	case DELAY: options.delay_ms = amount(text, label); break;
	case SERIAL: options.serial = true; break;
	case SPIN: options.spin = true; break;
	case WARMUP: options.warmup_s = amount(text, label); break;
	case TIME: options.time_s = amount(text, label); break;
	case COUNT: options.count = whole(text, label, 0, UINT64_MAX); break;
	case LINGER: options.linger_s = amount(text, label); break;
	case IDLE: options.idle_s = amount(text, label); break;
	case HOLD: options.hold_s = amount(text, label); break;
	case RUN_ID: options.run_id = (uint32_t)whole(text, label, 0, UINT32_MAX); break;
	case STATE: options.state = text; break;
	case SERVER_PID: options.server_pid = (pid_t)whole(text, label, 1, INT32_MAX); break;
	case LABEL: options.label = text; break;
	case HELP: fputs(usage, stdout); exit(0);
	}
}

void options_read(int count, char **words)
{
	int mode = 0;
	if (count < 2 || strcmp(words[1], "--help") == 0) {
		fputs(usage, count < 2 ? stderr : stdout);
		exit(count < 2 ? 1 : 0);
	}
	while (mode < MODES && strcmp(words[1], mode_names[mode]) != 0) mode++;
	if (mode == MODES) fail("unknown mode %s; see loadgen --help", words[1]);
	options.mode = (enum mode)mode;

	for (int name; (name = getopt_long(count - 1, words + 1, "", names, NULL)) != -1;) {
		if (name == '?') exit(1);
		take((enum name)name, optarg);
	}
	if (optind != count - 1) fail("%s: not an option", words[1 + optind]);

	if (options.amqp_queue_type != NULL && options.qos != 1) fail("--amqp: messages are confirmed, that is --qos 1");
	if (options.amqp_queue_type != NULL && options.inflight > 60000) fail("--inflight: at most 60000 with --amqp");
	/* RabbitMQ answers some of several declarations of one new quorum queue at once with an internal error. */
	if (options.amqp_queue_type != NULL) options.handshakes = 1;
	if (options.sub_qos < 0) options.sub_qos = options.qos;
	if (options.subs == 0) options.subs = options.mode == MODE_FANOUT ? 100 : options.mode == MODE_CONNECT ? 1000 : 1;
	if (options.filter_count == 0) options.filters[options.filter_count++] = "bench/#";
	if (options.count > 0 && options.mode != MODE_DRAIN) options.warmup_s = 0;
	if (options.run_id == 0 && options.mode != MODE_DRAIN) options.run_id = (uint32_t)scatter(now_ns() + (uint64_t)getpid()) | 1;
}
