/* Ending: what is decided, what is left to others, and what a failure leaves. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "tasking.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(task_end, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 60);

static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED,
					       CANCEL_OUTCOME_FAILED, CANCEL_OUTCOME_REFUSED};

enum {
	OUTCOMES = sizeof(outcomes) / sizeof(outcomes[0]),
};

static void expect_processed(const char *run, enum cancel_outcome outcome)
{
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", run));
	cr_assert_eq(found.outcome, outcome, "%s", cancel_outcome_text(found.outcome));
}

/* --- outcomes ------------------------------------------------------------------------------------------- */

TASKING_TEST(task_end, each_outcome_of_a_run_is_kept_with_its_detail)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	tasking_open(way);
	for (int i = 0; i < OUTCOMES; i++) {
		EXPECT(0, tasking_begin("a"));
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", id));
		EXPECT_NOTICED(way, task);
		EXPECT(1, cancel_task_end(task, outcomes[i], "after 3 of 7", &error));
		expect_processed(NULL, outcomes[i]);
		cr_assert_str_eq(found.detail, "after 3 of 7");
		cr_assert_str_eq(found.request_id, id);
		cr_assert_str_eq(found.last_cancel_id, id);
		cr_assert_eq(found.worker.pid, getpid());
		cr_assert_null(found.worker.run);
		cr_assert_null(found.group);
		cr_assert_eq(count_in("pending") + count_in("runs") + count_in("tmp"), 0);
	}
}

TASKING_TEST(task_end, the_task_and_the_run_are_both_decided)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	tasking_ask("a");
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT_NOTICED(way, task);
	EXPECT(2, tasking_end(CANCEL_OUTCOME_FAILED));
	expect_processed(NULL, CANCEL_OUTCOME_FAILED);
	cr_assert_str_eq(found.worker.run, "r");
	expect_processed("r", CANCEL_OUTCOME_FAILED);
	cr_assert_str_eq(found.worker.run, "r");
}

TASKING_TEST(task_end, only_the_run_is_decided_where_only_it_was_asked_for)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", "s", NULL, NULL));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_processed("r", CANCEL_OUTCOME_STOPPED);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", "s"));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
}

TASKING_TEST(task_end, where_nothing_was_asked_nothing_is_decided)
{
	tasking_open(way);
	for (int i = -1; i < OUTCOMES; i++) {
		EXPECT(0, tasking_begin_run("a", "r"));
		EXPECT(0, tasking_end(i < 0 ? CANCEL_OUTCOME_NONE : outcomes[i]));
		cr_assert_eq(count_in("pending") + count_in("processed") + count_in("runs"), 0);
	}
}

/* The request came after the last checkpoint. */
TASKING_TEST(task_end, what_was_not_noticed_is_decided_too)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
}

TASKING_TEST(task_end, what_takes_effect_later_is_decided_too)
{
	tasking_open(way);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
}

TASKING_TEST(task_end, who_does_not_know_has_failed_if_it_was_asked)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_NONE));
	expect_processed(NULL, CANCEL_OUTCOME_FAILED);
}

TASKING_TEST(task_end, what_another_decided_is_left_as_it_is)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_REFUSED));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_processed(NULL, CANCEL_OUTCOME_REFUSED);
}

TASKING_TEST(task_end, an_outcome_that_a_run_cannot_have_ends_nothing)
{
	static const int impossible[] = {CANCEL_OUTCOME_WITHDRAWN, CANCEL_OUTCOME_EXPIRED,
					 CANCEL_OUTCOME_EXPIRED + 1, -1};

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++)
		EXPECT(-EINVAL, tasking_end((enum cancel_outcome)impossible[i]));
	EXPECT_NOTICED(way, task);
	cr_assert_eq(tasking_count_runs("a"), 1);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, a_detail_that_is_none_ends_nothing)
{
	static char detail[CANCEL_DETAIL_MAX + 2];

	memset(detail, 'x', CANCEL_DETAIL_MAX + 1);
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(-EMSGSIZE, cancel_task_end(task, CANCEL_OUTCOME_STOPPED, detail, &error));
	EXPECT(-EILSEQ, cancel_task_end(task, CANCEL_OUTCOME_STOPPED, "\xff", &error));
	cr_assert_eq(tasking_count_runs("a"), 1);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(1, cancel_task_end(task, CANCEL_OUTCOME_STOPPED, detail + 1, &error));
	expect_processed(NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.detail, detail + 1);
}

