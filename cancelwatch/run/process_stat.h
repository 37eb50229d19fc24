/* What /proc says of a process. */
#ifndef CANCELWATCH_PROCESS_STAT_H
#define CANCELWATCH_PROCESS_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_NAME_SIZE 16

struct process_stat {
	pid_t pid;
	pid_t parent;
	pid_t group;      /* of processes */
	uint64_t started; /* since the boot, in the kernel's ticks: with it a process id is unique */
	char state;       /* as ps(1) shows it; Z: it has ended */
	char name[PROCESS_NAME_SIZE];
};

/* Returns 0 or a negative errno. */
int process_stat_read(struct process_stat *stat, pid_t pid);

/* Whether its number is still its own. */
bool process_stat_is_same(const struct process_stat *stat);

/* In a process id namespace whose /proc is that of another one the numbers there are other processes. */
bool process_stat_is_ours(void);

#endif
