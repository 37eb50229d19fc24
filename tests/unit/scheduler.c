/* Schedulers: handing in, running, trying again, what is counted. */
#include "scheduling.h"

#include "process.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	FOREVER_S = 1000,
	MANY = 300,
};

TestSuite(scheduler, .init = scheduling_set_up, .fini = scheduling_tear_down, .timeout = 60);

static struct chore chores[MANY];

/* --- opening ------------------------------------------------------------------------------------------ */

static void expect_refused_options(const char *words)
{
	struct cancel_scheduler *opened = NULL;

	EXPECT(-EINVAL, cancel_scheduler_open(&opened, manager, &scheduler_options, &error));
	EXPECT_WORDS(words);
	cr_assert_null(opened);
}

Test(scheduler, an_option_out_of_its_range_is_refused)
{
	const struct cancel_scheduler_options good = scheduler_options;

	scheduling_open();
	scheduling_close();
	scheduler_options.queue_max = 0;
	expect_refused_options("queue_max");
	scheduler_options = good;
	scheduler_options.tries.timeout_ns = 0;
	expect_refused_options("timeout");
	scheduler_options = good;
	scheduler_options.tries.retry_interval_ns = -1;
	expect_refused_options("pause");
	scheduler_options = good;
}

Test(scheduler, a_manager_without_a_thread_is_refused)
{
	tasking_open(NULL);
	expect_refused_options("thread");
}

Test(scheduler, the_defaults_are_what_the_header_says)
{
	struct cancel_scheduler_options options;

	EXPECT(0, cancel_scheduler_options_init(&options, &error));
	cr_assert_eq(options.threads, 0);
	cr_assert_eq(options.queue_max, 1024);
	cr_assert_eq(options.ended_max, 1024);
	cr_assert_null(options.log);
	cr_assert_eq(options.tries.timeout_ns, 300 * CANCEL_SECOND);
	cr_assert_eq(options.tries.retries, 3);
	cr_assert_eq(options.tries.retry_interval_ns, 60 * CANCEL_SECOND);
}

Test(scheduler, the_environment_says_what_tries_are_like)
{
	struct cancel_scheduler_options options;

	(void)setenv("SCHEDULER_TASK_TIMEOUT", "2m", 1);
	(void)setenv("SCHEDULER_MAX_RETRIES", "0", 1);
	(void)setenv("SCHEDULER_RETRY_INTERVAL", "1", 1);
	EXPECT(0, cancel_scheduler_options_init(&options, &error));
	cr_assert_eq(options.tries.timeout_ns, 120 * CANCEL_SECOND);
	cr_assert_eq(options.tries.retries, 0);
	cr_assert_eq(options.tries.retry_interval_ns, CANCEL_SECOND);
	scheduler_options = options;
	scheduling_open();
	cr_assert_eq(submission.tries.timeout_ns, 120 * CANCEL_SECOND);
	cr_assert_eq(submission.tries.retries, 0);
}

Test(scheduler, a_variable_that_is_wrong_is_refused_by_both)
{
	struct cancel_scheduler *opened = NULL;
	struct cancel_scheduler_options options;

	scheduling_open();
	scheduling_close();
	(void)setenv("SCHEDULER_MAX_RETRIES", "some", 1);
	EXPECT(-EINVAL, cancel_scheduler_options_init(&options, &error));
	EXPECT_WORDS("SCHEDULER_MAX_RETRIES");
	cr_assert_eq(options.tries.retries, 3);
	EXPECT(-EINVAL, cancel_scheduler_open(&opened, manager, NULL, &error));
	cr_assert_null(opened);
	(void)setenv("SCHEDULER_MAX_RETRIES", "1", 1);
	EXPECT(0, cancel_scheduler_open(&scheduler, manager, NULL, &error));
}

static int processors(void)
{
	cpu_set_t set;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

/* The keeper and the ender are two more. */
Test(scheduler, zero_threads_are_as_many_as_processors)
{
	int before;

	scheduler_options.threads = 0;
	scheduling_open();
	scheduling_close();
	before = token_count_threads();
	scheduling_open();
	cr_assert_eq(token_count_threads(), before + processors() + 2);
	scheduling_close();
	cr_assert(token_threads_become(before));
}

static void see_signals(struct chore *chore, const struct cancel_try *now)
{
	sigset_t blocked;

	(void)now;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	chore->failure = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGUSR1) ? 1 : 2;
}