/* --- other runs of the task ----------------------------------------------------------------------------- */

static void expect_pending(void)
{
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

static int finish_it_here(void *arg)
{
	return cancel_task_end(arg, CANCEL_OUTCOME_FINISHED, NULL, NULL);
}

/* DESIGN.md, invariant 39 */
TASKING_TEST(task_end, one_that_finished_leaves_the_request_to_another_process)
{
	struct tasking_worker worker;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_worker_start(&worker, "a", NULL, NULL);
	tasking_ask("a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_pending();
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_FINISHED), 1);
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
}

TASKING_TEST(task_end, one_that_finished_leaves_the_request_to_a_run_of_another_name)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", "r", NULL);
	EXPECT(0, tasking_begin_run("a", "s"));
	tasking_ask("a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_pending();
	cr_assert_eq(tasking_worker_wait(&worker), 1);
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_STOPPED), 1);
}

TASKING_TEST(task_end, one_that_finished_leaves_the_request_to_another_of_this_process)
{
	struct cancel_task *first;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = task;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_pending();
	EXPECT_NOTICED(way, first);
	cr_assert_eq(cancel_task_end(first, CANCEL_OUTCOME_FINISHED, NULL, &error), 1);
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
}

/* And the other way round: the first that began is the first that ends. */
TASKING_TEST(task_end, it_does_not_matter_which_of_them_has_the_plain_name)
{
	struct cancel_task *first;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = task;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(cancel_task_end(first, CANCEL_OUTCOME_FINISHED, NULL, &error), 0);
	expect_pending();
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
}

TASKING_TEST(task_end, one_that_finished_leaves_it_to_another_manager_of_this_process)
{
	struct cancel_manager *other;
	struct cancel_task *others_task;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, cancel_manager_open(&other, &manager_options, &error));
	EXPECT(0, cancel_task_begin(&others_task, other, "a", NULL, &error));
	tasking_ask("a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_pending();
	EXPECT(1, cancel_task_end(others_task, CANCEL_OUTCOME_FINISHED, NULL, &error));
	cr_assert_eq(cancel_manager_close(other), 0);
}

TASKING_TEST(task_end, one_that_stopped_or_failed_decides_for_all)
{
	static const enum cancel_outcome others[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FAILED,
						     CANCEL_OUTCOME_REFUSED, CANCEL_OUTCOME_NONE};
	struct tasking_worker worker;

	tasking_open(way);
	for (int i = 0; i < 4; i++) {
		tasking_worker_start(&worker, "a", NULL, NULL);
		EXPECT(0, tasking_begin("a"));
		tasking_ask("a");
		EXPECT_NOTICED(way, task);
		EXPECT(1, tasking_end(others[i]));
		cr_assert_eq(tasking_worker_wait(&worker), 1);
		cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_STOPPED), 0);
	}
}

TASKING_TEST(task_end, the_runs_own_request_is_decided_all_the_same)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	EXPECT(0, tasking_begin_run("a", "r"));
	tasking_ask("a");
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_processed("r", CANCEL_OUTCOME_FINISHED);
	expect_pending();
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_FINISHED), 1);
}

/* Two end at the same time: the worker stands where it removes its lease, and has left the request already.
 * Whoever sees that lease now must not leave the request too. */
static void expect_that_one_of_two_decides(struct tasking_worker *worker)
{
	struct token_thread ender;
	int of_worker, of_own;

	tasking_worker_end_to_the_lease(worker, CANCEL_OUTCOME_FINISHED);
	token_thread_start(&ender, finish_it_here, task);
	(void)token_thread_falls_asleep(&ender); /* or it has ended */
	of_worker = tasking_worker_go_on(worker);
	of_own = token_thread_join(&ender);
	task = NULL;
	cr_assert_eq(of_worker + of_own, 1, "the worker decided %d, the other %d", of_worker, of_own);
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
	cr_assert_eq(count_in("pending") + count_in("runs"), 0);
}

