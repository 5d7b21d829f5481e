/* A growing set of sequence numbers, a bit each. */
#ifndef SEQUENCE_H
#define SEQUENCE_H
#include <stdbool.h>
#include <stdint.h>

struct sequence_set {
	uint64_t *bits;
	uint64_t words;
	uint64_t members;
	uint64_t end; /* the largest member + 1; 0 when empty */
};

/* Answers false when it was a member already. */
bool sequence_insert(struct sequence_set *set, uint64_t number);
bool sequence_contains(const struct sequence_set *set, uint64_t number);
#endif