Test(scheduler, its_threads_take_no_signals)
{
	scheduling_open();
	chores[0].does = see_signals;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	cr_assert_eq(chores[0].failure, 1);
}

/* No machine has room for such a stack. */
Test(scheduler, threads_that_cannot_be_had_are_told_and_none_is_left)
{
	struct cancel_scheduler *opened = NULL;
	pthread_attr_t attributes;
	int before;

	scheduling_open();
	scheduling_close();
	before = token_count_threads();
	cr_assert_eq(pthread_attr_init(&attributes), 0);
	cr_assert_eq(pthread_attr_setstacksize(&attributes, (size_t)1 << 46), 0);
	cr_assert_eq(pthread_setattr_default_np(&attributes), 0);
	EXPECT(-EAGAIN, cancel_scheduler_open(&opened, manager, &scheduler_options, &error));
	EXPECT_WORDS("thread");
	cr_assert_null(opened);
	cr_assert(token_threads_become(before));
}

static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	cr_assert(file && fscanf(file, "%lu", &pages) == 1);
	(void)fclose(file);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Room for two of four. */
Test(scheduler, if_some_threads_can_be_had_only_they_are_ended)
{
	const size_t stack_size = (size_t)1 << 30;
	struct cancel_scheduler *opened = NULL;
	pthread_attr_t attributes;
	int before;

#if defined(__SANITIZE_ADDRESS__)
	cr_skip_test("the checker takes all addresses there are");
#endif
	if (getenv("CANCEL_TEST_SLOW"))
		cr_skip_test("the checker's own memory counts");
	scheduling_open();
	scheduling_close();
	before = token_count_threads();
	cr_assert_eq(pthread_attr_init(&attributes), 0);
	cr_assert_eq(pthread_attr_setstacksize(&attributes, stack_size), 0);
	cr_assert_eq(pthread_setattr_default_np(&attributes), 0);
	scheduler_options.threads = 4;
	cr_assert_eq(
		setrlimit(RLIMIT_AS, &(struct rlimit){address_space() + stack_size * 5 / 2, RLIM_INFINITY}),
		0);
	EXPECT(-EAGAIN, cancel_scheduler_open(&opened, manager, &scheduler_options, &error));
	cr_assert_null(opened);
	cr_assert(token_threads_become(before));
}

/* --- running ------------------------------------------------------------------------------------------ */

Test(scheduler, a_task_runs_and_succeeds)
{
	struct cancel_scheduled state;

	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(state.tries, 1);
	cr_assert_eq(state.result, 0);
	cr_assert(!state.is_cancelled);
	cr_assert_gt(state.submitted_at_us, 1700000000000000);
	cr_assert_geq(state.started_at_us, state.submitted_at_us);
	cr_assert_geq(state.ended_at_us, state.started_at_us);
	cr_assert_eq(atomic_load(&chores[0].calls), 1);
}

Test(scheduler, the_function_learns_who_it_is)
{
	scheduling_open();
	submission.run = "r7";
	EXPECT(0, scheduling_submit("a", &chores[0]));
	submission.run = NULL;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	(void)scheduling_wait("a");
	(void)scheduling_wait("b");
	cr_assert_str_eq(chores[0].task_id, "a");
	cr_assert_str_eq(chores[0].run, "r7");
	cr_assert_eq(chores[0].number, 1);
	cr_assert_not_null(chores[0].token_task);
	cr_assert_str_eq(chores[1].run, "(none)");
}

/* DESIGN.md, invariant 49 */
Test(scheduler, ended_is_told_once_with_how_it_ended)
{
	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
	cr_assert_str_eq(chores[0].ended_id, "a");
	cr_assert_eq(chores[0].end.status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_neq(chores[0].end.ended_at_us, 0);
	scheduling_close();
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
}

Test(scheduler, nobody_need_be_told)
{
	scheduling_open();
	EXPECT(0, cancel_scheduler_submit(scheduler, "a", chore_run, &chores[0], NULL, &error));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

Test(scheduler, as_many_run_at_once_as_there_are_threads)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_count().running, 2);
	cr_assert_eq(scheduling_count().queued, 1);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_QUEUED);
	cr_assert_eq(scheduling_state("a").started_at_us, 0);
	cr_assert_eq(scheduling_state("blocker-0").status, CANCEL_SCHEDULED_RUNNING);
	cr_assert_eq(scheduling_state("blocker-0").tries, 1);
	cr_assert_eq(scheduling_state("blocker-0").ended_at_us, 0);
	scheduling_unblock();
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

