/* Tasks: how one begins, what cancels it beside requests, why it says it was cancelled, and what its token is
 * for. */
#include "clock.h"
#include "process.h"
#include "tasking.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(task, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
static const struct cancel_cause shutdown_cause = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the program ends");

static struct cancel_source parent;
static struct token_calls calls;
static struct token_callee callees[3];

static struct cancel_why why_of(const struct cancel_task *one)
{
	struct cancel_why why;

	memset(&why, 0xff, sizeof(why));
	cancel_task_why(one, &why);
	return why;
}

static void expect_why(enum cancel_why_kind kind, const struct cancel_cause *cause)
{
	struct cancel_why why = why_of(task);

	cr_assert_eq(why.kind, kind);
	cr_assert_eq(why.cause, cause);
	cr_assert_str_eq(why.text, cause ? cause->text : "");
	cr_assert_null(why.request);
	cr_assert_null(why.id);
}

static char *text_of(size_t length)
{
	char *text = malloc(length + 1);

	memset(text, 'x', length);
	text[length] = '\0';
	return text;
}

/* --- beginning ------------------------------------------------------------------------------------------ */

Test(task, the_defaults_are_as_documented)
{
	memset(&terms, 0xff, sizeof(terms));
	cancel_task_options_init(&terms);
	cr_assert_null(terms.run);
	cr_assert_null(terms.also);
	cr_assert_eq(terms.also_count, 0);
	cr_assert_eq(terms.timeout_ns, CANCEL_FOREVER);
	cr_assert(!cancel_token_possible(terms.parent));
	cr_assert(!terms.no_lease);
}

TASKING_TEST(task, one_that_has_begun_is_not_cancelled)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert(!cancel_task_checkpoint(task));
	EXPECT(0, cancel_task_check(task, &error));
	cr_assert_eq(cancel_task_wait(task, 0), 0);
	cr_assert(!cancel_token_requested(cancel_task_token(task)));
	cr_assert_null(cancel_token_cause(cancel_task_token(task)));
	expect_why(CANCEL_WHY_NOT, NULL);
}

