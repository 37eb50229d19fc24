/* Managers: opening, the operations by task id, reports, and what happens when the spool goes away. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "tasking.h"
#include "token_absent.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	CALLERS = 6,
	ROUNDS = 200,
	LOOKS = 300,
	ROUNDS_HINDERED = 3,
	SLOW_S = 10,
	DESCRIPTORS = 1024,
};

TestSuite(manager, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

/* --- words and options ---------------------------------------------------------------------------------- */

Test(manager, words_are_those_of_the_programs)
{
	cr_assert_str_eq(cancel_notice_text(CANCEL_NOTICE_AUTO), "auto");
	cr_assert_str_eq(cancel_notice_text(CANCEL_NOTICE_BELL), "bell");
	cr_assert_str_eq(cancel_notice_text(CANCEL_NOTICE_INOTIFY), "inotify");
	cr_assert_str_eq(cancel_notice_text(CANCEL_NOTICE_POLL), "poll");
	cr_assert_str_eq(cancel_notice_text((enum cancel_notice)(CANCEL_NOTICE_POLL + 1)), "unknown");
	cr_assert_str_eq(cancel_notice_text((enum cancel_notice) - 1), "unknown");
}

Test(manager, the_defaults_are_as_documented)
{
	memset(&manager_options, 0xff, sizeof(manager_options));
	cancel_manager_options_init(&manager_options);
	cr_assert_null(manager_options.spool);
	cr_assert(!manager_options.thread);
	cr_assert_eq(manager_options.notice, CANCEL_NOTICE_AUTO);
	cr_assert_eq(manager_options.poll_interval_ms, 1000);
	cr_assert_null((void *)(uintptr_t)manager_options.report);
	cr_assert_null(manager_options.arg);
}

Test(manager, with_no_options_the_defaults_hold_and_the_spool_is_made)
{
	const char *path = beside("made");
	struct cancel_spool_info info;

	cr_assert_eq(setenv(CANCEL_SPOOL_VARIABLE, path, 1), 0);
	EXPECT(0, cancel_manager_open(&manager, NULL, &error));
	EXPECT(0, cancel_spool_info(cancel_manager_spool(manager), &info, &error));
	cr_assert_str_eq(info.path, path);
	cr_assert_eq(access(path, F_OK), 0);
	cr_assert_eq(unsetenv(CANCEL_SPOOL_VARIABLE), 0);
}

Test(manager, options_of_the_spool_hold)
{
	struct cancel_spool_options absent = *manager_options.spool;

	absent.path = beside("absent");
	absent.create = false;
	manager_options.spool = &absent;
	EXPECT(-ENOENT, cancel_manager_open(&manager, &manager_options, &error));
	cr_assert_null(manager);
	absent.path = "relative";
	EXPECT(-EINVAL, cancel_manager_open(&manager, &manager_options, &error));
	cr_assert_null(manager);
}

static void expect_refused(int code, bool thread, enum cancel_notice notice, int64_t poll_ms)
{
	manager_options.thread = thread;
	manager_options.notice = notice;
	manager_options.poll_interval_ms = poll_ms;
	EXPECT(code, cancel_manager_open(&manager, &manager_options, &error));
	cr_assert_null(manager);
}

Test(manager, options_out_of_range_are_refused)
{
	for (int thread = 0; thread < 2; thread++) {
		expect_refused(-EINVAL, thread, CANCEL_NOTICE_AUTO, 9);
		expect_refused(-EINVAL, thread, CANCEL_NOTICE_AUTO, 3600001);
		expect_refused(-EINVAL, thread, CANCEL_NOTICE_AUTO, 0);
		expect_refused(-EINVAL, thread, CANCEL_NOTICE_AUTO, -1);
		expect_refused(-EINVAL, thread, (enum cancel_notice)(CANCEL_NOTICE_POLL + 1), 1000);
	}
	expect_refused(-EINVAL, false, CANCEL_NOTICE_INOTIFY, 1000);
}

TASKING_TEST(manager, options_at_their_edges_are_taken)
{
	static const int64_t edges_ms[] = {10, 3600000};

	for (int i = 0; i < 2; i++) {
		manager_options.poll_interval_ms = edges_ms[i];
		tasking_open(way);
		EXPECT(0, tasking_begin("a"));
		cr_assert_eq(tasking_close(), 0);
	}
}

