/* Waiting for one task, and for one of many. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "tasking.h"
#include "token_absent.h"
#include "token_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum {
	MANY = CANCEL_WAIT_ANY_MAX + 72,
};

TestSuite(task_wait, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

static struct cancel_task *tasks[MANY];
static size_t task_count;

static void begin_many(size_t count)
{
	char id[32];

	for (task_count = 0; task_count < count; task_count++) {
		(void)snprintf(id, sizeof(id), "many_%zu", task_count);
		EXPECT(0, tasking_begin(id));
		tasks[task_count] = task;
	}
}

/* --- one ------------------------------------------------------------------------------------------------ */

static int wait_for_it(void *arg)
{
	return cancel_task_wait(arg, CANCEL_FOREVER);
}

TASKING_TEST(task_wait, a_wait_without_a_limit_ends_when_it_is_asked_for)
{
	struct token_thread waiter;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiter, wait_for_it, task);
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("b");
	cr_assert(!token_thread_has_ended(&waiter));
	tasking_ask("a");
	cr_assert_eq(token_thread_join(&waiter), 1);
	cr_assert(cancel_task_checkpoint(task));
}

TASKING_TEST(task_wait, any_number_of_threads_may_wait)
{
	struct token_thread waiters[5];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 5; i++) {
		token_thread_start(&waiters[i], wait_for_it, task);
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	}
	tasking_ask("a");
	for (int i = 0; i < 5; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 1);
}

TASKING_TEST(task_wait, a_wait_that_is_over_was_no_shorter_than_was_said)
{
	int64_t before_ns;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	before_ns = cancel_clock_now_ns();
	cr_assert_eq(cancel_task_wait(task, 35 * CANCEL_MILLISECOND), 0);
	cr_assert_geq(cancel_clock_now_ns() - before_ns, 35 * CANCEL_MILLISECOND);
}

TASKING_TEST(task_wait, no_time_at_all_is_a_look)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_wait(task, 0), 0);
	cr_assert_eq(cancel_task_wait(task, -1), 0);
	cr_assert_eq(cancel_task_wait(task, INT64_MIN), 0);
	cr_assert_eq(cancel_task_cancel(task, &quota), 1);
	cr_assert_eq(cancel_task_wait(task, 0), 1);
	cr_assert_eq(cancel_task_wait(task, INT64_MIN), 1);
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
}

TASKING_TEST(task_wait, a_look_without_a_thread_finds_what_was_published)
{
	if (way->thread || way->notice != CANCEL_NOTICE_BELL)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(cancel_task_wait(task, 0), 1);
}

static void nothing(int number)
{
	(void)number;
}

TASKING_TEST(task_wait, signals_do_not_end_a_wait)
{
	struct sigaction action = {.sa_handler = nothing};
	struct token_thread waiter;

	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiter, wait_for_it, task);
	for (int i = 0; i < 10; i++) {
		cr_assert(token_thread_falls_asleep(&waiter));
		cr_assert_eq(pthread_kill(waiter.thread, SIGUSR1), 0);
	}
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("a");
	cr_assert_eq(token_thread_join(&waiter), 1);
}

TASKING_TEST(task_wait, a_deadline_ends_a_wait)
{
	tasking_open(way);
	terms.timeout_ns = 40 * CANCEL_MILLISECOND;
	tasking_begin_in_time("a");
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_error(cancel_task_token(task)), -ETIMEDOUT);
}

TASKING_TEST(task_wait, a_cancel_time_ends_a_wait)
{
	int64_t at_us = clock_realtime_us() + 100 * US_PER_MS;

	tasking_open(way);
	tasking_ask_at("a", at_us);
	cr_assert_geq(tasking_begin("a"), 0);
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	cr_assert_geq(clock_realtime_us(), at_us);
}

/* What was published before the sleeper went to sleep, but after it began, is not slept over. */
TASKING_TEST(task_wait, what_came_before_the_wait_ends_it_at_once)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
}

/* The wait of another process. */
Test(task_wait, a_worker_in_another_process_is_woken)
{
	struct tasking_worker workers[3];

	for (int i = 0; i < 3; i++)
		tasking_worker_start(&workers[i], i < 2 ? "a" : "b", NULL, i == 1 ? "tenant" : NULL);
	tasking_ask("a");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(tasking_worker_wait(&workers[i]), 1);
	cr_assert_eq(tasking_worker_end(&workers[0], CANCEL_OUTCOME_STOPPED), 1);
	cr_assert_eq(tasking_worker_end(&workers[1], CANCEL_OUTCOME_STOPPED), 0);
	cr_assert_eq(tasking_worker_end(&workers[2], CANCEL_OUTCOME_NONE), 0);
}

/* --- one of many ---------------------------------------------------------------------------------------- */

static int wait_for_any(void *arg)
{
	(void)arg;
	return cancel_task_wait_any(tasks, task_count, CANCEL_FOREVER);
}

