#include "task.h"

/* A thread that acts for a task may be in its callback, which ends it: it does not wait for itself. */
static _Thread_local struct task_use *uses_here;

unsigned task_uses_here(const struct task *task)
{
	unsigned count = 0;

	for (const struct task_use *use = uses_here; use; use = use->outer)
		count += use->task == task;
	return count;
}

void task_forget_uses_here(const struct task *task)
{
	for (struct task_use *use = uses_here; use; use = use->outer)
		if (use->task == task)
			use->task = NULL;
}

void task_use_begin(struct task_use *use, struct task *task)
{
	*use = (struct task_use){task, uses_here};
	uses_here = use;
	task->users++;
}

void task_use_end(struct task_use *use)
{
	uses_here = use->outer;
	if (!use->task)
		return;
	use->task->users--;
	(void)pthread_cond_broadcast(&use->task->manager->unused);
}