TASKING_TEST(manager, options_are_borrowed_for_the_call)
{
	struct cancel_spool_options copied = *manager_options.spool;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s", place_path);
	copied.path = path;
	manager_options.spool = &copied;
	tasking_open(way);
	memset(path, 'x', sizeof(path) - 1);
	memset(&copied, 0, sizeof(copied));
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
}

Test(manager, closing_nothing_is_fine)
{
	cr_assert_eq(cancel_manager_close(NULL), 0);
}

/* --- ways of noticing ----------------------------------------------------------------------------------- */

TASKING_TEST(manager, it_notices_in_the_way_that_was_asked_for)
{
	const char *why = "unset";

	tasking_open(way);
	cr_assert_eq(cancel_manager_notice(manager, &why), way->notice);
	cr_assert_null(why);
	cr_assert_eq(cancel_manager_notice(manager, NULL), way->notice);
}

TASKING_MODES_TEST(manager, by_itself_it_is_the_bell)
{
	const char *why = "unset";

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_manager_notice(manager, &why), CANCEL_NOTICE_BELL);
	cr_assert_null(why);
}

static void expect_notice(enum cancel_notice expected)
{
	const char *why = NULL;

	cr_assert_eq(cancel_manager_notice(manager, &why), expected, "%s",
		     cancel_notice_text(cancel_manager_notice(manager, NULL)));
	cr_assert_not_null(why);
	cr_assert(strlen(why) > 0 && !strchr(why, '\n'));
}

TASKING_MODES_TEST(manager, without_a_bell_it_is_the_next_best)
{
	cr_assert(unlink(at("bell")) == 0 || errno == ENOENT);
	cr_assert_eq(mkdir(at("bell"), 0700), 0);
	expect_refused(-ENOTSUP, way->thread, CANCEL_NOTICE_BELL, TASKING_POLL_MS);
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	expect_notice(way->thread ? CANCEL_NOTICE_INOTIFY : CANCEL_NOTICE_POLL);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
}

Test(manager, without_bell_and_inotify_it_polls)
{
	static const struct tasking_way way = {.thread = true, .waits = true, .notice = CANCEL_NOTICE_AUTO};

	token_absent_call(SYS_inotify_init1);
	cr_assert(unlink(at("bell")) == 0 || errno == ENOENT);
	cr_assert_eq(mkdir(at("bell"), 0700), 0);
	expect_refused(-ENOTSUP, true, CANCEL_NOTICE_INOTIFY, TASKING_POLL_MS);
	tasking_open(&way);
	EXPECT(0, tasking_begin("a"));
	expect_notice(CANCEL_NOTICE_POLL);
	tasking_ask("a");
	EXPECT_NOTICED(&way, task);
}

static int count_inotify(void)
{
	char path[32], target[64];
	int count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t length;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length > 0) {
			target[length] = '\0';
			count += !strcmp(target, "anon_inode:inotify");
		}
	}
	return count;
}

TASKING_TEST(manager, only_who_asked_for_inotify_has_an_instance)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(count_inotify(), way->notice == CANCEL_NOTICE_INOTIFY);
	cr_assert_eq(tasking_close(), 0);
	cr_assert_eq(count_inotify(), 0);
}

TASKING_TEST(manager, without_tasks_it_needs_nothing_and_leaves_nothing)
{
	int descriptors = token_count_descriptors();

	for (int i = 0; i < 5; i++) {
		tasking_open(way);
		cr_assert_eq(tasking_close(), 0);
	}
	cr_assert_eq(token_count_descriptors(), descriptors);
	cr_assert_eq(count_in("runs"), 0);
}

TASKING_MODES_TEST(manager, a_thread_is_there_where_it_was_asked_for)
{
	int threads = token_count_threads();

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	if (way->thread)
		cr_assert_gt(token_count_threads(), threads);
	else
		cr_assert_eq(token_count_threads(), threads);
}

/* --- get ------------------------------------------------------------------------------------------------ */

static struct cancel_task *got(int code, const char *task_id)
{
	struct cancel_task *one = NULL;

	EXPECT(code, cancel_manager_get(manager, task_id, &one, &error));
	cr_assert_eq(code < 0, one == NULL);
	return one;
}