/* By priority, and of equals the first; priorities at the ends of their range among them. */
Test(scheduler, higher_priorities_go_first_and_of_equals_the_first)
{
	static const int priorities[] = {0, INT_MIN, 5, 0, INT_MAX, 5, -1, INT_MAX, 0, INT_MIN};
	static const unsigned expected[] = {5, 9, 3, 6, 1, 4, 8, 2, 7, 10};
	enum { COUNT = sizeof(priorities) / sizeof(priorities[0]) };
	char task_id[16];

	scheduler_options.threads = 1;
	scheduling_open();
	scheduling_block();
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		submission.priority = priorities[i];
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	scheduling_unblock();
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(chores[i].order, expected[i], "%d was number %u", i, chores[i].order);
}

/* Some are taken out of the middle meanwhile. */
Test(scheduler, many_of_random_priorities_go_in_order)
{
	static int priorities[MANY];
	unsigned cancelled = 0, random = 1;
	char task_id[16];

	scheduler_options.threads = 1;
	scheduling_open();
	scheduling_block();
	for (int i = 0; i < MANY; i++) {
		random = random * 1103515245 + 12345;
		priorities[i] = (int)(random >> 16) % 7;
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		submission.priority = priorities[i];
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	for (int i = 0; i < MANY; i += 3, cancelled++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		EXPECT(0, cancel_scheduler_cancel(scheduler, task_id, NULL, &error));
	}
	scheduling_unblock();
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	cr_assert_eq(scheduling_count().cancelled, cancelled);
	for (int i = 0; i < MANY; i++)
		for (int j = i + 1; j < MANY && i % 3; j++)
			cr_assert(j % 3 == 0 || (priorities[i] >= priorities[j]) ==
							(chores[i].order < chores[j].order),
				  "%d and %d", i, j);
	for (int i = 0; i < MANY; i += 3)
		cr_assert_eq(atomic_load(&chores[i].calls), 0);
}

/* --- being refused ------------------------------------------------------------------------------------ */

static void expect_nothing_of(struct chore *chore)
{
	cr_assert_eq(atomic_load(&chore->calls), 0);
	cr_assert_eq(atomic_load(&chore->ends), 0);
}

Test(scheduler, a_full_queue_says_so_and_takes_more_when_there_is_room)
{
	scheduler_options.queue_max = 2;
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(0, scheduling_submit("b", &chores[1]));
	EXPECT(-EAGAIN, scheduling_submit("c", &chores[2]));
	EXPECT_WORDS("2 tasks wait");
	cr_assert_eq(scheduling_count().total, 4);
	scheduling_unblock();
	(void)scheduling_wait("b");
	expect_nothing_of(&chores[2]);
	EXPECT(0, scheduling_submit("c", &chores[2]));
	(void)scheduling_wait("c");
}

/* Room is made by one that is cancelled too. */
Test(scheduler, a_task_that_is_cancelled_leaves_the_queue)
{
	scheduler_options.queue_max = 1;
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(-EAGAIN, scheduling_submit("b", &chores[1]));
	EXPECT(0, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	EXPECT_BECOMES(CANCEL_SCHEDULED_CANCELLED, "a");
	EXPECT(0, scheduling_submit("b", &chores[1]));
}

struct submitter {
	struct token_thread thread;
	struct token_gate *together;
	char task_id[16];
};

static int submit_one(void *arg)
{
	struct submitter *submitter = arg;

	token_gate_pass(submitter->together);
	return cancel_scheduler_submit(scheduler, submitter->task_id, chore_run, &chores[0], NULL, NULL);
}

/* All submit at once; returns how many were accepted, who are cancelled then. */
static int submit_together(struct submitter submitters[], int count)
{
	struct token_gate together = TOKEN_GATE_INIT;
	int accepted = 0;

	for (int i = 0; i < count; i++) {
		submitters[i].together = &together;
		(void)snprintf(submitters[i].task_id, sizeof(submitters[i].task_id), "t%d", i);
		token_thread_start(&submitters[i].thread, submit_one, &submitters[i]);
	}
	token_gate_await(&together, count);
	token_gate_open(&together);
	for (int i = 0; i < count; i++)
		accepted += token_thread_join(&submitters[i].thread) == 0;
	for (int i = 0; i < count; i++)
		if (cancel_scheduler_cancel(scheduler, submitters[i].task_id, NULL, NULL) >= 0)
			(void)scheduling_wait(submitters[i].task_id);
	return accepted;
}

/* A place is taken before the files are looked at, which lasts. */
Test(scheduler, the_queue_holds_exactly_queue_max_however_many_threads_submit)
{
	static struct submitter submitters[4];

	scheduler_options.queue_max = 2;
	scheduling_open();
	scheduling_block();
	for (int round = 0; round < 200; round++)
		cr_assert_eq(submit_together(submitters, 4), 2, "round %d", round);
}

Test(scheduler, an_id_is_one_task_at_a_time)
{
	static struct token_gate gate = TOKEN_GATE_INIT, end_gate = TOKEN_GATE_INIT;

	scheduling_open();
	chores[0].gate = &gate;
	chores[0].end_gate = &end_gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT(-EEXIST, scheduling_submit("a", &chores[1]));
	token_gate_open(&gate);
	token_gate_await(&end_gate, 1);
	EXPECT(-EEXIST, scheduling_submit("a", &chores[1])); /* it is ending */
	token_gate_open(&end_gate);
	(void)scheduling_wait("a");
	expect_nothing_of(&chores[1]);
	EXPECT(0, scheduling_submit("a", &chores[1]));
	(void)scheduling_wait("a");
	cr_assert_eq(atomic_load(&chores[1].calls), 1);
}

Test(scheduler, a_queued_id_is_taken_too)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(-EEXIST, scheduling_submit("a", &chores[1]));
	submission.run = "other";
	EXPECT(-EEXIST, scheduling_submit("a", &chores[1]));
}

Test(scheduler, tries_out_of_their_range_are_refused)
{
	scheduling_open();
	submission.tries.timeout_ns = 0;
	EXPECT(-EINVAL, scheduling_submit("a", &chores[0]));
	submission.tries.timeout_ns = -5;
	EXPECT(-EINVAL, scheduling_submit("a", &chores[0]));
	submission.tries.timeout_ns = CANCEL_FOREVER;
	submission.tries.retry_interval_ns = -1;
	EXPECT(-EINVAL, scheduling_submit("a", &chores[0]));
	submission.tries.retry_interval_ns = 0;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	cr_assert_eq(scheduling_count().total, 1);
}

/* What cancel_task_begin refuses; the place and the id are free again. */
Test(scheduler, a_wrong_id_is_refused_and_takes_no_place)
{
	struct cancel_scheduled state;

	scheduler_options.queue_max = 1;
	scheduling_open();
	scheduling_block();
	EXPECT(-EINVAL, scheduling_submit("", &chores[0]));
	EXPECT(-EILSEQ, scheduling_submit("\xff", &chores[0]));
	submission.run = "\xff";
	EXPECT(-EILSEQ, scheduling_submit("a", &chores[0]));
	cr_assert_eq(cancel_scheduler_status(scheduler, "a", &state), -ENOENT);
	submission.run = NULL;
	cr_assert_eq(scheduling_count().total, 2);
	cr_assert_eq(scheduling_count().queued, 0);
	EXPECT(0, scheduling_submit("a", &chores[0]));
}

Test(scheduler, a_refusal_leaves_what_was_known_of_the_id)
{
	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	submission.run = "\xff";
	EXPECT(-EILSEQ, scheduling_submit("a", &chores[1]));
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

/* --- trying again ------------------------------------------------------------------------------------- */

Test(scheduler, a_task_that_fails_is_tried_again)
{
	struct cancel_scheduled state;

	scheduling_open();
	submission.tries.retries = 3;
	chores[0].fails = 2;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(state.tries, 3);
	cr_assert_eq(state.result, 0);
	cr_assert_eq(chores[0].number, 3);
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
	cr_assert_eq(scheduling_count().retried, 2);
	cr_assert_eq(scheduling_count().total, 1);
}

Test(scheduler, when_the_retries_are_used_up_it_has_failed)
{
	struct cancel_scheduled state;

	scheduling_open();
	submission.tries.retries = 2;
	chores[0].fails = UINT32_MAX;
	chores[0].failure = 77;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_FAILED);
	cr_assert_eq(state.tries, 3);
	cr_assert_eq(state.result, 77);
	cr_assert_eq(scheduling_count().failed, 1);
	cr_assert_eq(scheduling_count().retried, 2);
}

/* The tries are the scheduler's where no others are given. */
Test(scheduler, a_submission_begins_with_the_tries_of_its_scheduler)
{
	scheduler_options.tries.retries = 1;
	scheduling_open();
	chores[0].fails = UINT32_MAX;
	chores[0].failure = -1;
	EXPECT(0, cancel_scheduler_submit(scheduler, "a", chore_run, &chores[0], NULL, &error));
	cr_assert_eq(scheduling_wait("a").tries, 2);
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CANCEL_SECOND + now.tv_nsec;
}

static int64_t called_ns[4];

static void note_time(struct chore *chore, const struct cancel_try *now)
{
	(void)chore;
	called_ns[now->number - 1] = now_ns();
}

Test(scheduler, the_pause_is_never_shorter_and_doubles_if_it_backs_off)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 3, 20 * CANCEL_MILLISECOND, true};
	chores[0].does = note_time;
	chores[0].fails = 3;
	chores[0].failure = -1;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	for (int i = 1; i < 4; i++)
		cr_assert_geq(called_ns[i] - called_ns[i - 1], (10 << i) * CANCEL_MILLISECOND, "pause %d", i);
}