TASKING_MODES_TEST(task, with_no_options_the_defaults_hold)
{
	tasking_open(way);
	EXPECT(0, cancel_task_begin(&task, manager, "a", NULL, &error));
	cr_assert(there("runs/a"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
}

TASKING_MODES_TEST(task, without_an_error_object_a_failure_is_a_result)
{
	tasking_open(way);
	cr_assert_eq(cancel_task_begin(&task, manager, "", NULL, NULL), -EINVAL);
	cr_assert_eq(cancel_task_begin(&task, manager, "a", NULL, NULL), 0);
}

/* What it was given may change when it has begun. */
TASKING_TEST(task, what_it_is_given_is_borrowed_for_the_call)
{
	char id[] = "a", run[] = "r", also[] = "tenant";
	const char *list[] = {also};

	tasking_open(way);
	terms.run = run;
	terms.also = list;
	terms.also_count = 1;
	EXPECT(0, tasking_begin(id));
	memset(id, 'z', 1);
	memset(run, 'z', 1);
	memset(also, 'z', 6);
	list[0] = NULL;
	cancel_task_options_init(&terms);
	tasking_ask("tenant");
	EXPECT_NOTICED(way, task);
	cr_assert_str_eq(why_of(task).id, "tenant");
	tasking_ask("a");
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(2, tasking_end(CANCEL_OUTCOME_STOPPED));
}

static void expect_refused(int code, const char *task_id, const char *run, const char *const *also,
			   size_t count)
{
	terms.run = run;
	terms.also = also;
	terms.also_count = count;
	EXPECT(code, tasking_begin(task_id));
	cancel_task_options_init(&terms);
	cr_assert_null(task);
	cr_assert_eq(count_in("runs"), 0, "something was left behind");
	cr_assert_eq(count_in("tmp"), 0);
}

TASKING_MODES_TEST(task, ids_that_are_none_are_refused)
{
	char *long_task = text_of(CANCEL_TASK_ID_MAX + 1), *long_run = text_of(CANCEL_RUN_ID_MAX + 1);
	const struct {
		int code;
		const char *id, *longest;
	} bad[] = {{-EINVAL, "", ""}, {-EILSEQ, "\xff", "\xff"}, {-ENAMETOOLONG, long_task, long_run}};

	tasking_open(way);
	for (int i = 0; i < 3; i++) {
		const char *also[] = {"fine", bad[i].id};

		expect_refused(bad[i].code, bad[i].id, NULL, NULL, 0);
		expect_refused(bad[i].code, "a", bad[i].longest, NULL, 0);
		expect_refused(bad[i].code, "a", NULL, also, 2);
	}
	EXPECT(0, tasking_begin("a"));
	free(long_task);
	free(long_run);
}

TASKING_TEST(task, the_longest_ids_work)
{
	char *id = text_of(CANCEL_TASK_ID_MAX), *run = text_of(CANCEL_RUN_ID_MAX),
	     *also = text_of(CANCEL_TASK_ID_MAX);
	struct cancel_task *first;

	also[0] = 'y';
	tasking_open(way);
	terms.run = run;
	EXPECT(0, tasking_begin_also(id, also));
	first = task;
	terms.run = run;
	EXPECT(0, tasking_begin(id));
	EXPECT(CANCEL_REQUESTED, ask(also, NULL, NULL, NULL));
	EXPECT_NOTICED(way, first);
	cr_assert_str_eq(why_of(first).id, also);
	EXPECT(CANCEL_REQUESTED, ask(id, run, NULL, NULL));
	EXPECT_NOTICED(way, task);
	free(id);
	free(run);
	free(also);
}

TASKING_MODES_TEST(task, too_many_further_ids_are_refused)
{
	static const char *const ids[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};

	tasking_open(way);
	expect_refused(-EINVAL, "a", NULL, ids, CANCEL_TASK_ALSO_MAX + 1);
	expect_refused(-EINVAL, "a", NULL, ids, (size_t)-1);
	terms.also = ids;
	terms.also_count = CANCEL_TASK_ALSO_MAX;
	EXPECT(0, tasking_begin("a"));
}

TASKING_MODES_TEST(task, a_timeout_under_zero_is_refused)
{
	tasking_open(way);
	terms.timeout_ns = -1;
	EXPECT(-EINVAL, tasking_begin("a"));
	terms.timeout_ns = INT64_MIN;
	EXPECT(-EINVAL, tasking_begin("a"));
	cr_assert_eq(count_in("runs"), 0);
}

/* --- its deadline --------------------------------------------------------------------------------------- */

TASKING_TEST(task, a_deadline_cancels_it_and_is_never_early)
{
	int64_t before_ns = cancel_clock_now_ns();

	tasking_open(way);
	terms.timeout_ns = 30 * CANCEL_MILLISECOND;
	cr_assert_geq(tasking_begin("a"), 0);
	EXPECT_NOTICED(way, task);
	cr_assert_geq(cancel_clock_now_ns() - before_ns, 30 * CANCEL_MILLISECOND);
	expect_why(CANCEL_WHY_DEADLINE, cancel_token_cause(cancel_task_token(task)));
	cr_assert_eq(why_of(task).cause->kind, CANCEL_KIND_DEADLINE);
	cr_assert_eq(cancel_token_error(cancel_task_token(task)), -ETIMEDOUT);
	EXPECT(1, cancel_task_check(task, &error));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task, a_deadline_of_nothing_cancels_it_soon)
{
	tasking_open(way);
	terms.timeout_ns = 0;
	cr_assert_geq(tasking_begin("a"), 0);
	EXPECT_NOTICED(way, task);
	expect_why(CANCEL_WHY_DEADLINE, cancel_token_cause(cancel_task_token(task)));
}

TASKING_TEST(task, a_deadline_far_off_does_nothing)
{
	static const int64_t timeouts_ns[] = {3600 * CANCEL_SECOND, CANCEL_FOREVER - 1, CANCEL_FOREVER};

	tasking_open(way);
	for (int i = 0; i < 3; i++) {
		terms.timeout_ns = timeouts_ns[i];
		EXPECT(0, tasking_begin("a"));
		EXPECT_UNTOUCHED(way, task);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	}
}

/* Many end before their time; a deadline that outlived its task would be seen by a sanitizer. */
TASKING_TEST(task, a_task_that_ends_before_its_deadline_takes_it_along)
{
	tasking_open(way);
	for (int i = 0; i < 50; i++) {
		terms.timeout_ns = (i % 5) * CANCEL_MILLISECOND + 1;
		cr_assert_geq(tasking_begin("a"), 0);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	}
	terms.timeout_ns = 20 * CANCEL_MILLISECOND;
	tasking_begin_in_time("b");
	EXPECT_NOTICED(way, task);
}

/* --- its parent ----------------------------------------------------------------------------------------- */

TASKING_TEST(task, its_parent_cancels_it)
{
	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(cancel_source_cancel(&parent, &quota), 1);
	cr_assert(cancel_task_checkpoint(task));
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	expect_why(CANCEL_WHY_PARENT, &quota);
	cr_assert_eq(cancel_token_origin(cancel_task_token(task)), &parent);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

static int cancel_parent(void *arg)
{
	(void)arg;
	return cancel_source_cancel(&parent, &quota);
}

static int wait_for_task(void *arg)
{
	return cancel_task_wait(arg, CANCEL_FOREVER);
}

TASKING_TEST(task, its_parent_wakes_who_waits_for_it)
{
	struct token_thread waiter;

	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiter, wait_for_task, task);
	cr_assert(token_thread_falls_asleep(&waiter));
	cr_assert_eq(cancel_parent(NULL), 1);
	cr_assert_eq(token_thread_join(&waiter), 1);
}

TASKING_TEST(task, a_parent_that_is_cancelled_stops_it_at_its_start)
{
	tasking_open(way);
	cr_assert_eq(cancel_source_cancel(&parent, &quota), 1);
	terms.parent = cancel_source_token(&parent);
	EXPECT(1, tasking_begin("a"));
	expect_why(CANCEL_WHY_PARENT, &quota);
}

TASKING_MODES_TEST(task, it_does_not_cancel_its_parent)
{
	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	cr_assert(!cancel_token_requested(cancel_source_token(&parent)));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(cancel_source_try_reset(&parent, NULL), 1, "nothing is left on it");
}

TASKING_TEST(task, a_task_as_parent_hands_its_request_on)
{
	struct cancel_task *upper;
	struct cancel_why why;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	upper = task;
	terms.parent = cancel_task_token(upper);
	EXPECT(0, tasking_begin("b"));
	tasking_ask("a");
	EXPECT_NOTICED(way, upper);
	cr_assert(cancel_task_checkpoint(task));
	why = why_of(task);
	cr_assert_eq(why.kind, CANCEL_WHY_PARENT);
	cr_assert_eq(why.cause, why_of(upper).cause);
	cr_assert_null(why.request);
	cr_assert_str_eq(cancel_cause_request(why.cause)->task_id, "a");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(cancel_task_end(upper, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
}

TASKING_MODES_TEST(task, a_parent_at_the_greatest_depth_is_refused)
{
	static struct cancel_source chain[CANCEL_LINK_DEPTH_MAX + 1];
	static struct cancel_link links[CANCEL_LINK_DEPTH_MAX + 1];

	for (int i = 1; i <= CANCEL_LINK_DEPTH_MAX; i++)
		cr_assert_eq(cancel_link_add(&links[i], &chain[i], cancel_source_token(&chain[i - 1])), 0);
	tasking_open(way);
	terms.parent = cancel_source_token(&chain[CANCEL_LINK_DEPTH_MAX]);
	EXPECT(-ELOOP, tasking_begin("a"));
	cr_assert_eq(count_in("runs"), 0);
	terms.parent = cancel_source_token(&chain[CANCEL_LINK_DEPTH_MAX - 1]);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_source_cancel(&chain[0], &quota), 1);
	cr_assert(cancel_task_checkpoint(task));
}

/* --- the program itself --------------------------------------------------------------------------------- */

TASKING_TEST(task, the_program_cancels_it_and_asks_nothing_in_the_spool)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_cancel(task, &quota), 1);
	cr_assert_eq(cancel_task_cancel(task, &shutdown_cause), 0);
	cr_assert(cancel_task_checkpoint(task));
	cr_assert_eq(cancel_task_wait(task, CANCEL_FOREVER), 1);
	expect_why(CANCEL_WHY_PROGRAM, &quota);
	cr_assert_eq(count_in("pending") + count_in("processed"), 0);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(count_in("pending") + count_in("processed"), 0);
}

TASKING_MODES_TEST(task, the_program_needs_no_cause)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	cr_assert_eq(why_of(task).kind, CANCEL_WHY_PROGRAM);
	cr_assert_not_null(why_of(task).cause);
	cr_assert_str_neq(why_of(task).text, "");
	cr_assert_null(why_of(task).request);
}