/* DESIGN.md, invariant 39 */
TASKING_TEST(task_end, of_two_that_finish_together_one_decides)
{
	struct tasking_worker worker;

	tasking_open(way);
	for (int i = 0; i < 2; i++) {
		tasking_worker_start(&worker, "a", i == 0 ? NULL : "r", NULL);
		EXPECT(0, tasking_begin("a"));
		tasking_ask("a");
		expect_that_one_of_two_decides(&worker);
	}
	EXPECT(0, tasking_begin("a"));
}

/* Who knows no tasks, and ends a run by cancel_spool_acknowledge. */
TASKING_TEST(task_end, a_run_that_is_no_task_leaves_the_request_to_one_that_is)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(0, cancel_spool_acknowledge(spool, "a", NULL, CANCEL_OUTCOME_FINISHED, NULL, NULL, &error));
	expect_pending();
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	tasking_ask("a");
	EXPECT(1, cancel_spool_acknowledge(spool, "a", NULL, CANCEL_OUTCOME_FINISHED, NULL, NULL, &error));
}

TASKING_TEST(task_end, a_run_that_was_killed_is_no_other_run)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	tasking_worker_kill(&worker);
	cr_assert_eq(count_in("runs"), 2, "its file is there still");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_processed(NULL, CANCEL_OUTCOME_FINISHED);
}

TASKING_TEST(task_end, a_run_without_a_lease_is_not_seen)
{
	tasking_open(way);
	terms.no_lease = true;
	EXPECT(0, tasking_begin("a"));
	terms.no_lease = false;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
}

TASKING_TEST(task_end, one_without_a_lease_leaves_the_request_to_one_with)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	terms.no_lease = true;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	expect_pending();
	tasking_worker_kill(&worker);
}

TASKING_TEST(task_end, runs_of_tasks_with_names_alike_are_no_other_runs)
{
	static const char *const alike[] = {"ab", "A", "a@r", "a@@12345678", "a%", " a"};
	struct cancel_task *own;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	own = task;
	for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
		EXPECT(0, tasking_begin(alike[i]));
	tasking_ask("a");
	cr_assert_eq(cancel_task_end(own, CANCEL_OUTCOME_FINISHED, NULL, &error), 1);
}

/* Names that are cut and hashed. */
TASKING_TEST(task_end, runs_of_a_task_with_a_long_name_are_other_runs)
{
	static char id[CANCEL_TASK_ID_MAX + 1], alike[CANCEL_TASK_ID_MAX + 1];
	struct cancel_task *first, *stranger;

	memset(id, 'x', CANCEL_TASK_ID_MAX);
	memset(alike, 'x', CANCEL_TASK_ID_MAX);
	alike[CANCEL_TASK_ID_MAX - 1] = 'y';
	tasking_open(way);
	EXPECT(0, tasking_begin(alike));
	stranger = task;
	EXPECT(0, tasking_begin_run(id, "r"));
	first = task;
	EXPECT(0, tasking_begin(id));
	EXPECT(CANCEL_REQUESTED, ask(id, NULL, NULL, NULL));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup(id, NULL));
	cr_assert_eq(cancel_task_end(first, CANCEL_OUTCOME_FINISHED, NULL, &error), 1);
	cr_assert_eq(cancel_task_end(stranger, CANCEL_OUTCOME_FINISHED, NULL, &error), 0);
}

/* --- in a callback -------------------------------------------------------------------------------------- */

static struct token_calls calls;
static struct token_callee callees[2];
static atomic_bool has_ended;

static void end_it(struct token_callee *ending)
{
	ending->result = cancel_task_end(ending->arg, CANCEL_OUTCOME_STOPPED, NULL, NULL);
	atomic_store(&has_ended, true);
}

static bool it_has_ended(void *arg)
{
	(void)arg;
	return atomic_load(&has_ended);
}

static bool ends_at_checkpoint(void *arg)
{
	return atomic_load(&has_ended) || cancel_task_checkpoint(arg);
}

TASKING_TEST(task_end, it_may_be_a_callback_of_its_own_token)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add(&callees[0], cancel_task_token(task), &calls, 0);
	(void)token_callee_add_act(&callees[1], cancel_task_token(task), &calls, 1, end_it, task);
	tasking_ask("a");
	if (way->thread)
		cr_assert(wait_until(it_has_ended, NULL, PROCESS_TIMEOUT_MS));
	else if (way->waits)
		cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	else
		cr_assert(wait_until(ends_at_checkpoint, task, PROCESS_TIMEOUT_MS));
	task = NULL;
	cr_assert_eq(callees[1].result, 1);
	EXPECT_CALLS("1", &calls);
	expect_processed(NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_eq(count_in("runs"), 0);
}

