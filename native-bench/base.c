#include "base.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fail(const char *format, ...)
{
	va_list list;
	fputs("native-bench: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	exit(1);
}

void *zeroed(size_t count, size_t bytes)
{
	void *block = calloc(count > 0 ? count : 1, bytes);
	if (block == NULL) fail("out of memory");
	return block;
}

void *grown(void *block, size_t old_count, size_t count, size_t bytes)
{
	char *moved = realloc(block, count * bytes);
	if (moved == NULL) fail("out of memory");
	memset(moved + old_count * bytes, 0, (count - old_count) * bytes);
	return moved;
}

uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t scatter(uint64_t value)
{
	/* The finalizer of MurmurHash3 (Austin Appleby, public domain). */
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdull;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ull;
	return value ^ value >> 33;
}