/* It waits, and holds no thread and no lease of another meanwhile. */
Test(scheduler, a_task_between_two_tries_is_queued)
{
	scheduler_options.threads = 1;
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = 1;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "a");
	cr_assert_eq(scheduling_state("a").result, -EIO);
	cr_assert_eq(scheduling_state("a").tries, 1);
	cr_assert_eq(scheduling_count().queued, 1);
	EXPECT(0, scheduling_submit("b", &chores[1]));
	(void)scheduling_wait("b");
}

/* One pause ends before one that began earlier. */
Test(scheduler, the_shorter_pause_ends_first)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = chores[1].fails = 1;
	chores[0].failure = chores[1].failure = -1;
	EXPECT(0, scheduling_submit("long", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "long");
	submission.tries.retry_interval_ns = CANCEL_MILLISECOND;
	EXPECT(0, scheduling_submit("short", &chores[1]));
	cr_assert_eq(scheduling_wait("short").tries, 2);
	cr_assert_eq(scheduling_state("long").tries, 1);
}

Test(scheduler, a_pause_without_an_end_is_one)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, CANCEL_FOREVER, false};
	chores[0].fails = 1;
	chores[0].failure = -1;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "a");
	EXPECT(0, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
}

Test(scheduler, one_that_has_failed_waits_for_another_try_though_the_queue_is_full)
{
	static struct token_gate gate = TOKEN_GATE_INIT;

	scheduler_options.threads = 1;
	scheduler_options.queue_max = 1;
	scheduling_open();
	submission.tries.retries = 1;
	chores[0].gate = &gate;
	chores[0].fails = 1;
	chores[0].failure = -1;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT(0, scheduling_submit("b", &chores[1]));
	EXPECT(-EAGAIN, scheduling_submit("c", &chores[2]));
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(scheduling_wait("b").status, CANCEL_SCHEDULED_SUCCEEDED);
}

