#include "state-file.h"
#include "base.h"
#include "options.h"
#include "publisher.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *opened(const char *path, const char *how)
{
	FILE *file = fopen(path, how);
	if (file == NULL) fail("%s: %s", path, strerror(errno));
	return file;
}

void state_write(const char *path)
{
	FILE *file = opened(path, "we");
	fprintf(file, "restante-bench 1\nrun %" PRIu32 " publishers %d\n", options.run_id, options.pubs);
	for (int i = 0; i < options.pubs; i++) {
		const struct publisher *publisher = &publishing.publishers[i];
		const struct sequence_set *set = &publisher->acknowledged;
		fprintf(file, "%d sent %" PRIu64 " acknowledged", i, publisher->next_number);
		for (uint64_t first = 0; first < set->end;) {
			uint64_t last = first;
			if (!sequence_contains(set, first)) {
				first++;
				continue;
			}
			while (sequence_contains(set, last + 1)) last++;
			fprintf(file, " %" PRIu64 "-%" PRIu64, first, last);
			first = last + 1;
		}
		fputc('\n', file);
	}
	if (fclose(file) != 0) fail("%s: %s", path, strerror(errno));
}

static void read_head(FILE *file, const char *path)
{
	if (fscanf(file, "restante-bench 1 run %" SCNu32 " publishers %d ", &options.run_id, &options.pubs) != 2)
		fail("%s is not a state file", path);
}

void state_read_head(const char *path)
{
	FILE *file = opened(path, "re");
	read_head(file, path);
	fclose(file);
}

void state_read(const char *path)
{
	FILE *file = opened(path, "re");
	char *line = NULL;
	size_t room = 0;
	read_head(file, path);
	while (getline(&line, &room, file) > 0) {
		int index, used;
		uint64_t sent, first, last;
		if (sscanf(line, "%d sent %" SCNu64 " acknowledged%n", &index, &sent, &used) != 2 || index < 0 || index >= options.pubs)
			fail("%s: cannot read %s", path, line);
		struct publisher *publisher = &publishing.publishers[index];
		publisher->next_number = sent;
		publishing.published += sent;
		for (char *at = line + used; sscanf(at, " %" SCNu64 "-%" SCNu64 "%n", &first, &last, &used) == 2; at += used)
			for (; first <= last; first++) sequence_insert(&publisher->acknowledged, first);
		publishing.acked += publisher->acknowledged.members;
	}
	free(line);
	fclose(file);
}
