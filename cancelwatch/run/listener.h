/* A thread that sleeps until a task is cancelled. The manager's own threads would be there before the command
 * is started, and forking costs more where there are threads. */
#ifndef CANCELWATCH_LISTENER_H
#define CANCELWATCH_LISTENER_H

#include <cancel/task.h>

#include <pthread.h>
#include <stdbool.h>

struct listener {
	struct cancel_task *task;
	pthread_t thread;
	bool runs;
};

/* Its manager has no thread. What is registered on its token is called by this one. Once is enough. Returns 0
 * or a negative errno. */
int listener_start(struct listener *listener, struct cancel_task *task);

/* Before the task is ended. From here on its token says that it is cancelled. */
void listener_stop(struct listener *listener);

#endif
