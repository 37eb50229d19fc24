/* Looking at the spool for a task: what is found, and what is done about it. */
#ifndef TASK_LOOK_H
#define TASK_LOOK_H

#include "task.h"

struct finding {
	int answer;                    /* 1: cancelled; 0: not; or a failure, which is `problem` */
	size_t index;                  /* of the listener whose request it is */
	struct cancel_request request; /* with answer 1 */
	struct cancel_error problem;
};

/* Ask the spool for every id that the task listens to. A yes for one outweighs a failure with another.
 * Without `drops`, for who was rung, drops are not looked for. Touches files. */
void look_find(struct task *task, bool drops, struct finding *finding);

/* Now and then, before that: the bell and the leases may have been removed, and the directory replaced.
 * Touches files. */
void look_keep_up(struct cancel_manager *manager);
void look_keep_lease(struct task *task);

/* Cancel the task here, callbacks included, if that was found, and tell of trouble. Returns the answer. The
 * task may have been ended by a callback. */
int look_act(struct task *task, struct finding *finding);

/* The same for a thread that is nobody's: the callbacks are the dispatcher's. False: it could not be started,
 * and the task is not cancelled; to be tried again. */
bool look_act_deferred(struct task *task, struct finding *finding);

#endif
