/* Whether there is reason to look for a task. */
#ifndef TASK_DUE_H
#define TASK_DUE_H

#include "task.h"

/* The wall clock may be set, and nobody is told: what takes effect by it is compared at least this often. */
#define DUE_WALL_CLOCK_NS 1000000000LL

/* Of two times the first to come. */
static inline int64_t sooner(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

/* A request that is known has taken effect. */
bool due_by_clock(const struct task *task);

/* When to look for the next one that does, by CLOCK_MONOTONIC; CANCEL_FOREVER: none is known. */
int64_t due_at_ns(const struct task *task, int64_t now_ns);

/* Cancel the task if its time is over, by CLOCK_MONOTONIC or the coarse clock, which is never ahead. Says
 * whether it is; a callback may have ended the task then. With a thread the dispatcher does it. */
bool due_pass_deadline(struct task *task, int64_t now_ns);

/* The bell has rung for it since the last time. Without the lock. */
bool due_by_bell(struct task *task);

#endif
