/* What every part of the tools needs: failing, memory, the clock, and mixing bits. */
#ifndef BASE_H
#define BASE_H
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000ull
#define NEVER_NS UINT64_MAX

static inline uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Prints one line on stderr and exits with code 1: wrong usage, or a measurement that cannot be made. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Memory or fail(); the new part of a grown block is zero. */
void *zeroed(size_t count, size_t bytes);
void *grown(void *block, size_t old_count, size_t count, size_t bytes);

/* CLOCK_MONOTONIC: processes of one machine share it, so a stamp may be read by another one. */
uint64_t now_ns(void);
static inline uint64_t later_ns(uint64_t ns, double seconds) { return ns + (uint64_t)(seconds * (double)NS_PER_S); }

/* Every input bit changes about half of the output bits. */
uint64_t scatter(uint64_t value);
#endif