/* A cause of the library's own that a program hands on is not what it was. */
TASKING_MODES_TEST(task, the_program_may_use_the_deadlines_cause)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_cancel(task, cancel_cause_deadline()), 1);
	expect_why(CANCEL_WHY_PROGRAM, cancel_cause_deadline());
}

static int cancel_task_of(void *arg)
{
	return cancel_task_cancel(arg, &quota);
}

TASKING_TEST(task, the_program_wakes_who_waits_for_it)
{
	struct token_thread waiter, canceller;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiter, wait_for_task, task);
	cr_assert(token_thread_falls_asleep(&waiter));
	token_thread_start(&canceller, cancel_task_of, task);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(token_thread_join(&waiter), 1);
}

/* --- the first wins ------------------------------------------------------------------------------------- */

TASKING_TEST(task, after_the_program_a_request_changes_nothing)
{
	tasking_open(way);
	terms.timeout_ns = 3600 * CANCEL_SECOND;
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_task_cancel(task, &quota), 1);
	tasking_ask("a");
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert_eq(cancel_source_cancel(&parent, &shutdown_cause), 1);
	expect_why(CANCEL_WHY_PROGRAM, &quota);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task, after_a_request_nothing_changes)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "first", id));
	EXPECT_NOTICED(way, task);
	EXPECT(CANCEL_REQUESTED, ask("tenant", NULL, "second", NULL));
	cr_assert_eq(cancel_task_cancel(task, &quota), 0);
	cr_assert_eq(cancel_source_cancel(&parent, &shutdown_cause), 1);
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert_eq(why_of(task).kind, CANCEL_WHY_REQUEST);
	cr_assert_str_eq(why_of(task).text, "first");
	cr_assert_str_eq(why_of(task).request->request_id, id);
	cr_assert_str_eq(why_of(task).id, "a");
}