TASKING_TEST(manager, get_begins_a_task_once)
{
	struct cancel_task *one;

	tasking_open(way);
	one = got(0, "a");
	cr_assert_eq(tasking_count_runs("a"), 1);
	cr_assert_eq(got(0, "a"), one);
	cr_assert_neq(got(0, "b"), one);
	cr_assert_eq(tasking_count_runs("a"), 1);
	tasking_ask("a");
	EXPECT_NOTICED(way, one);
	cr_assert_eq(got(1, "a"), one);
	cr_assert_eq(cancel_task_end(one, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
	one = got(0, "a");
	EXPECT_UNTOUCHED(way, one);
}

TASKING_TEST(manager, get_finds_what_was_begun_without_a_run_id)
{
	struct cancel_task *without;

	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	without = got(0, "a");
	cr_assert_neq(without, task);
	EXPECT(0, tasking_begin("b"));
	cr_assert_eq(got(0, "b"), task);
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	cr_assert_eq(got(1, "b"), task);
}

static struct token_gate gate = TOKEN_GATE_INIT;
static atomic_int stops;

/* The first who is told stops there. */
static void stop_once(void *arg, const struct cancel_error *what)
{
	(void)arg;
	if (what->code < 0 && atomic_fetch_add(&stops, 1) == 0)
		token_gate_pass(&gate);
}

static int begin_it(void *into)
{
	return cancel_task_begin(into, manager, "a", NULL, NULL);
}

/* It tells of what it found, and has not come back: it may fail still, and then it is freed. */
Test(manager, get_finds_no_task_that_is_still_beginning)
{
	struct cancel_task *beginning = NULL, *other = NULL;
	struct token_thread beginner;

	manager_options.report = stop_once;
	tasking_open(NULL);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	token_thread_start(&beginner, begin_it, &beginning);
	token_gate_await(&gate, 1);
	EXPECT(0, cancel_manager_get(manager, "a", &other, &error));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&beginner), 0);
	cr_assert_neq(beginning, other);
	cr_assert_eq(tasking_count_runs("a"), 2);
}

TASKING_TEST(manager, get_of_a_task_that_was_asked_for_finds_it_cancelled)
{
	tasking_open(way);
	tasking_ask("a");
	cr_assert(cancel_task_checkpoint(got(1, "a")));
}

TASKING_MODES_TEST(manager, get_refuses_what_begin_refuses)
{
	tasking_open(way);
	(void)got(-EINVAL, "");
	(void)got(-EILSEQ, "\xff");
	cr_assert_eq(count_in("runs"), 0);
}

static int get_it(void *into)
{
	return cancel_manager_get(manager, "shared", into, NULL);
}

TASKING_TEST(manager, get_by_many_threads_is_one_task)
{
	struct token_thread getters[CALLERS];
	struct cancel_task *each[CALLERS];

	tasking_open(way);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < CALLERS; i++)
			token_thread_start(&getters[i], get_it, &each[i]);
		for (int i = 0; i < CALLERS; i++) {
			cr_assert_eq(token_thread_join(&getters[i]), 0);
			cr_assert_eq(each[i], each[0]);
		}
		cr_assert_eq(tasking_count_runs("shared"), 1);
		cr_assert_eq(cancel_task_end(each[0], CANCEL_OUTCOME_FINISHED, NULL, &error), 0);
	}
}

/* --- cancel --------------------------------------------------------------------------------------------- */

TASKING_TEST(manager, cancel_reaches_all_tasks_of_the_manager_that_listen_before_it_returns)
{
	struct cancel_task *plain, *run, *listener;
	struct cancel_why why;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	plain = task;
	EXPECT(0, tasking_begin_run("a", "r"));
	run = task;
	EXPECT(0, tasking_begin_also("c", "a"));
	listener = task;
	EXPECT(0, tasking_begin("b"));
	EXPECT(CANCEL_REQUESTED, cancel_manager_cancel(manager, "a", "enough", &error));
	cr_assert(cancel_token_requested(cancel_task_token(plain)));
	cr_assert(cancel_token_requested(cancel_task_token(run)));
	cr_assert(cancel_token_requested(cancel_task_token(listener)));
	cr_assert(!cancel_token_requested(cancel_task_token(task)));
	cancel_task_why(listener, &why);
	cr_assert_eq(why.kind, CANCEL_WHY_REQUEST);
	cr_assert_str_eq(why.text, "enough");
	cr_assert_str_eq(why.id, "a");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, why.request->request_id);
	EXPECT(CANCEL_ALREADY_PENDING, cancel_manager_cancel(manager, "a", NULL, &error));
}

TASKING_TEST(manager, cancel_makes_a_request_that_takes_effect_later_take_effect)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(CANCEL_ALREADY_PENDING, cancel_manager_cancel(manager, "a", "now", &error));
	cr_assert(cancel_token_requested(cancel_task_token(task)));
}

