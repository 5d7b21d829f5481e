/* The result of a run, as one line of JSON. */
#ifndef REPORT_H
#define REPORT_H
#include <stdint.h>

/* The counters at one moment: the difference of two is what the measured window saw. */
struct moment {
	uint64_t ns, published, acked, received;
	double own_cpu_s, server_cpu_s, machine_cpu_s;
};

struct outcome {
	struct moment begin, end;
	uint64_t start_ns, finish_ns;
	double published_per_s, acked_per_s, received_per_s, connected_per_s;
	uint64_t behind, stalls;
	uint64_t resident_before_kb, resident_after_kb, peak_kb;
};

struct moment moment_now(void);
double rate_between(uint64_t count, uint64_t from_ns, uint64_t to_ns);
/* Prints it; answers the exit code. */
int report(const struct outcome *outcome);
#endif