TASKING_TEST(task, after_its_deadline_a_request_changes_nothing)
{
	tasking_open(way);
	terms.timeout_ns = CANCEL_MILLISECOND;
	cr_assert_geq(tasking_begin("a"), 0);
	EXPECT_NOTICED(way, task);
	tasking_ask("a");
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert_eq(why_of(task).kind, CANCEL_WHY_DEADLINE);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

TASKING_TEST(task, after_its_parent_a_request_changes_nothing)
{
	tasking_open(way);
	cr_assert_eq(cancel_source_cancel(&parent, &quota), 1);
	tasking_ask("a");
	terms.parent = cancel_source_token(&parent);
	EXPECT(1, tasking_begin("a"));
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert(why_of(task).kind == CANCEL_WHY_PARENT || why_of(task).kind == CANCEL_WHY_REQUEST);
	cr_assert_eq(why_of(task).kind == CANCEL_WHY_REQUEST, why_of(task).request != NULL);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
}

/* --- a request's cause ---------------------------------------------------------------------------------- */

TASKING_TEST(task, a_request_is_told_with_all_that_it_says)
{
	struct cancel_request request;
	const struct cancel_request *told;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cancel_request_init(&request);
	request.task_id = "a";
	request.reason = "deleted by alice";
	request.requester.name = "alice";
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
	EXPECT_NOTICED(way, task);
	told = why_of(task).request;
	cr_assert_str_eq(told->task_id, "a");
	cr_assert_null(told->run);
	cr_assert_str_eq(told->reason, "deleted by alice");
	cr_assert_str_eq(told->request_id, request.request_id);
	cr_assert_str_eq(told->requester.name, "alice");
	cr_assert_eq(told->requester.pid, getpid());
	cr_assert_eq(told->requested_at_us, request.requested_at_us);
	cr_assert_eq(told->status, CANCEL_STATUS_PENDING);
	cr_assert_str_eq(why_of(task).text, "deleted by alice");
	cancel_request_clear(&request);
}

TASKING_TEST(task, a_requests_cause_is_known_from_the_token)
{
	const struct cancel_cause *cause;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	cause = cancel_token_cause(cancel_task_token(task));
	cr_assert_eq(cause, why_of(task).cause);
	cr_assert_eq(cause->kind, CANCEL_KIND_REQUESTED);
	cr_assert_str_eq(cause->text, "why");
	cr_assert_eq(cancel_cause_request(cause), why_of(task).request);
	cr_assert_eq(cancel_token_error(cancel_task_token(task)), -ECANCELED);
}

Test(task, no_other_cause_is_a_requests)
{
	struct cancel_cause alike = CANCEL_CAUSE_INIT(CANCEL_KIND_REQUESTED, "requested");

	alike.detail = &alike;
	cr_assert_null(cancel_cause_request(NULL));
	cr_assert_null(cancel_cause_request(&quota));
	cr_assert_null(cancel_cause_request(&alike));
	cr_assert_null(cancel_cause_request(cancel_cause_requested()));
	cr_assert_null(cancel_cause_request(cancel_cause_deadline()));
}

TASKING_TEST(task, a_requests_cause_that_is_held_outlives_its_task)
{
	const struct cancel_cause *cause;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	EXPECT_NOTICED(way, task);
	cause = cancel_token_cause(cancel_task_token(task));
	cancel_cause_hold(cause);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(tasking_close(), 0);
	cr_assert_str_eq(cause->text, "why");
	cr_assert_str_eq(cancel_cause_request(cause)->task_id, "a");
	cancel_cause_drop(cause);
}

/* --- its token ------------------------------------------------------------------------------------------ */

static int wait_for_token(void *arg)
{
	return cancel_token_wait(cancel_task_token(arg), CANCEL_FOREVER);
}

static int wait_for_any_token(void *arg)
{
	struct cancel_token tokens[] = {cancel_source_token(&parent), cancel_task_token(arg)};

	return cancel_token_wait_any(tokens, 2, CANCEL_FOREVER);
}

static int poll_with_token(void *arg)
{
	struct pollfd none = {.fd = -1};

	return cancel_token_poll(cancel_task_token(arg), &none, 1, CANCEL_FOREVER);
}

TASKING_TEST(task, who_waits_for_its_token_is_woken)
{
	static const struct {
		token_job *job;
		int result;
	} waits[] = {{wait_for_token, 1}, {wait_for_any_token, 1}, {poll_with_token, -ECANCELED}};
	struct token_thread waiters[3];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 3; i++) {
		token_thread_start(&waiters[i], waits[i].job, task);
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	}
	tasking_ask("a");
	if (!way->thread)
		EXPECT_NOTICED(way, task);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), waits[i].result, "wait %d", i);
}