TASKING_TEST(manager, cancel_reaches_other_processes)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	EXPECT(CANCEL_REQUESTED, cancel_manager_cancel(manager, "a", NULL, &error));
	cr_assert_eq(tasking_worker_wait(&worker), 1);
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_STOPPED), 1);
}

TASKING_MODES_TEST(manager, cancel_refuses_what_a_request_refuses)
{
	char *reason = malloc(4098);

	memset(reason, 'x', 4097);
	reason[4097] = '\0';
	tasking_open(way);
	EXPECT(-EINVAL, cancel_manager_cancel(manager, "", NULL, &error));
	EXPECT(-EILSEQ, cancel_manager_cancel(manager, "a", "\xff", &error));
	EXPECT(-EMSGSIZE, cancel_manager_cancel(manager, "a", reason, &error));
	cr_assert_eq(count_in("pending"), 0);
	cr_assert_eq(cancel_manager_cancel(manager, "a", reason + 1, NULL), CANCEL_REQUESTED);
	free(reason);
}

static struct token_calls calls;
static struct token_callee callee;

static bool was_called(void *arg)
{
	(void)arg;
	return atomic_load(&calls.count) == 1;
}

TASKING_TEST(manager, cancel_calls_the_callbacks)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add(&callee, cancel_task_token(task), &calls, 1);
	EXPECT(CANCEL_REQUESTED, cancel_manager_cancel(manager, "a", NULL, &error));
	if (!way->thread)
		cr_assert_eq(atomic_load(&calls.count), 1, "here, where there is no thread");
	cr_assert(wait_until(was_called, NULL, PROCESS_TIMEOUT_MS));
}

/* --- is-cancelled --------------------------------------------------------------------------------------- */

#define EXPECT_CANCELLED(expected, task_id) \
	EXPECT(expected, cancel_manager_is_cancelled(manager, task_id, &error))

TASKING_TEST(manager, for_a_task_of_its_own_its_token_says_after_a_look)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT_CANCELLED(0, "a");
	tasking_ask("a");
	EXPECT_CANCELLED(1, "a");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT_CANCELLED(1, "a");
	EXPECT(0, tasking_begin("b"));
	cr_assert_eq(cancel_task_cancel(task, &quota), 1);
	EXPECT_CANCELLED(1, "b");
	tasking_ask("tenant");
	EXPECT(1, tasking_begin_also("c", "tenant"));
	EXPECT_CANCELLED(1, "c");
}

static bool is_over(void *at_ns)
{
	return cancel_clock_now_ns() > *(int64_t *)at_ns;
}

/* Begin a task, and let its time pass without asking at it. With a thread the dispatcher notices by itself, when it
 * gets to run. */
static void begin_and_let_time_pass(const struct tasking_way *way, const char *task_id)
{
	int64_t at_ns;

	terms.timeout_ns = 20 * CANCEL_MILLISECOND;
	tasking_begin_in_time(task_id);
	at_ns = cancel_clock_now_ns() + terms.timeout_ns;
	cr_assert(wait_until(is_over, &at_ns, PROCESS_TIMEOUT_MS));
	if (way->thread)
		EXPECT(1, cancel_token_wait(cancel_task_token(task), PROCESS_TIMEOUT_MS * CANCEL_MILLISECOND));
}

static void expect_time_is_over(void)
{
	cr_assert_eq(cancel_token_error(cancel_task_token(task)), -ETIMEDOUT);
}

TASKING_TEST(manager, a_task_whose_time_is_over_is_cancelled_by_its_key_too)
{
	tasking_open(way);
	begin_and_let_time_pass(way, "a");
	EXPECT_CANCELLED(1, "a");
	expect_time_is_over();
}

TASKING_TEST(manager, get_finds_a_task_whose_time_is_over_cancelled)
{
	tasking_open(way);
	begin_and_let_time_pass(way, "a");
	cr_assert_eq(got(1, "a"), task);
	expect_time_is_over();
}

TASKING_TEST(manager, for_a_task_that_is_not_its_own_it_is_whether_a_request_stands)
{
	tasking_open(way);
	EXPECT_CANCELLED(0, "a");
	tasking_ask("a");
	EXPECT_CANCELLED(1, "a");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT_CANCELLED(0, "a");
	tasking_ask_at("b", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT_CANCELLED(0, "b");
}

TASKING_TEST(manager, a_task_of_its_own_may_have_been_decided_by_another)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT_CANCELLED(1, "a");
}