/* --- its time ----------------------------------------------------------------------------------------- */

Test(scheduler, a_try_whose_time_is_over_is_told_by_a_cause_of_deadline)
{
	struct cancel_scheduled state;

	scheduling_open();
	submission.tries.timeout_ns = CANCEL_MILLISECOND;
	chores[0].heeds = true;
	chores[0].fails = UINT32_MAX;
	chores[0].failure = -ETIMEDOUT;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_TIMED_OUT);
	cr_assert_eq(state.result, -ETIMEDOUT);
	cr_assert(!state.is_cancelled);
	cr_assert_eq(chores[0].token_error, -ETIMEDOUT);
	cr_assert_eq(chores[0].kind, CANCEL_KIND_DEADLINE);
	cr_assert_eq(scheduling_count().timed_out, 1);
}

Test(scheduler, a_task_that_timed_out_is_tried_again_with_a_fresh_token)
{
	scheduling_open();
	submission.tries.timeout_ns = CANCEL_MILLISECOND;
	submission.tries.retries = 2;
	chores[0].heeds = true;
	chores[0].fails = 2;
	chores[0].failure = -ETIMEDOUT;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(scheduling_state("a").tries, 3);
	cr_assert_eq(scheduling_count().retried, 2);
	cr_assert_eq(scheduling_count().timed_out, 0);
}