TASKING_MODES_TEST(task_end, it_may_be_a_callback_of_a_cancel_by_the_program)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add_act(&callees[0], cancel_task_token(task), &calls, 0, end_it, task);
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	cr_assert(wait_until(it_has_ended, NULL, PROCESS_TIMEOUT_MS));
	task = NULL;
	cr_assert_eq(callees[0].result, 0);
}

TASKING_TEST(task_end, it_may_be_a_callback_of_its_deadline)
{
	tasking_open(way);
	terms.timeout_ns = 50 * CANCEL_MILLISECOND;
	tasking_begin_in_time("a");
	(void)token_callee_add_act(&callees[0], cancel_task_token(task), &calls, 0, end_it, task);
	if (way->thread)
		cr_assert(wait_until(it_has_ended, NULL, PROCESS_TIMEOUT_MS));
	else if (way->waits)
		cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	else
		cr_assert(wait_until(ends_at_checkpoint, task, PROCESS_TIMEOUT_MS));
	cr_assert(wait_until(it_has_ended, NULL, PROCESS_TIMEOUT_MS));
	task = NULL;
	cr_assert_eq(callees[0].result, 0);
}

static void stop_at_gate(struct token_callee *stopped)
{
	token_gate_pass(stopped->arg);
}

static int cancel_it(void *arg)
{
	return cancel_task_cancel(arg, NULL);
}

static int end_it_here(void *arg)
{
	return cancel_task_end(arg, CANCEL_OUTCOME_STOPPED, NULL, NULL);
}

TASKING_MODES_TEST(task_end, it_waits_for_callbacks_on_another_thread)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, ender;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add_act(&callees[0], cancel_task_token(task), &calls, 0, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, task);
	token_gate_await(&gate, 1);
	token_thread_start(&ender, end_it_here, task);
	cr_assert(token_thread_falls_asleep(&ender));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&ender), 0);
	cr_assert_eq(token_thread_join(&canceller), 1);
	task = NULL;
}

/* --- waits that form a circle --------------------------------------------------------------------------- */

static struct cancel_source second;
static struct token_callee of_second;
static struct token_gate both = TOKEN_GATE_INIT;

/* On the task's token: waits for the callback of the other source. */
static void remove_the_seconds(struct token_callee *callee)
{
	token_gate_touch(&both);
	token_gate_await(&both, 2);
	callee->result = cancel_registration_remove(&of_second.registration);
}

static bool waits_for_it(void *arg)
{
	return token_thread_falls_asleep(arg);
}

/* On the other source: ends the task, whose callback waits for this one. */
static void end_the_task(struct token_callee *callee)
{
	token_gate_touch(&both);
	token_gate_await(&both, 2);
	(void)wait_until(waits_for_it, callee->arg, PROCESS_TIMEOUT_MS);
	callee->result = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL);
}

static int cancel_second(void *arg)
{
	(void)arg;
	return cancel_source_cancel(&second, NULL);
}

