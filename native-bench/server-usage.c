#include "server-usage.h"
#include "base.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FAMILY_MAX 1024

static pid_t family[FAMILY_MAX];
static int family_count;

struct process { pid_t pid, parent; double cpu_s; };

static bool process_read(pid_t pid, struct process *process)
{
	char path[40], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) return false;
	size_t bytes = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[bytes] = 0;
	char *fields = strrchr(text, ')'); /* The name before it may hold anything. */
	int parent;
	unsigned long user, system_, children_user, children_system;
	if (fields == NULL || sscanf(fields, ") %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu %lu %lu", &parent, &user,
	                             &system_, &children_user, &children_system) != 5)
		return false;
	process->pid = pid;
	process->parent = parent;
	process->cpu_s = (double)(user + system_ + children_user + children_system) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

void server_watch(pid_t pid)
{
	family_count = 0;
	if (pid == 0) return;
	struct process *all = NULL;
	size_t count = 0, room = 0;
	DIR *folder = opendir("/proc");
	for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
		if (count == room) {
			all = grown(all, room, room * 2 + 256, sizeof *all);
			room = room * 2 + 256;
		}
		if (atoi(entry->d_name) > 0 && process_read(atoi(entry->d_name), &all[count])) count++;
	}
	if (folder != NULL) closedir(folder);
	family[family_count++] = pid;
	for (int elder = 0; elder < family_count; elder++)
		for (size_t i = 0; i < count && family_count < FAMILY_MAX; i++)
			if (all[i].parent == family[elder]) family[family_count++] = all[i].pid;
	free(all);
}

double server_cpu_s(void)
{
	struct process process;
	double sum = 0;
	for (int i = 0; i < family_count; i++)
		if (process_read(family[i], &process)) sum += process.cpu_s;
	return sum;
}

static uint64_t status_kb(const char *format)
{
	uint64_t sum = 0;
	for (int i = 0; i < family_count; i++) {
		char path[40], line[256];
		unsigned long kb;
		snprintf(path, sizeof path, "/proc/%d/status", (int)family[i]);
		FILE *file = fopen(path, "re");
		if (file == NULL) continue;
		while (fgets(line, sizeof line, file) != NULL)
			if (sscanf(line, format, &kb) == 1) sum += kb;
		fclose(file);
	}
	return sum;
}

uint64_t server_resident_kb(void) { return status_kb("VmRSS: %lu kB"); }
uint64_t server_peak_kb(void) { return status_kb("VmHWM: %lu kB"); }

void server_forget_peak(void)
{
	for (int i = 0; i < family_count; i++) {
		char path[40];
		snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)family[i]);
		FILE *file = fopen(path, "we");
		if (file == NULL) continue;
		fputs("5", file); /* proc(5): resets the peak resident set size */
		fclose(file);
	}
}

double own_cpu_s(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double machine_cpu_s(void)
{
	unsigned long user = 0, nice_ = 0, system_ = 0, stolen = 0;
	FILE *file = fopen("/proc/stat", "re");
	if (file == NULL) return 0;
	int fields = fscanf(file, "cpu %lu %lu %lu %*s %*s %*s %*s %lu", &user, &nice_, &system_, &stolen);
	fclose(file);
	return fields == 4 ? (double)(user + nice_ + system_ + stolen) / (double)sysconf(_SC_CLK_TCK) : 0;
}