/* DESIGN.md, invariant 47 */
Test(scheduler, who_returns_0_has_succeeded_even_if_its_time_was_over)
{
	scheduling_open();
	submission.tries.timeout_ns = CANCEL_MILLISECOND;
	chores[0].heeds = true;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(chores[0].token_error, -ETIMEDOUT);
}

Test(scheduler, the_last_try_says_whether_it_failed_or_timed_out)
{
	scheduling_open();
	submission.tries.timeout_ns = FOREVER_S * CANCEL_SECOND;
	chores[0].fails = 1;
	chores[0].failure = -ETIMEDOUT; /* which is not what says it */
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_FAILED);
}

/* --- leases and requests ------------------------------------------------------------------------------ */

Test(scheduler, a_queue_holds_no_descriptors_and_a_task_that_runs_a_lease)
{
	char task_id[16];
	int before;

	scheduling_open();
	scheduling_block();
	cr_assert_eq(tasking_count_runs(NULL), 2);
	before = token_count_descriptors();
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	cr_assert_eq(token_count_descriptors(), before);
	cr_assert_eq(tasking_count_runs(NULL), 2);
	cr_assert_eq(tasking_count_runs("blocker-1"), 1);
	scheduling_unblock();
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	cr_assert_eq(tasking_count_runs(NULL), 0);
}

Test(scheduler, the_lease_is_kept_between_two_tries)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = 1;
	chores[0].failure = -1;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "a");
	cr_assert_eq(tasking_count_runs("a"), 1);
}

static int allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0
		       ? -1
		       : (limit.rlim_cur = count, setrlimit(RLIMIT_NOFILE, &limit));
}

static bool has_a_lease(void *arg)
{
	(void)arg;
	return tasking_count_runs("a") == 1;
}

/* The lowest free descriptor is the limit then, so that a lease has none. */
Test(scheduler, a_want_of_descriptors_is_told_and_loses_no_task)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	struct rlimit before;
	int lowest;

	scheduling_open();
	scheduling_block();
	chores[0].gate = &gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)close(lowest);
	cr_assert_eq(allow_descriptors((rlim_t)lowest), 0);
	scheduling_unblock();
	scheduling_await_calls(&chores[0], 1);
	cr_assert_eq(allow_descriptors(before.rlim_cur), 0);
	cr_assert_gt(tasking_report_count(), 0);
	cr_assert_eq(tasking_report_at(0).code, -EMFILE);
	cr_assert(wait_until(has_a_lease, NULL, SCHEDULING_PATIENCE_MS), "it has never got one");
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

static void allow_file_sizes(rlim_t size)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A task that runs, with a request that cannot be decided when it returns: nothing can be written. */
static void end_without_room(struct chore *chore)
{
	static struct token_gate gate = TOKEN_GATE_INIT;

	(void)signal(SIGXFSZ, SIG_IGN);
	scheduling_open();
	chore->gate = &gate;
	EXPECT(0, scheduling_submit("a", chore));
	scheduling_await_calls(chore, 1);
	EXPECT(0, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	allow_file_sizes(0);
	token_gate_open(&gate);
	cr_assert_geq(scheduling_await_line(0, "cannot be decided yet"), 0);
}

static cancel_scheduler_log *noted;
static struct token_gate second_refusal = TOKEN_GATE_INIT;

/* The ender stops where it has tried for the second time. */
static void stop_at_the_second(void *arg, enum cancel_log_level level, const char *line)
{
	static atomic_int refusals;

	noted(arg, level, line);
	if (strstr(line, "cannot be decided yet") && atomic_fetch_add(&refusals, 1) == 1)
		token_gate_pass(&second_refusal);
}

Test(scheduler, a_request_that_cannot_be_decided_is_decided_when_it_can)
{
	struct cancel_scheduled state;

	noted = scheduler_options.log;
	scheduler_options.log = stop_at_the_second;
	end_without_room(&chores[0]);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_RUNNING);
	cr_assert(scheduling_state("a").is_cancelled);
	EXPECT(-EEXIST, scheduling_submit("a", &chores[1]));
	EXPECT(-ENOENT, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	EXPECT(0, scheduling_submit("b", &chores[1])); /* no thread waits for it */
	EXPECT(0, scheduling_submit("c", &chores[2]));
	(void)scheduling_wait("b");
	(void)scheduling_wait("c");
	token_gate_await(&second_refusal, 1);
	allow_file_sizes(RLIM_INFINITY);
	token_gate_open(&second_refusal);
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_CANCELLED);
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FINISHED);
	cr_assert_eq(atomic_load(&chores[0].calls), 1);
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
}