TASKING_TEST(task, its_descriptor_becomes_readable)
{
	struct cancel_fd stop;
	struct pollfd one;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_fd_open(&stop, cancel_task_token(task)), 0);
	one = (struct pollfd){stop.fd, POLLIN, 0};
	cr_assert_eq(poll(&one, 1, 0), 0);
	tasking_ask("a");
	if (!way->thread)
		EXPECT_NOTICED(way, task);
	cr_assert_eq(poll(&one, 1, PROCESS_TIMEOUT_MS), 1);
	cancel_fd_close(&stop);
}

static bool three_were_called(void *arg)
{
	(void)arg;
	return atomic_load(&calls.count) == 3;
}

static void note_cancelled(struct token_callee *callee)
{
	callee->result = cancel_token_requested(callee->token) &&
			 cancel_cause_request(cancel_token_cause(callee->token)) != NULL;
}

/* Here where it is seen, or on another thread where there is one. */
TASKING_TEST(task, its_callbacks_are_called_once_and_find_it_cancelled)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 3; i++)
		(void)token_callee_add_act(&callees[i], cancel_task_token(task), &calls, i, note_cancelled,
					   NULL);
	EXPECT_UNTOUCHED(way, task);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	cr_assert(wait_until(three_were_called, NULL, PROCESS_TIMEOUT_MS));
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(!pthread_equal(calls.threads[i], pthread_self()), way->thread,
			     "on the wrong thread %s", tasking_way_text(way));
		(void)cancel_registration_remove(&callees[i].registration);
		cr_assert(callees[i].result);
	}
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT_CALLS("2 1 0", &calls);
}

