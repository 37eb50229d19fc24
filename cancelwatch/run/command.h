/* Starting a command: from our process to its first instruction. */
#ifndef CANCELWATCH_COMMAND_H
#define CANCELWATCH_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

/* Exit codes that shells and timeout(1) know. */
enum {
	COMMAND_NOT_OURS = 125, /* nothing to do with the command */
	COMMAND_NOT_RUN = 126,  /* found, and cannot be executed */
	COMMAND_NOT_FOUND = 127,
	COMMAND_BY_SIGNAL = 128, /* and the signal's number */
};

/* Start it as a child that is killed when this thread ends. `arguments` ends with NULL; the first is the program, by path
 * or searched for in PATH. `group`: the process group that it shall be in; 0: ours. `cgroup_fd`: the folder of the
 * cgroup that it shall be in; -1: ours. The environment is this process's. Returns its process id, or a negative
 * errno. */
pid_t command_start(char *const *arguments, pid_t group, int cgroup_fd);

/* Whether the one that was started latest came to its first instruction, if it has ended.
 *
 * One that was put into a cgroup may not: when cgroup.kill was once written to the cgroup that we are in, and others live
 * there now, Linux (6.18) kills at birth whoever is cloned from there into another one. */
bool command_was_born(void);

/* Why the command that was started latest did not become the program, once it has ended: a negative errno; 0:
 * it did. */
int command_error(void);

/* The exit code for such an error. */
int command_error_code(int error);

#endif