TASKING_MODES_TEST(task_end, one_that_would_never_return_is_refused_and_can_be_repeated)
{
	struct token_thread canceller, other;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add_act(&callees[0], cancel_task_token(task), &calls, 0, remove_the_seconds, NULL);
	(void)token_callee_add_act(&of_second, cancel_source_token(&second), &calls, 1, end_the_task,
				   &canceller);
	token_thread_start(&canceller, cancel_it, task);
	token_gate_await(&both, 1);
	token_thread_start(&other, cancel_second, NULL);
	cr_assert_eq(token_thread_join(&other), 1);
	cr_assert_eq(token_thread_join(&canceller), 1);
	if (of_second.result == 0) {
		/* The end came first, so the removal was refused: the circle has two ends. */
		cr_assert_eq(callees[0].result, -EDEADLK);
		task = NULL;
		return;
	}
	cr_assert_eq(of_second.result, -EDEADLK);
	cr_assert_eq(callees[0].result, CANCEL_FINISHED);
	cr_assert_eq(tasking_count_runs("a"), 1, "it has not ended");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

/* --- a failure ------------------------------------------------------------------------------------------ */

/* From here on a record cannot be written. */
static void forbid_writing(void)
{
	struct rlimit none = {0, RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void allow_writing(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
}

TASKING_TEST(task_end, one_that_fails_leaves_all_as_it_was_and_can_be_repeated)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	forbid_writing();
	for (int i = 0; i < 3; i++) {
		EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_STOPPED));
		cr_assert_eq(tasking_count_runs("a"), 1);
		expect_pending();
		EXPECT(1, cancel_task_check(task, &error));
		cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	}
	allow_writing();
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_processed(NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_eq(count_in("runs") + count_in("tmp") + count_in("pending"), 0);
}

/* What was registered is forgotten then; what is registered anew is called. */
TASKING_TEST(task_end, one_that_failed_has_forgotten_its_callbacks)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	(void)token_callee_add(&callees[0], cancel_task_token(task), &calls, 0);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	forbid_writing();
	EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
	allow_writing();
	cr_assert_eq(cancel_registration_remove(&callees[0].registration), CANCEL_REMOVED);
	(void)token_callee_add(&callees[1], cancel_task_token(task), &calls, 1);
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	EXPECT_CALLS("1", &calls);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, one_that_failed_is_cancelled_by_its_parent_still)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT;
	struct cancel_why why;

	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("a"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	forbid_writing();
	EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
	allow_writing();
	cr_assert_eq(cancel_source_cancel(&parent, NULL), 1);
	cr_assert(cancel_task_checkpoint(task));
	for (int i = 0; i < 2; i++) {
		cancel_task_why(task, &why);
		cr_assert_eq(why.kind, CANCEL_WHY_PARENT, "turn %d", i);
		if (i == 0) {
			forbid_writing();
			EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
			allow_writing();
		}
	}
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, one_that_failed_still_knows_why_it_was_cancelled)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	struct cancel_why why;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", id));
	EXPECT_NOTICED(way, task);
	forbid_writing();
	EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
	allow_writing();
	cancel_task_why(task, &why);
	cr_assert_eq(why.kind, CANCEL_WHY_REQUEST);
	cr_assert_str_eq(why.request->request_id, id);
	cr_assert_str_eq(why.id, "a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, one_that_failed_may_be_cancelled_later)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	forbid_writing();
	EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
	allow_writing();
	EXPECT_UNTOUCHED(way, task);
	EXPECT(CANCEL_ALREADY_PENDING, ask("a", NULL, NULL, NULL));
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, a_deadline_of_one_that_failed_to_end_still_fires)
{
	tasking_open(way);
	terms.timeout_ns = 300 * CANCEL_MILLISECOND;
	tasking_begin_in_time("a");
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	forbid_writing();
	EXPECT(-EFBIG, tasking_end(CANCEL_OUTCOME_FINISHED));
	allow_writing();
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task_end, what_is_no_request_in_its_place_keeps_no_task_from_ending)
{
	tasking_open(way);
	for (int i = -1; i < OUTCOMES; i++) {
		EXPECT(0, tasking_begin_run("a", "r"));
		cr_assert_eq(mkfifo(at(i % 2 ? "pending/a.json" : "pending/a@r.json"), 0600), 0);
		EXPECT(0, tasking_end(i < 0 ? CANCEL_OUTCOME_NONE : outcomes[i]));
		cr_assert_eq(count_in("runs") + count_in("processed"), 0);
		cr_assert_eq(unlink(at(i % 2 ? "pending/a.json" : "pending/a@r.json")), 0, "it is gone");
	}
}

/* Nor does it stand in the way of its other name. */
TASKING_TEST(task_end, what_is_no_request_beside_one_that_is_hides_it_not)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	cr_assert_eq(mkfifo(at("pending/a@r.json"), 0600), 0);
	tasking_ask("a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_processed(NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_eq(tasking_count_runs("a"), 0);
}

TASKING_TEST(task_end, the_managers_close_tells_of_it_and_frees_all_the_same)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, tasking_begin("b"));
	tasking_ask("a");
	tasking_ask("b");
	forbid_writing();
	cr_assert_eq(tasking_close(), -EFBIG);
	allow_writing();
	expect_pending();
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", NULL));
	cr_assert_eq(tasking_count_runs(NULL), 0);
}
