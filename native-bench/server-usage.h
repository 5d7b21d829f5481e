/* CPU time and memory of the measured server (a process and all its descendants) and of the machine, from /proc. */
#ifndef SERVER_USAGE_H
#define SERVER_USAGE_H
#include <stdint.h>
#include <sys/types.h>

/* Finds the descendants of `pid`; 0 means that no server is watched, and every figure is 0. */
void server_watch(pid_t pid);
double server_cpu_s(void);
uint64_t server_resident_kb(void);
/* The most it ever held; since server_forget_peak() where the system allows to reset it. */
uint64_t server_peak_kb(void);
void server_forget_peak(void);

double own_cpu_s(void);
/* All processes of the machine together, and what its host took away. */
double machine_cpu_s(void);
#endif
