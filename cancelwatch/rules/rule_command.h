/* A command of a rule, in a guard: a child that ends it and all that comes of it when its time is over, and
 * when we end. */
#ifndef CANCELWATCH_RULE_COMMAND_H
#define CANCELWATCH_RULE_COMMAND_H

#include "run/cgroup.h"
#include "rule_output.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rule_command {
	pid_t pid;    /* the guard */
	int pid_fd;   /* readable when it has ended */
	int out_fd;   /* what the command writes, readable when there is some; -1: nothing comes any more */
	int epoll_fd; /* where both are waited for */
	struct rule_output output;
	char cgroup[CGROUP_NAME_SIZE]; /* of the guard */
	int64_t started_ns;
	int64_t timeout_ms;
	int64_t took_ns; /* once ended */
	int exit_code;   /* once ended: as guard_run() says */
};

/* What to start. Everything is borrowed for the call. */
struct rule_start {
	char *const *arguments;
	char *const *environment; /* "NAME=VALUE"; ends with NULL */
	int64_t timeout_ms;
	const int *life; /* a pipe of which this process alone holds the writing end: both ends */
	int epoll_fd;    /* shall tell with `event` when there is something to read, or it has ended */
	uint64_t event;
};

/* Returns 0 or a negative errno: the system has no process or descriptor left. A program that cannot be run
 * is no failure here: it ends with 126 or 127. */
int rule_command_start(struct rule_command *command, const struct rule_start *start);

/* Take what the command has written, as much of it as is good at once. */
void rule_command_read(struct rule_command *command, rule_output_show *show, void *arg);

/* Whether it has ended; if so, all is read and closed, and the guard waited for. */
bool rule_command_ended(struct rule_command *command, rule_output_show *show, void *arg);

/* Leave it alone; what becomes of it is the guard's and the system's. */
void rule_command_drop(struct rule_command *command);

/* It was ended because its time was over. */
bool rule_command_timed_out(const struct rule_command *command);

#endif
