/*
 * Latencies in nanoseconds, in buckets that are at most 1/64 of their value wide:
 *
 *   value  0 .. 63 | 64 .. 127 | 128 .. 255 | 256 .. 511 | ...
 *   width     1    |     1     |      2     |      4     | ...    64 buckets in each
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H
#include <stdint.h>

#define OCTAVE_BUCKETS 64
#define HISTOGRAM_BUCKETS (59 * OCTAVE_BUCKETS)

struct histogram {
	uint64_t count, largest;
	double total;
	uint64_t in_bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The value that the given part (0 to 1) of all values does not exceed; 0 when there are none. */
double histogram_percentile(const struct histogram *histogram, double part);
double histogram_mean(const struct histogram *histogram);
#endif