TASKING_MODES_TEST(manager, what_cannot_be_known_is_not_no)
{
	tasking_open(way);
	EXPECT_CANCELLED(-EINVAL, "");
	EXPECT_CANCELLED(-EILSEQ, "\xff");
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT_CANCELLED(-EBADMSG, "a");
	EXPECT(0, tasking_begin("a"));
	EXPECT_CANCELLED(-EBADMSG, "a");
}

/* --- delete --------------------------------------------------------------------------------------------- */

static int forget(const char *task_id)
{
	return cancel_manager_delete(manager, task_id, &error);
}

TASKING_TEST(manager, delete_ends_the_task_and_makes_the_name_fresh)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, forget("a"));
	cr_assert_eq(count_in("runs") + count_in("pending") + count_in("processed"), 0);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	EXPECT(0, forget("a"));
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(manager, delete_of_a_task_that_nobody_asked_for_ends_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(1, forget("a"));
	cr_assert_eq(count_in("runs"), 0);
}

TASKING_TEST(manager, delete_of_what_is_not_its_own_makes_the_name_fresh)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_ask("a");
	EXPECT(1, forget("a"));
	tasking_decide("b", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(1, forget("b"));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	tasking_worker_start(&worker, "c", NULL, NULL);
	EXPECT(0, forget("c"));
	cr_assert_eq(tasking_count_runs("c"), 1, "the run of another process goes on");
	tasking_worker_kill(&worker);
	EXPECT(-EINVAL, forget(""));
}

TASKING_TEST(manager, delete_leaves_runs_with_an_id_alone)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	EXPECT(0, forget("a"));
	cr_assert_eq(tasking_count_runs("a"), 1);
	EXPECT_UNTOUCHED(way, task);
}

/* --- closing -------------------------------------------------------------------------------------------- */

TASKING_TEST(manager, closing_ends_the_tasks_that_are_left)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("asked"));
	tasking_ask("asked");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_begin_run("asked", "r"));
	EXPECT(0, tasking_begin("quiet"));
	cr_assert_eq(tasking_close(), 0);
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("asked", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FAILED);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("quiet", NULL));
	cr_assert_eq(count_in("runs") + count_in("pending"), 0);
}

TASKING_TEST(manager, several_of_one_spool_do_not_disturb_each_other)
{
	struct cancel_manager *first;
	struct cancel_task *firsts_task;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = manager;
	firsts_task = task;
	manager = NULL;
	task = NULL;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(tasking_count_runs("a"), 2);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	cr_assert_eq(cancel_task_wait(firsts_task, CANCEL_FOREVER), 1);
	cr_assert_eq(tasking_close(), 0);
	cr_assert_eq(tasking_count_runs("a"), 1);
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	manager = first;
}

static atomic_int failures;

static int begin_and_end(void *arg)
{
	struct cancel_task *own;
	char id[32];

	(void)snprintf(id, sizeof(id), "own_%d", *(int *)arg);
	for (int i = 0; i < ROUNDS; i++) {
		int begun = cancel_task_begin(&own, manager, id, NULL, NULL);

		if (begun != 0)
			return begun - 1000;
		if (i % 4 == 0 &&
		    (cancel_manager_cancel(manager, id, NULL, NULL) < 0 || !cancel_task_checkpoint(own)))
			(void)atomic_fetch_add(&failures, 1);
		if (cancel_task_end(own, CANCEL_OUTCOME_STOPPED, NULL, NULL) != (i % 4 == 0))
			(void)atomic_fetch_add(&failures, 1);
	}
	return 0;
}

TASKING_TEST(manager, threads_begin_cancel_and_end_at_once)
{
	struct token_thread threads[4];
	int numbers[4];

	tasking_open(way);
	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		token_thread_start(&threads[i], begin_and_end, &numbers[i]);
	}
	for (int i = 0; i < 4; i++)
		cr_assert_eq(token_thread_join(&threads[i]), 0);
	cr_assert_eq(atomic_load(&failures), 0);
	cr_assert_eq(count_in("runs") + count_in("pending"), 0);
}

/* --- trouble -------------------------------------------------------------------------------------------- */

static int trouble(void)
{
	return cancel_manager_trouble(manager, NULL);
}

TASKING_TEST(manager, at_first_there_is_no_trouble)
{
	struct cancel_error what = {.code = 4711};

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_manager_trouble(manager, &what), 0);
	cr_assert_eq(what.code, 4711, "set only when there is");
	cr_assert_eq(tasking_report_count(), 0);
}

