/* A command, and all that comes of it, run to its end in a process that has nothing else to do. */
#ifndef CANCELWATCH_GUARD_H
#define CANCELWATCH_GUARD_H

#include <stdint.h>

struct guard_options {
	char *const
		*arguments; /* the first is the program, by path or searched for in PATH; ends with NULL */
	char *const *environment; /* "NAME=VALUE", set besides what is there; ends with NULL */
	int64_t timeout_ms;       /* then all of it is ended */
	int64_t grace_ms;         /* from SIGTERM to SIGKILL */
	int life_fd; /* read end of a pipe: its end means that the parent died, and all of it is killed; -1:
			none */
};

/* To be called in a forked child of one thread, which cgroup_choose_name was called for. Standard streams are
 * the command's as they are. Returns the exit code to end with: the command's own, 124 its time was over, 125
 * it could not be guarded, 126 and 127 it could not be run, 128 and the number of the signal that it died of.
 */
int guard_run(const struct guard_options *options);

#endif