Test(scheduler, in_the_end_a_task_is_let_go_of_and_its_request_stays)
{
	enum cancel_log_level level;
	int line;

	end_without_room(&chores[0]);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	allow_file_sizes(RLIM_INFINITY);
	line = scheduling_await_line(0, "let go of");
	cr_assert_geq(line, 0);
	(void)scheduling_line_at(line, &level);
	cr_assert_eq(level, CANCEL_LOG_ERROR);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(tasking_count_runs("a"), 0);
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
	EXPECT(0, scheduling_submit("a", &chores[1])); /* which it stops */
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	expect_nothing_of(&chores[2]);
}

/* --- what is known ------------------------------------------------------------------------------------ */

Test(scheduler, nothing_is_known_of_who_was_never_here)
{
	struct cancel_scheduled state = {.tries = 4711};

	scheduling_open();
	cr_assert_eq(cancel_scheduler_status(scheduler, "a", &state), -ENOENT);
	cr_assert_eq(state.tries, 4711);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, NULL), -ENOENT);
}

Test(scheduler, the_latest_ended_max_are_known)
{
	struct cancel_scheduled state;
	char task_id[16];

	scheduler_options.ended_max = 3;
	scheduler_options.threads = 1;
	scheduling_open();
	for (int i = 0; i < 5; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	for (int i = 0; i < 5; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		cr_assert_eq(cancel_scheduler_status(scheduler, task_id, &state), i < 2 ? -ENOENT : 0, "%d",
			     i);
	}
	cr_assert_eq(scheduling_count().succeeded, 5);
}

static int submit_and_wait(const char *task_id, struct chore *chore)
{
	EXPECT(0, scheduling_submit(task_id, chore));
	return (int)scheduling_wait(task_id).status;
}

/* It takes one place, whose age is that of the latest. */
Test(scheduler, an_id_that_ended_twice_is_known_by_the_second_time)
{
	struct cancel_scheduled state;

	scheduler_options.ended_max = 2;
	scheduling_open();
	chores[0].fails = 1;
	chores[0].failure = -1;
	cr_assert_eq(submit_and_wait("b", &chores[1]), CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(submit_and_wait("a", &chores[0]), CANCEL_SCHEDULED_FAILED);
	cr_assert_eq(submit_and_wait("a", &chores[2]), CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(cancel_scheduler_status(scheduler, "b", &state), 0);
	cr_assert_eq(submit_and_wait("b", &chores[3]), CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(submit_and_wait("c", &chores[4]), CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(cancel_scheduler_status(scheduler, "b", &state), 0);
	cr_assert_eq(cancel_scheduler_status(scheduler, "a", &state), -ENOENT);
}

struct waiter {
	struct token_thread thread;
	struct cancel_scheduled state;
};

static int wait_for_a(void *arg)
{
	struct waiter *waiter = arg;

	return cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, &waiter->state);
}

Test(scheduler, who_waits_learns_how_it_ended_though_nobody_is_kept)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_scheduled state;
	static struct waiter waiters[3];

	scheduler_options.ended_max = 0;
	scheduling_open();
	chores[0].gate = &gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	for (int i = 0; i < 3; i++) {
		token_thread_start(&waiters[i].thread, wait_for_a, &waiters[i]);
		cr_assert(token_thread_falls_asleep(&waiters[i].thread));
	}
	token_gate_open(&gate);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(token_thread_join(&waiters[i].thread), 0);
		cr_assert_eq(waiters[i].state.status, CANCEL_SCHEDULED_SUCCEEDED);
	}
	cr_assert_eq(cancel_scheduler_status(scheduler, "a", &state), -ENOENT);
}

/* More of them than the table of ids began with. */
Test(scheduler, thousands_are_known_each_by_its_own_id)
{
	enum { COUNT = 3000 };
	static struct chore some[COUNT];
	char task_id[16];

	scheduler_options.queue_max = COUNT;
	scheduler_options.ended_max = COUNT;
	scheduling_open();
	for (int i = 0; i < COUNT; i++) {
		some[i].fails = 1;
		some[i].failure = i + 1;
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		EXPECT(0, scheduling_submit(task_id, &some[i]));
	}
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		cr_assert_eq(scheduling_state(task_id).result, i + 1);
	}
}

/* DESIGN.md, invariant 49 */
Test(scheduler, all_is_counted)
{
	struct cancel_scheduler_statistics counted;

	scheduling_open();
	submission.tries.retries = 1;
	EXPECT(0, scheduling_submit("good", &chores[0]));
	chores[1].fails = 2;
	chores[1].failure = -1;
	EXPECT(0, scheduling_submit("bad", &chores[1]));
	chores[2].fails = 2;
	chores[2].failure = -1;
	chores[2].heeds = true;
	submission.tries.timeout_ns = CANCEL_MILLISECOND;
	EXPECT(0, scheduling_submit("slow", &chores[2]));
	submission.tries.timeout_ns = CANCEL_FOREVER;
	for (int i = 0; i < 3; i++)
		(void)scheduling_wait(i == 0 ? "good" : i == 1 ? "bad" : "slow");
	scheduling_block();
	EXPECT(0, scheduling_submit("never", &chores[3]));
	EXPECT(0, scheduling_submit("waits", &chores[4]));
	EXPECT(0, cancel_scheduler_cancel(scheduler, "never", NULL, &error));
	EXPECT_BECOMES(CANCEL_SCHEDULED_CANCELLED, "never");
	counted = scheduling_count();
	cr_assert_eq(counted.total, 7);
	cr_assert_eq(counted.succeeded, 1);
	cr_assert_eq(counted.failed, 1);
	cr_assert_eq(counted.timed_out, 1);
	cr_assert_eq(counted.cancelled, 1);
	cr_assert_eq(counted.retried, 2);
	cr_assert_eq(counted.running, 2);
	cr_assert_eq(counted.queued, 1);
}

Test(scheduler, the_words_are_those_of_the_header)
{
	static const char *const words[] = {"queued", "running",   "succeeded",
					    "failed", "cancelled", "timed-out"};

	for (int i = 0; i < 6; i++)
		cr_assert_str_eq(cancel_scheduled_text((enum cancel_scheduled_status)i), words[i]);
	cr_assert_str_eq(cancel_scheduled_text((enum cancel_scheduled_status)6), "unknown");
	cr_assert_str_eq(cancel_scheduled_text((enum cancel_scheduled_status) - 1), "unknown");
}

/* --- limits ------------------------------------------------------------------------------------------- */

Test(scheduler, CANCEL_SCHEDULER_THREADS_MAX_threads)
{
	scheduler_options.threads = CANCEL_SCHEDULER_THREADS_MAX;
	scheduling_open();
	scheduling_close();
	scheduler_options.threads = CANCEL_SCHEDULER_THREADS_MAX + 1;
	expect_refused_options("threads");
}

Test(scheduler, CANCEL_SCHEDULER_QUEUE_MAX_tasks_may_wait_and_be_known)
{
	scheduler_options.queue_max = CANCEL_SCHEDULER_QUEUE_MAX;
	scheduler_options.ended_max = CANCEL_SCHEDULER_QUEUE_MAX;
	scheduling_open();
	scheduling_close();
	scheduler_options.queue_max = CANCEL_SCHEDULER_QUEUE_MAX + 1;
	expect_refused_options("queue_max");
	scheduler_options.queue_max = 1;
	scheduler_options.ended_max = CANCEL_SCHEDULER_QUEUE_MAX + 1;
	expect_refused_options("ended_max");
}

Test(scheduler, CANCEL_RETRIES_MAX_retries)
{
	scheduler_options.tries.retries = CANCEL_RETRIES_MAX;
	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	submission.tries.retries = CANCEL_RETRIES_MAX + 1;
	EXPECT(-EINVAL, scheduling_submit("b", &chores[0]));
	EXPECT_WORDS("1000001 retries");
	scheduling_close();
	scheduler_options.tries.retries = CANCEL_RETRIES_MAX + 1;
	expect_refused_options("retries");
}