/* The spool of the manager does not make itself again, unless `creates`. */
static void open_where_it_may_vanish(const struct tasking_way *way, bool creates)
{
	static struct cancel_spool_options vanishing;

	vanishing = *manager_options.spool;
	vanishing.create = creates;
	manager_options.spool = &vanishing;
	tasking_open(way);
}

/* Look often: a report that came too often would come now. */
static void look_often(const struct tasking_way *way)
{
	for (int i = 0; i < LOOKS; i++) {
		if (way->waits)
			(void)cancel_task_wait(task, CANCEL_MILLISECOND);
		else
			(void)cancel_task_checkpoint(task);
		(void)cancel_task_check(task, NULL);
	}
}

/* DESIGN.md, invariant 42 */
TASKING_TEST(manager, a_spool_that_is_gone_is_told_once_and_once_when_it_is_back)
{
	struct cancel_error what;

	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	cr_assert(tasking_is_told(way, task, 1), "not told %s", tasking_way_text(way));
	cr_assert_eq(tasking_report_at(0).code, -ENOENT, "%s", tasking_report_at(0).text);
	cr_assert_eq(cancel_manager_trouble(manager, &what), -ENOENT);
	cr_assert_eq(what.code, -ENOENT);
	cr_assert_gt(strlen(what.text), 0);
	look_often(way);
	cr_assert_eq(tasking_report_count(), 1, "told more than once: %s", tasking_report_at(1).text);
	cr_assert(!cancel_task_checkpoint(task), "the answer is what is known");
	cr_assert_lt(cancel_task_check(task, NULL), 0);
	cr_assert_eq(rename(beside("away"), place_path), 0);
	cr_assert(tasking_is_told(way, task, 2), "the end of it is not told %s", tasking_way_text(way));
	cr_assert_eq(tasking_report_at(1).code, 0, "%s", tasking_report_at(1).text);
	cr_assert_not_null(strstr(tasking_report_at(1).text, "whatever was wrong is over"), "%s",
			   tasking_report_at(1).text);
	look_often(way);
	cr_assert_eq(tasking_report_count(), 2);
	cr_assert_eq(trouble(), 0);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

static bool has_recovered(void *arg)
{
	const struct tasking_way *way = arg;

	if (way->waits)
		(void)cancel_task_wait(task, CANCEL_MILLISECOND);
	else
		(void)cancel_task_checkpoint(task);
	return trouble() == 0 && tasking_report_count() > 0 &&
	       tasking_report_at(tasking_report_count() - 1).code == 0 && access(at("runs/a"), F_OK) == 0;
}

struct removal {
	const char *path;
	int fd; /* what was there, and not what is made in its place meanwhile */
};

static bool is_removed(void *arg)
{
	const struct removal *removal = arg;
	struct process process;
	struct stat stat;

	process_run(&process, WORDS("rm", "-rf", "--", removal->path), NULL, NULL);
	process_free(&process);
	return fstat(removal->fd, &stat) == 0 && stat.st_nlink == 0;
}

/* A thread may make again what is in it, before it is empty. */
static void remove_tree(const char *path)
{
	struct removal removal = {path, open(path, O_PATH | O_CLOEXEC)};

	cr_assert_geq(removal.fd, 0);
	cr_assert(wait_until(is_removed, &removal, PROCESS_TIMEOUT_MS));
	(void)close(removal.fd);
}

/* Deleted with all that was in it, and made anew by somebody. */
static void expect_taken_again(struct tasking_way *way)
{
	cr_assert(wait_until(has_recovered, way, PROCESS_TIMEOUT_MS), "no lease again %s",
		  tasking_way_text(way));
	cr_assert_eq(tasking_count_runs("a"), 1);
	cr_assert(tasking_is_told(way, task, 1));
	cr_assert_eq(tasking_report_at(tasking_report_count() - 1).code, 0,
		     "the last word is that it is over");
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(count_in("runs"), 0);
}

static void open_it_again(void)
{
	struct cancel_spool_options creating;

	cancel_spool_options_init(&creating);
	creating.create = true;
	EXPECT(0, spool_case_reopen(&creating));
}

TASKING_TEST(manager, a_spool_that_is_deleted_and_made_anew_by_somebody_is_used_on)
{
	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("a"));
	remove_tree(place_path);
	cr_assert(tasking_is_told(way, task, 1));
	open_it_again();
	expect_taken_again(way);
}

