#include "due.h"

#include "clock.h"
#include "hints.h"

bool due_by_clock(const struct task *task)
{
	int64_t effect_at_us = atomic_load_explicit(&task->effect_at_us, memory_order_relaxed);

	return effect_at_us && clock_realtime_us() >= effect_at_us;
}

int64_t due_at_ns(const struct task *task, int64_t now_ns)
{
	int64_t effect_at_us = atomic_load_explicit(&task->effect_at_us, memory_order_relaxed), left_us;

	if (!effect_at_us)
		return CANCEL_FOREVER;
	left_us = effect_at_us - clock_realtime_us();
	return left_us < DUE_WALL_CLOCK_NS / NS_PER_US ? now_ns + left_us * NS_PER_US
						       : now_ns + DUE_WALL_CLOCK_NS;
}

bool due_pass_deadline(struct task *task, int64_t now_ns)
{
	if (now_ns < task->deadline_ns)
		return false;
	(void)cancel_source_cancel(&task->face.source, &task_deadline_cause);
	return true;
}

bool due_by_bell(struct task *task)
{
	bool rung;

	manager_lock(task->manager);
	rung = hints_hear(task->manager, task, task->heard);
	manager_unlock(task->manager);
	return rung;
}
