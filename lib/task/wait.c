/* Waiting for tasks. Where a thread looks for them this is waiting for their tokens; else the one who waits
 * looks. */
#include "clock.h"
#include "due.h"
#include "hints.h"
#include "look.h"
#include "pace.h"
#include "waiting.h"

#include <cancel/clock.h>

#include <errno.h>
#include <stdlib.h>

/* Who looks for tasks of one manager while he waits for them. */
struct wait {
	struct cancel_manager *manager;
	struct cancel_task *const *tasks;
	size_t count;
	struct ear {
		bool is_rung;
		uint32_t heard[LISTENERS_MAX]; /* apart from the task's, because others may wait for it or
						  check it */
	} * ears;                              /* for each task */
	struct cancel_source
		any; /* follows several, so that there is one word for what happens in this process */
	struct cancel_link *links;
	const struct cancel_source *source; /* that, or the only task's */
	int64_t until_ns;
	struct pace pace;
	uint32_t wakes; /* what was there before the tasks were looked for */
	bool has_bell;
	uint32_t every[BELL_EVERY_COUNT];
};

static int index_of_cancelled(const struct wait *wait)
{
	for (size_t i = 0; i < wait->count; i++)
		if (task_is_cancelled(task_of(wait->tasks[i])))
			return (int)i;
	return -1;
}

/* --- looking ------------------------------------------------------------------------------------------ */

static bool is_complete(struct cancel_manager *manager)
{
	bool complete;

	manager_lock(manager);
	complete = !manager->troubles && hints_are_complete(manager);
	manager_unlock(manager);
	return complete;
}

/* Returns whether the task is cancelled. */
static bool look_for(struct wait *wait, size_t index, bool is_round)
{
	struct task *task = task_of(wait->tasks[index]);
	struct finding finding;
	int answer;

	if (due_pass_deadline(task, clock_monotonic_ns()))
		return true;
	if (is_round)
		look_keep_lease(task);
	if (!wait->ears[index].is_rung && !is_round && !due_by_clock(task))
		return false;
	look_find(task, is_round, &finding);
	answer = look_act(task, &finding);
	if (answer < 0 && answer != -EBADMSG)
		pace_try_again(&wait->pace, clock_monotonic_ns(), wait->manager->options.poll_interval_ms);
	return answer == 1;
}

static void hear_all(struct wait *wait)
{
	manager_lock(wait->manager);
	hints_read_words(wait->manager);
	for (size_t i = 0; i < wait->count; i++)
		wait->ears[i].is_rung =
			hints_hear(wait->manager, task_of(wait->tasks[i]), wait->ears[i].heard);
	hints_forget_words(wait->manager);
	manager_unlock(wait->manager);
}

/* Stops at the first that is cancelled: a callback may have ended it. */
static int look_for_all(struct wait *wait)
{
	int64_t now_ns = clock_monotonic_ns();
	bool is_round = now_ns >= wait->pace.round_ns;

	hear_all(wait);
	if (is_round) {
		look_keep_up(wait->manager);
		pace_next(&wait->pace, now_ns, wait->manager->options.poll_interval_ms,
			  is_complete(wait->manager));
	}
	for (size_t i = 0; i < wait->count; i++)
		if (look_for(wait, i, is_round))
			return (int)i;
	if (is_round)
		pace_note(&wait->pace, clock_monotonic_ns() - now_ns);
	return -1;
}

/* Before they are looked for: what changes from here on ends the sleep at once. */
static void take_moment(struct wait *wait)
{
	wait->wakes = waiting_begin(wait->source);
	manager_lock(wait->manager);
	wait->has_bell = hints_read_every(wait->manager, wait->every);
	manager_unlock(wait->manager);
}

/* --- sleeping ----------------------------------------------------------------------------------------- */

static void add_words(const struct wait *wait, struct sleep_set *set)
{
	for (size_t i = 0; i < wait->count; i++)
		if (!hints_add(wait->manager, task_of(wait->tasks[i]), wait->ears[i].heard, set)) {
			set->count = 1;
			hints_add_every(wait->manager, wait->every, set);
			return;
		}
}