TASKING_TEST(task_wait, it_says_which_one_was_cancelled)
{
	struct token_thread waiter;

	tasking_open(way);
	begin_many(10);
	for (int i = 9; i >= 0; i -= 3) {
		char id[16];

		token_thread_start(&waiter, wait_for_any, NULL);
		cr_assert(token_thread_falls_asleep(&waiter) || i < 9);
		(void)snprintf(id, sizeof(id), "many_%d", i);
		tasking_ask(id);
		cr_assert_eq(token_thread_join(&waiter), i, "%s", tasking_way_text(way));
		cr_assert_eq(cancel_task_end(tasks[i], CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
		EXPECT(0, tasking_begin(id));
		tasks[i] = task;
	}
}

TASKING_TEST(task_wait, of_several_it_is_the_first_in_the_list)
{
	tasking_open(way);
	begin_many(5);
	for (int i = 4; i > 0; i--)
		cr_assert_eq(cancel_task_cancel(tasks[i], &quota), 1);
	cr_assert_eq(cancel_task_wait_any(tasks, 5, CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_task_wait_any(tasks, 5, 0), 1);
	cr_assert_eq(cancel_task_wait_any(tasks, 1, 0), -ETIMEDOUT);
}

TASKING_TEST(task_wait, nobody_in_time_is_a_timeout)
{
	int64_t before_ns;

	tasking_open(way);
	begin_many(3);
	cr_assert_eq(cancel_task_wait_any(tasks, 3, 0), -ETIMEDOUT);
	cr_assert_eq(cancel_task_wait_any(tasks, 3, -5), -ETIMEDOUT);
	before_ns = cancel_clock_now_ns();
	cr_assert_eq(cancel_task_wait_any(tasks, 3, 35 * CANCEL_MILLISECOND), -ETIMEDOUT);
	cr_assert_geq(cancel_clock_now_ns() - before_ns, 35 * CANCEL_MILLISECOND);
}

TASKING_TEST(task_wait, a_deadline_of_one_of_them_ends_the_wait)
{
	tasking_open(way);
	begin_many(3);
	terms.timeout_ns = 30 * CANCEL_MILLISECOND;
	tasking_begin_in_time("late");
	tasks[task_count++] = task;
	cr_assert_eq(cancel_task_wait_any(tasks, task_count, CANCEL_FOREVER), 3);
}

TASKING_TEST(task_wait, a_cancel_time_of_one_of_them_ends_the_wait)
{
	tasking_open(way);
	begin_many(3);
	tasking_ask_at("many_1", clock_realtime_us() + 100 * US_PER_MS);
	cr_assert_eq(cancel_task_wait_any(tasks, 3, CANCEL_FOREVER), 1);
}

static int cancel_the_third(void *arg)
{
	(void)arg;
	return cancel_task_cancel(tasks[2], &quota);
}

TASKING_TEST(task_wait, the_program_ends_a_wait_for_many)
{
	struct token_thread waiter, canceller;

	tasking_open(way);
	begin_many(4);
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	token_thread_start(&canceller, cancel_the_third, NULL);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(token_thread_join(&waiter), 2);
}

TASKING_TEST(task_wait, a_parent_of_one_of_them_ends_a_wait_for_many)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT;
	struct token_thread waiter;

	tasking_open(way);
	begin_many(2);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("child"));
	tasks[task_count++] = task;
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	cr_assert_eq(cancel_source_cancel(&parent, &quota), 1);
	cr_assert_eq(token_thread_join(&waiter), 2);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_wait, further_ids_end_a_wait_for_many)
{
	struct token_thread waiter;

	tasking_open(way);
	begin_many(3);
	EXPECT(0, tasking_begin_also("x", "tenant"));
	tasks[task_count++] = task;
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("tenant");
	cr_assert_eq(token_thread_join(&waiter), 3);
}

/* One more than futex_waitv(2) takes. */
TASKING_TEST(task_wait, without_a_thread_any_number_can_be_waited_for)
{
	struct token_thread waiter;
	char id[32];

	tasking_open(way);
	begin_many(MANY);
	if (way->thread) {
		cr_assert_eq(cancel_task_wait_any(tasks, CANCEL_WAIT_ANY_MAX + 1, 0), -EINVAL);
		cr_assert_eq(cancel_task_wait_any(tasks, CANCEL_WAIT_ANY_MAX, 0), -ETIMEDOUT);
		return;
	}
	cr_assert_eq(cancel_task_wait_any(tasks, MANY, 0), -ETIMEDOUT);
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	(void)snprintf(id, sizeof(id), "many_%d", MANY - 1);
	tasking_ask(id);
	cr_assert_eq(token_thread_join(&waiter), MANY - 1);
}

/* The edge: the most that one call of the kernel's takes, one less, one more. */
TASKING_TEST(task_wait, as_many_as_the_kernel_takes_can_be_waited_for)
{
	size_t most = CANCEL_WAIT_ANY_MAX + (way->thread ? 0 : 1);
	struct token_thread waiter;
	char id[32];

	if (way->notice != CANCEL_NOTICE_BELL)
		return;
	tasking_open(way);
	begin_many(CANCEL_WAIT_ANY_MAX + 1);
	for (size_t count = CANCEL_WAIT_ANY_MAX - 1; count <= most; count++) {
		task_count = count;
		token_thread_start(&waiter, wait_for_any, NULL);
		cr_assert(token_thread_falls_asleep(&waiter));
		(void)snprintf(id, sizeof(id), "many_%zu", count - 1);
		tasking_ask(id);
		cr_assert_eq(token_thread_join(&waiter), (int)count - 1);
		cr_assert_eq(cancel_task_end(tasks[count - 1], CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
		EXPECT(0, tasking_begin(id));
		tasks[count - 1] = task;
	}
}

TASKING_TEST(task_wait, none_is_refused)
{
	tasking_open(way);
	begin_many(1);
	cr_assert_eq(cancel_task_wait_any(tasks, 0, CANCEL_FOREVER), -EINVAL);
	cr_assert_eq(cancel_task_wait_any(NULL, 0, 0), -EINVAL);
}

/* --- several managers ----------------------------------------------------------------------------------- */

static struct cancel_manager *other;
static struct cancel_task *others_task;

static void open_other(bool thread)
{
	manager_options.thread = thread;
	EXPECT(0, cancel_manager_open(&other, &manager_options, &error));
	EXPECT(0, cancel_task_begin(&others_task, other, "other", NULL, &error));
}

TASKING_TEST(task_wait, with_threads_they_may_be_of_several_managers)
{
	struct token_thread waiter;

	tasking_open(way);
	begin_many(2);
	open_other(way->thread);
	tasks[task_count++] = others_task;
	if (!way->thread) {
		cr_assert_eq(wait_for_any(NULL), -EINVAL);
		cr_assert_eq(cancel_manager_close(other), 0);
		return;
	}
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("other");
	cr_assert_eq(token_thread_join(&waiter), 2);
	cr_assert_eq(cancel_task_end(others_task, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
	EXPECT(0, cancel_task_begin(&others_task, other, "other", NULL, &error));
	tasks[2] = others_task;
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("many_1");
	cr_assert_eq(token_thread_join(&waiter), 1);
	cr_assert_eq(cancel_manager_close(other), 0);
}

/* Of another spool, too. */
TASKING_TEST(task_wait, with_threads_they_may_be_of_several_spools)
{
	struct cancel_spool_options elsewhere = *manager_options.spool;
	const struct cancel_spool_options *here = manager_options.spool;
	struct token_thread waiter;
	struct cancel_request request;

	if (!way->thread)
		return;
	tasking_open(way);
	begin_many(2);
	elsewhere.path = beside("second");
	manager_options.spool = &elsewhere;
	open_other(way->thread);
	manager_options.spool = here;
	tasks[task_count++] = others_task;
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	cancel_request_init(&request);
	request.task_id = "other";
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(cancel_manager_spool(other), &request, NULL, &error));
	cancel_request_clear(&request);
	cr_assert_eq(token_thread_join(&waiter), 2);
	cr_assert_eq(cancel_manager_close(other), 0);
}

TASKING_TEST(task_wait, managers_of_both_sorts_are_refused)
{
	struct cancel_manager_options before;

	tasking_open(way);
	begin_many(1);
	before = manager_options;
	if (manager_options.notice == CANCEL_NOTICE_INOTIFY)
		manager_options.notice = CANCEL_NOTICE_AUTO;
	open_other(!way->thread);
	manager_options = before;
	tasks[task_count++] = others_task;
	cr_assert_eq(cancel_task_wait_any(tasks, 2, CANCEL_FOREVER), -EINVAL);
	cr_assert_eq(cancel_task_wait_any(tasks + 1, 1, 0), -ETIMEDOUT);
	cr_assert_eq(cancel_manager_close(other), 0);
}

/* --- a kernel that lacks futex_waitv(2) ----------------------------------------------------------------- */

TASKING_TEST(task_wait, without_futex_waitv_nothing_is_missed)
{
	struct token_thread waiter;

	token_absent_call(SYS_futex_waitv);
	tasking_open(way);
	begin_many(3);
	EXPECT(0, tasking_begin_also("x", "tenant"));
	tasks[task_count++] = task;
	token_thread_start(&waiter, wait_for_any, NULL);
	cr_assert(token_thread_falls_asleep(&waiter));
	tasking_ask("tenant");
	cr_assert_eq(token_thread_join(&waiter), 3);
	task_count = 3;
	tasking_ask("many_0");
	EXPECT_NOTICED(way, tasks[0]);
	cr_assert_eq(wait_for_any(NULL), 0);
}
