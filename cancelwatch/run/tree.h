/* All processes that descend from this one.
 *
 * This process is a child subreaper, so what it started, and what came of that, stays below it whatever it
 * does: who forks away, or leads a session of its own, becomes our child when its parent ends. A process is
 * signalled through a descriptor that is compared with it after it was opened, so that a process id that was
 * used again hits nobody else. */
#ifndef CANCELWATCH_TREE_H
#define CANCELWATCH_TREE_H

#include "process_stat.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tree_process {
	struct process_stat stat;
	int error; /* a negative errno: the latest signal could not be sent; 0: it could */
};

struct tree {
	pid_t spared_group; /* a process group that the signal is not for; 0: none */
	struct tree_process *list;
	size_t count;
	size_t room;
};

/* Send a signal, and SIGCONT after it, to every process below this one that is not in `tree`, and put it
 * there; again until none is new. So each gets it once, however fast it forks. Returns 0 or
 * a negative errno: -ENOSYS, there is no /proc, or it is that of other process ids; others: not all of it
 * could be read. Those that were found have got it. */
int tree_signal(struct tree *tree, int signal);
void tree_free(struct tree *tree);

/* Whether a process descends from another one, as far as can be seen now. */
bool tree_descends(pid_t pid, pid_t ancestor);

#endif