TASKING_TEST(manager, a_spool_that_is_deleted_makes_itself_again)
{
	open_where_it_may_vanish(way, true);
	EXPECT(0, tasking_begin("a"));
	remove_tree(place_path);
	expect_taken_again(way);
}

/* DESIGN.md, invariant 42 */
TASKING_TEST(manager, a_spool_that_is_replaced_at_once_is_used_on)
{
	open_where_it_may_vanish(way, true);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	open_it_again();
	expect_taken_again(way);
}

/* A request made in the new one before anybody looked. */
TASKING_TEST(manager, a_request_in_the_spool_that_took_its_place_is_seen)
{
	open_where_it_may_vanish(way, true);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	open_it_again();
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(manager, a_task_may_end_while_the_spool_is_gone)
{
	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, tasking_begin("b"));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	cr_assert_eq(tasking_end(CANCEL_OUTCOME_FINISHED), -ENOENT, "what is pending cannot be known");
	cr_assert_eq(rename(beside("away"), place_path), 0);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	cr_assert_eq(tasking_count_runs("b"), 0);
}

TASKING_TEST(manager, beginning_where_the_spool_is_gone_fails_and_leaves_nothing)
{
	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	EXPECT(-ENOENT, tasking_begin("b"));
	cr_assert_eq(rename(beside("away"), place_path), 0);
	cr_assert_eq(count_in("runs"), 1);
	EXPECT(0, tasking_begin("b"));
}

static const char *const folders[] = {"pending", "processed", "tmp", "runs"};

TASKING_TEST(manager, a_folder_of_it_that_is_deleted_is_made_again)
{
	open_where_it_may_vanish(way, true);
	for (int i = 0; i < 4; i++) {
		EXPECT(0, tasking_begin("a"));
		remove_tree(at(folders[i]));
		tasking_ask("a");
		EXPECT_NOTICED(way, task);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
		EXPECT(0, tasking_begin("b"));
		cr_assert_eq(tasking_count_runs("b"), 1, "without %s", folders[i]);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	}
}

/* Rounds of the thread take ten seconds by its clock, and each finds something else that is no request, until
 * the next one is minutes away. */
static void hinder(void *arg, const struct cancel_error *what)
{
	int number;

	(void)arg;
	if (what->code == 0)
		return;
	number = atomic_load(&stops);
	if (number < ROUNDS_HINDERED - 1)
		time_passes(SLOW_S);
	(void)remove(at("pending/a.json"));
	if (number == 0)
		(void)mkdir(at("pending/a.json"), 0700);
	else if (number == 1)
		(void)!symlink("nowhere", at("pending/a.json"));
	(void)atomic_fetch_add(&stops, 1);
}

static bool was_hindered(void *arg)
{
	(void)arg;
	return atomic_load(&stops) == ROUNDS_HINDERED;
}

/* Nobody in this process has the directory open that was there before. */
static bool is_left(void *arg)
{
	char link[64], target[256];

	(void)arg;
	(void)lookup("a", NULL);
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		ssize_t length;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		length = readlink(link, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (!strcmp(target, beside("moved")) || strstr(target, "pending (deleted)"))
			return false;
	}
	return there("pending");
}

static void expect_not_deaf_after(void (*replace)(void))
{
	static const struct tasking_way by_inotify = {true, true, CANCEL_NOTICE_INOTIFY};

	manager_options.poll_interval_ms = 3600000;
	manager_options.report = hinder;
	tasking_open(&by_inotify);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	cr_assert(wait_until(was_hindered, NULL, PROCESS_TIMEOUT_MS), "%d", atomic_load(&stops));
	replace();
	cr_assert(wait_until(is_left, NULL, PROCESS_TIMEOUT_MS));
	tasking_ask("a");
	EXPECT_NOTICED(&by_inotify, task);
}

static void move_pending(void)
{
	cr_assert_eq(rename(at("pending"), beside("moved")), 0);
}

static void replace_pending(void)
{
	cr_assert_eq(mkdir(beside("moved"), 0700), 0);
	cr_assert_eq(renameat2(AT_FDCWD, at("pending"), AT_FDCWD, beside("moved"), RENAME_EXCHANGE), 0);
}

static void remove_and_make_pending(void)
{
	remove_tree(at("pending"));
	cr_assert_eq(mkdir(at("pending"), 0700), 0);
}

Test(manager, by_inotify_a_folder_that_was_moved_is_made_again_and_listened_to)
{
	expect_not_deaf_after(move_pending);
}

