#include "histogram.h"

static int octave_of(uint64_t value)
{
	return value < OCTAVE_BUCKETS ? 0 : 58 - __builtin_clzll(value);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	int octave = octave_of(value);
	uint64_t step = octave == 0 ? value : (value >> (octave - 1)) - OCTAVE_BUCKETS;
	histogram->in_bucket[(uint64_t)octave * OCTAVE_BUCKETS + step]++;
	histogram->count++;
	histogram->total += (double)value;
	if (value > histogram->largest) histogram->largest = value;
}

double histogram_percentile(const struct histogram *histogram, double part)
{
	double wanted = part * (double)histogram->count, below = 0;
	for (uint64_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		below += (double)histogram->in_bucket[bucket];
		if (below == 0 || below < wanted) continue;
		uint64_t octave = bucket / OCTAVE_BUCKETS, step = bucket % OCTAVE_BUCKETS;
		if (octave == 0) return (double)step;
		double width = (double)(1ull << (octave - 1));
		double middle = ((double)(OCTAVE_BUCKETS + step) + 0.5) * width;
		return middle < (double)histogram->largest ? middle : (double)histogram->largest;
	}
	return (double)histogram->largest;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count == 0 ? 0 : histogram->total / (double)histogram->count;
}