static int64_t wake_time_ns(const struct wait *wait)
{
	int64_t now_ns = clock_monotonic_ns(), until_ns = sooner(wait->until_ns, wait->pace.round_ns);

	for (size_t i = 0; i < wait->count; i++) {
		const struct task *task = task_of(wait->tasks[i]);

		until_ns = sooner(until_ns, sooner(task->deadline_ns, due_at_ns(task, now_ns)));
	}
	return until_ns;
}

static void sleep_once(const struct wait *wait)
{
	struct sleep_set set = {.count = 0};
	struct bell *bell;

	(void)sleep_add(&set, &wait->source->wakes, wait->wakes, false);
	manager_lock(wait->manager);
	bell = wait->has_bell ? hints_hold_asleep(wait->manager) : NULL;
	if (bell)
		add_words(wait, &set);
	manager_unlock(wait->manager);
	sleep_until(&set, wake_time_ns(wait));
	manager_lock(wait->manager);
	hints_drop_awake(wait->manager, bell);
	manager_unlock(wait->manager);
}

static int wait_looking(struct wait *wait)
{
	for (;;) {
		int index;

		take_moment(wait);
		index = index_of_cancelled(wait);
		if (index < 0)
			index = look_for_all(wait);
		if (index >= 0)
			return index;
		if (clock_monotonic_ns() >= wait->until_ns)
			return -ETIMEDOUT;
		sleep_once(wait);
	}
}

/* --- several ------------------------------------------------------------------------------------------ */

static int follow_all(struct wait *wait)
{
	int code = 0;

	wait->source = &task_of(wait->tasks[0])->face.source;
	if (wait->count == 1)
		return 0;
	wait->links = calloc(wait->count, sizeof *wait->links);
	if (!wait->links)
		return -ENOMEM;
	cancel_source_init(&wait->any, NULL);
	wait->source = &wait->any;
	for (size_t i = 0; code >= 0 && i < wait->count; i++)
		code = cancel_link_add(&wait->links[i], &wait->any, cancel_task_token(wait->tasks[i]));
	return code < 0 ? code : 0;
}

static void follow_none(struct wait *wait)
{
	if (!wait->links)
		return;
	(void)cancel_linked_fini(&wait->any, wait->links, wait->count);
	free(wait->links);
}

static int64_t end_of(int64_t timeout_ns)
{
	int64_t end_ns;

	if (timeout_ns < 0)
		timeout_ns = 0;
	return __builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &end_ns) ? CANCEL_FOREVER : end_ns;
}

static int wait_without_thread(struct cancel_task *const *tasks, size_t count, int64_t timeout_ns)
{
	struct wait wait = {
		.manager = task_of(tasks[0])->manager,
		.tasks = tasks,
		.count = count,
		.until_ns = end_of(timeout_ns),
	};
	struct ear ear = {0};
	int code;

	wait.ears = count == 1 ? &ear : calloc(count, sizeof *wait.ears);
	if (!wait.ears)
		return -ENOMEM;
	code = follow_all(&wait);
	if (code == 0)
		code = wait_looking(&wait);
	follow_none(&wait);
	if (wait.ears != &ear)
		free(wait.ears);
	return code;
}

static int wait_with_thread(struct cancel_task *const *tasks, size_t count, int64_t timeout_ns)
{
	struct cancel_token tokens[CANCEL_WAIT_ANY_MAX];

	if (count > CANCEL_WAIT_ANY_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		tokens[i] = cancel_task_token(tasks[i]);
	return cancel_token_wait_any(tokens, count, timeout_ns);
}

int cancel_task_wait_any(struct cancel_task *const *tasks, size_t count, int64_t timeout_ns)
{
	bool has_thread;

	if (count == 0)
		return -EINVAL;
	has_thread = task_of(tasks[0])->manager->options.thread;
	for (size_t i = 0; i < count; i++) {
		const struct cancel_manager *manager = task_of(tasks[i])->manager;

		if (manager->is_inherited)
			return -EPERM;
		if (manager->options.thread != has_thread ||
		    (!has_thread && manager != task_of(tasks[0])->manager))
			return -EINVAL;
	}
	return has_thread ? wait_with_thread(tasks, count, timeout_ns)
			  : wait_without_thread(tasks, count, timeout_ns);
}

int cancel_task_wait(struct cancel_task *task, int64_t timeout_ns)
{
	int code = cancel_task_wait_any(&task, 1, timeout_ns);

	if (code == -ETIMEDOUT)
		return 0;
	return code < 0 ? code : 1;
}
