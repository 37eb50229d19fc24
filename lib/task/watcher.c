/*
 * The manager's thread: sleeps until there may be something to see, and cancels the tasks that are cancelled.
 * Their callbacks are the dispatcher's, so that one that takes long keeps no other task from being cancelled.
 */
#include "clock.h"
#include "due.h"
#include "futex.h"
#include "hints.h"
#include "look.h"

#include <errno.h>
#include <signal.h>

/* --- looking ------------------------------------------------------------------------------------------ */

static void mark_due(struct cancel_manager *manager, bool is_round)
{
	if (manager->hints.way == CANCEL_NOTICE_INOTIFY)
		hints_take_files(manager);
	hints_read_words(manager);
	for (struct task *task = manager->first; task; task = task->next)
		if (!task_is_cancelled(task) &&
		    (hints_hear(manager, task, task->heard) || is_round || due_by_clock(task)))
			task->is_due = true;
	hints_forget_words(manager);
}

/* From where the thread has come to; who ends a task moves it on. */
static struct task *next_due(struct cancel_manager *manager)
{
	struct task *task = manager->cursor;

	while (task && !(task->is_due && !task_is_cancelled(task)))
		task = task->next;
	manager->cursor = task ? task->next : NULL;
	return task;
}

/* Without the lock. False: to be tried again. */
static bool look_for(struct task *task, bool is_round)
{
	struct finding finding;

	if (is_round)
		look_keep_lease(task);
	look_find(task, is_round || task->manager->hints.dirwatch, &finding);
	return look_act_deferred(task, &finding) || finding.answer == -EBADMSG;
}

/* Returns whether there was anything to look for: meanwhile there may be more. */
static bool look_for_due(struct cancel_manager *manager, bool is_round)
{
	struct task *task;
	bool any = false;

	manager->cursor = manager->first;
	while ((task = next_due(manager)) && !manager->watcher.stops) {
		struct task_use use;
		bool done;

		task->is_due = false;
		task_use_begin(&use, task);
		manager_unlock(manager);
		done = look_for(task, is_round);
		manager_lock(manager);
		task_use_end(&use);
		if (!done)
			pace_try_again(&manager->watcher.pace, clock_monotonic_ns(),
				       manager->options.poll_interval_ms);
		any = true;
	}
	return any;
}

/* --- sleeping ----------------------------------------------------------------------------------------- */

/* What was read before the tasks were looked for: if it has changed since, there is no sleep. */
struct moment {
	uint32_t kicks;
	bool has_bell;
	uint32_t every[BELL_EVERY_COUNT];
};

static void take_moment(struct cancel_manager *manager, struct moment *moment)
{
	moment->kicks = __atomic_load_n(&manager->watcher.kicks, __ATOMIC_SEQ_CST);
	moment->has_bell = hints_read_every(manager, moment->every);
}

/* Where there is no task nothing is looked for. */
static int64_t wake_time_ns(const struct cancel_manager *manager)
{
	int64_t now_ns = clock_monotonic_ns(), until_ns = CANCEL_FOREVER;

	for (const struct task *task = manager->first; task; task = task->next)
		if (!task_is_cancelled(task))
			until_ns = sooner(until_ns,
					  sooner(manager->watcher.pace.round_ns, due_at_ns(task, now_ns)));
	return until_ns;
}

static void add_words(const struct cancel_manager *manager, const uint32_t every[BELL_EVERY_COUNT],
		      struct sleep_set *set)
{
	for (const struct task *task = manager->first; task; task = task->next)
		if (!task_is_cancelled(task) && !hints_add(manager, task, task->heard, set)) {
			set->count = 1;
			hints_add_every(manager, every, set);
			return;
		}
}

static void sleep_on_words(struct cancel_manager *manager, const struct moment *moment, int64_t until_ns)
{
	struct sleep_set set = {.count = 0};
	struct bell *bell = moment->has_bell ? hints_hold_asleep(manager) : NULL;

	(void)sleep_add(&set, &manager->watcher.kicks, moment->kicks, false);
	if (bell)
		add_words(manager, moment->every, &set);
	manager_unlock(manager);
	sleep_until(&set, until_ns);
	manager_lock(manager);
	hints_drop_awake(manager, bell);
}

static void sleep_now(struct cancel_manager *manager, const struct moment *moment)
{
	int64_t until_ns = wake_time_ns(manager);

	if (manager->hints.way != CANCEL_NOTICE_INOTIFY) {
		sleep_on_words(manager, moment, until_ns);
		return;
	}
	manager_unlock(manager);
	hints_wait_for_files(manager, until_ns);
	manager_lock(manager);
}

/* --- the thread --------------------------------------------------------------------------------------- */

static bool begin_round(struct cancel_manager *manager, int64_t now_ns)
{
	struct watcher *watcher = &manager->watcher;

	/* Where somebody rings for all there is no need to hurry. */
	if (watcher->has_begun_task && !hints_are_complete(manager))
		pace_hurry(&watcher->pace, now_ns);
	watcher->has_begun_task = false;
	if (!hints_are_stale(manager) && (!manager->first || now_ns < watcher->pace.round_ns))
		return false;
	pace_next(&watcher->pace, now_ns, manager->options.poll_interval_ms,
		  !manager->troubles && hints_are_complete(manager));
	return true;
}

static void take_turn(struct cancel_manager *manager)
{
	int64_t begun_ns = clock_monotonic_ns();
	bool is_round = begin_round(manager, begun_ns), has_looked;
	struct moment moment;

	if (is_round) {
		manager_unlock(manager);
		look_keep_up(manager);
		manager_lock(manager);
	}
	take_moment(manager, &moment);
	mark_due(manager, is_round);
	has_looked = look_for_due(manager, is_round);
	if (is_round)
		pace_note(&manager->watcher.pace, clock_monotonic_ns() - begun_ns);
	/* Told to stop before the moment was taken, it would not be woken; nor where it is not told of
	 * changes. */
	if (!has_looked && !manager->watcher.stops && !hints_are_stale(manager))
		sleep_now(manager, &moment);
}

static void *watch(void *arg)
{
	struct cancel_manager *manager = arg;

	manager_lock(manager);
	while (!manager->watcher.stops)
		take_turn(manager);
	manager_unlock(manager);
	return NULL;
}

void watcher_kick(struct cancel_manager *manager)
{
	if (!manager->watcher.runs)
		return;
	(void)__atomic_add_fetch(&manager->watcher.kicks, 1, __ATOMIC_SEQ_CST);
	futex_wake_all(&manager->watcher.kicks);
	hints_kick(manager);
}

int watcher_start(struct cancel_manager *manager)
{
	sigset_t all, before;
	int code;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	code = -pthread_create(&manager->watcher.thread, NULL, watch, manager);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	manager->watcher.runs = code == 0;
	return code;
}

void watcher_stop(struct cancel_manager *manager)
{
	if (!manager->watcher.runs)
		return;
	manager_lock(manager);
	manager->watcher.stops = true;
	watcher_kick(manager);
	manager_unlock(manager);
	(void)pthread_join(manager->watcher.thread, NULL);
	manager->watcher.runs = false;
}
