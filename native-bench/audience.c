#include "audience.h"
#include "base.h"
#include "options.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audience *audiences;
int audience_count;

char *expanded(const char *text, int index)
{
	char *result = NULL, *mark = strstr(text, "%i");
	int before = mark != NULL ? (int)(mark - text) : (int)strlen(text), bytes;
	if (mark == NULL) bytes = asprintf(&result, "%s", text);
	else bytes = asprintf(&result, "%.*s%d%s", before, text, index, mark + 2);
	if (bytes < 0) fail("out of memory");
	return result;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* The topic filter behind the addressing of a shared one; NULL when it cannot be seen in it. */
static const char *plain_filter_of(const char *filter)
{
	if (starts_with(filter, "$q/")) return filter + 3;
	if (!starts_with(filter, "$share/") && !starts_with(filter, "$queue/")) return filter;
	const char *slash = strchr(strchr(filter, '/') + 1, '/');
	return slash != NULL ? slash + 1 : NULL;
}

/* MQTT 5, section 4.7: level by level. */
static bool matches(const char *filter, const char *topic)
{
	if (*topic == '$' && (*filter == '+' || *filter == '#')) return false;
	for (;;) {
		size_t wanted = strcspn(filter, "/"), have = strcspn(topic, "/");
		if (*filter == '#') return true;
		if (*filter != '+' && (wanted != have || strncmp(filter, topic, have) != 0)) return false;
		filter += wanted;
		topic += have;
		if (*topic == 0) return *filter == 0 || strcmp(filter, "/#") == 0;
		if (*filter == 0) return false;
		filter++;
		topic++;
	}
}

struct audience *audience_join(const char *filter)
{
	bool is_shared = starts_with(filter, "$share/") || starts_with(filter, "$queue/") || starts_with(filter, "$q/");
	for (int i = 0; is_shared && i < audience_count; i++)
		if (strcmp(audiences[i].filter, filter) == 0) return &audiences[i];
	if (audiences == NULL) audiences = zeroed((size_t)options.subs, sizeof *audiences);
	struct audience *audience = &audiences[audience_count++];
	audience->filter = filter;
	audience->is_shared = is_shared;
	audience->received = zeroed((size_t)options.pubs, sizeof *audience->received);
	return audience;
}

bool audience_expects(const struct audience *audience, const char *topic)
{
	const char *filter = plain_filter_of(audience->filter);
	return filter == NULL || matches(filter, topic);
}

uint64_t audiences_of(const char *topic)
{
	uint64_t count = 0;
	for (int i = 0; i < audience_count; i++) count += audience_expects(&audiences[i], topic);
	return count;
}