Test(manager, by_inotify_a_folder_that_was_replaced_is_listened_to)
{
	expect_not_deaf_after(replace_pending);
}

Test(manager, by_inotify_a_folder_that_was_removed_and_made_again_is_listened_to)
{
	expect_not_deaf_after(remove_and_make_pending);
}

/* While this process cannot write, another asks. */
static int ask_where_it_can_write(void *task_id)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit(RLIMIT_FSIZE, &all) == 0 && ask(task_id, NULL, NULL, NULL) == CANCEL_REQUESTED ? 0
													: 1;
}

/* A lease that cannot be taken again does not keep the manager from looking. */
TASKING_TEST(manager, a_lease_that_is_lost_is_told_once_and_taken_when_it_can_be)
{
	struct rlimit none = {0, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	static char task_id[] = "b";
	struct cancel_task *other;

	tasking_open(way);
	EXPECT(0, tasking_begin("b"));
	other = task;
	EXPECT(0, tasking_begin("a"));
	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	cr_assert_eq(unlink(at("runs/a")), 0);
	cr_assert(tasking_is_told(way, task, 1));
	cr_assert_eq(tasking_report_at(0).code, -EFBIG, "%s", tasking_report_at(0).text);
	look_often(way);
	cr_assert_eq(tasking_report_count(), 1, "told %d times: %s", tasking_report_count(),
		     tasking_report_at(tasking_report_count() - 1).text);
	cr_assert_eq(in_child_as(0, ask_where_it_can_write, task_id), 0);
	EXPECT_NOTICED(way, other);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
	cr_assert(wait_until(has_recovered, way, PROCESS_TIMEOUT_MS), "no lease again %s",
		  tasking_way_text(way));
	cr_assert_eq(tasking_count_runs("a"), 1);
}

TASKING_TEST(manager, troubles_of_several_tasks_are_each_told_once)
{
	tasking_open(way);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	cr_assert_eq(mkfifo(at("pending/b.json"), 0600), 0);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, tasking_begin("b"));
	cr_assert_eq(tasking_report_count(), 2);
	EXPECT(0, tasking_begin("c"));
	for (int i = 0; i < 5; i++)
		EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(tasking_report_count(), 2, "told %d times", tasking_report_count());
}

/* A task that was cancelled stays so, whatever becomes of the spool. */
TASKING_TEST(manager, trouble_changes_no_answer)
{
	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("b"));
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	cr_assert_eq(rename(place_path, beside("away")), 0);
	cr_assert(cancel_task_checkpoint(task));
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	cr_assert_eq(rename(beside("away"), place_path), 0);
}

/* Who waits without a thread is told too, and goes on waiting. */
static int wait_for_it(void *arg)
{
	return cancel_task_wait(arg, CANCEL_FOREVER);
}

TASKING_TEST(manager, who_waits_goes_on_waiting_through_trouble)
{
	struct token_thread waiter;

	open_where_it_may_vanish(way, false);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiter, wait_for_it, task);
	cr_assert(token_thread_falls_asleep(&waiter));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	cr_assert(tasking_is_told(way, task, 1));
	cr_assert(!token_thread_has_ended(&waiter));
	cr_assert_eq(rename(beside("away"), place_path), 0);
	tasking_ask("a");
	cr_assert_eq(token_thread_join(&waiter), 1);
}

/* In a process of its own, which has one descriptor left to give back. */
static int look_without_descriptors(void *arg)
{
	int last = -1, fd;

	(void)arg;
	tasking_open(NULL);
	if (tasking_begin("a") != 0 || ask("a", NULL, NULL, NULL) != CANCEL_REQUESTED)
		return 1;
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		last = fd;
	if (cancel_task_check(task, NULL) != -EMFILE || cancel_task_check(task, NULL) != -EMFILE)
		return 2;
	if (tasking_report_count() != 1 || tasking_report_at(0).code != -EMFILE)
		return 3;
	for (fd = last - 10; fd <= last; fd++)
		(void)close(fd);
	if (cancel_task_check(task, NULL) != 1)
		return 4;
	return tasking_report_count() == 2 && tasking_report_at(1).code == 0 ? 0 : 5;
}

/* DESIGN.md, invariant 11. The request is there to be read, and cannot be. */
Test(manager, having_no_descriptor_left_is_told_and_not_no)
{
	cr_assert_eq(in_child_as(0, look_without_descriptors, NULL), 0);
}