static void stop_at_gate(struct token_callee *stopped)
{
	token_gate_pass(stopped->arg);
}

/* A slow callback does not keep other tasks from being noticed. */
TASKING_TEST(task, a_callback_that_blocks_holds_up_no_other_tasks_token)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_task *blocked;

	if (!way->thread)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	blocked = task;
	(void)token_callee_add_act(&callees[0], cancel_task_token(blocked), &calls, 0, stop_at_gate, &gate);
	EXPECT(0, tasking_begin("b"));
	tasking_ask("a");
	token_gate_await(&gate, 1);
	tasking_ask("b");
	EXPECT_NOTICED(way, task);
	token_gate_open(&gate);
	cr_assert_eq(cancel_task_end(blocked, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
}

TASKING_TEST(task, what_is_linked_to_its_token_follows)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct cancel_link link;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(cancel_link_add(&link, &child, cancel_task_token(task)), 0);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	cr_assert_eq(cancel_token_wait(cancel_source_token(&child), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), why_of(task).cause);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&child)), cancel_task_token(task).source);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
}

/* Many threads ask while it is cancelled: each sees it, and why. */
static int ask_until_cancelled(void *arg)
{
	while (!cancel_task_checkpoint(arg))
		;
	return why_of(arg).kind == CANCEL_WHY_REQUEST;
}

TASKING_TEST(task, any_number_of_threads_may_ask)
{
	struct token_thread askers[4];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 4; i++)
		token_thread_start(&askers[i], ask_until_cancelled, task);
	tasking_ask("a");
	for (int i = 0; i < 4; i++)
		cr_assert_eq(token_thread_join(&askers[i]), 1);
	cr_assert_eq(cancel_task_wait(task, 0), 1);
}

/* --- checking ------------------------------------------------------------------------------------------- */

TASKING_TEST(task, a_check_looks_at_once)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT(0, cancel_task_check(task, &error));
	tasking_ask("tenant");
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert(cancel_token_requested(cancel_task_token(task)));
	cr_assert_eq(why_of(task).kind, CANCEL_WHY_REQUEST);
}

TASKING_TEST(task, a_check_finds_what_rings_no_bell)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	put("pending/a.json", "{}");
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert_eq(cancel_task_check(task, NULL), 1);
}

TASKING_TEST(task, a_failure_to_look_is_not_no)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-EBADMSG, cancel_task_check(task, &error));
	cr_assert_eq(cancel_task_check(task, NULL), -EBADMSG);
	cr_assert(!cancel_task_checkpoint(task), "the answer is what is known");
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	cr_assert(cancel_task_checkpoint(task));
	EXPECT(1, cancel_task_check(task, &error));
}
