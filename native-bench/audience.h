/*
 * Who should receive what. Subscribers with one shared filter ($share/G/F, $queue/NAME/F, $q/F) are one audience and get
 * every matching message once; every other subscriber is an audience of its own.
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H
#include <stdbool.h>
#include "sequence.h"

struct audience {
	const char *filter;
	bool is_shared;
	struct sequence_set *received; /* by publisher */
};

extern struct audience *audiences;
extern int audience_count;

/* `text` with %i replaced by the index; lives for the rest of the run. */
char *expanded(const char *text, int index);
/* The audience of a subscriber with that filter. */
struct audience *audience_join(const char *filter);
bool audience_expects(const struct audience *audience, const char *topic);
/* How many audiences should receive a message of that topic. */
uint64_t audiences_of(const char *topic);
#endif
