/* The checkpoint of a task without a thread. */
#include "clock.h"
#include "due.h"
#include "look.h"

#include <errno.h>

#define LOOK_NS (CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS)

static bool look(struct task *task, bool is_seldom)
{
	struct finding finding;

	if (is_seldom) {
		look_keep_up(task->manager);
		look_keep_lease(task);
	}
	look_find(task, is_seldom, &finding);
	/* From here on another checkpoint may look, and a callback may end the task. */
	atomic_store(&task->looks_now, false);
	return look_act(task, &finding) == 1;
}

/* At a tick of the clock, one thread at a time. */
static bool look_at_tick(struct task *task, int64_t now_ns)
{
	bool is_seldom = now_ns >= task->look_at_ns;

	if (!due_by_bell(task) && !is_seldom && !due_by_clock(task)) {
		atomic_store(&task->looks_now, false);
		return false;
	}
	task->look_at_ns = now_ns + LOOK_NS;
	return look(task, is_seldom);
}

/* A tick has passed. */
static bool take_tick(struct task *task, const struct timespec *now)
{
	int64_t now_ns = timespec_ns(now);

	if (task->manager->is_inherited)
		return false;
	if (due_pass_deadline(task, now_ns))
		return true;
	if (atomic_exchange(&task->looks_now, true))
		return false;
	atomic_store_explicit(&task->tick, now->tv_nsec, memory_order_relaxed);
	return look_at_tick(task, now_ns);
}

/* Every nanosecond counts here: no call but that of the clock, no sum. */
bool cancel_task_look_if_due(struct cancel_task *face)
{
	struct task *task = task_of(face);
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_nsec == atomic_load_explicit(&task->tick, memory_order_relaxed))
		return false;
	return take_tick(task, &now);
}

int cancel_task_check(struct cancel_task *face, struct cancel_error *error)
{
	struct task *task = task_of(face);
	struct cancel_error problem;
	struct finding finding;
	int code = manager_refuse_inherited(task->manager, error);

	if (code < 0)
		return code;
	if (task_is_cancelled(task) || due_pass_deadline(task, clock_monotonic_ns()))
		return 1;
	look_find(task, true, &finding);
	problem = finding.problem;
	code = look_act(task, &finding);
	if (code < 0 && error)
		*error = problem;
	return code;
}
