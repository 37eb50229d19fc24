/* fork: what a child may do with the sources that it has copies of. */
#include "in_child.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FIRED_BEFORE = 2, /* the fork */
};

TestSuite(token_fork, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

static struct cancel_source source, other;
static struct cancel_deadline deadline, other_deadline;
static struct token_calls calls;
static struct token_callee callee;

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

/* --- a child ------------------------------------------------------------------------------------------ */

/* Start the dispatcher and see it work. A thread that only begins may hold a lock of a sanitizer's, which a
 * child would find held for ever. */
static void start_and_see_it_work(void)
{
	struct cancel_source seen = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_source_cancel_deferred(&seen, NULL), 1);
	cr_assert_eq(cancel_source_quiesce(&seen, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_source_fini(&seen), 0);
}

/* A source, used for all that a source is for. */
static int use_fully(struct cancel_source *used)
{
	struct cancel_source leaf = CANCEL_SOURCE_INIT;
	struct token_callee callees[10];
	struct cancel_link link;

	atomic_store(&calls.count, 0);
	CHECK(!cancel_token_requested(cancel_source_token(used)));
	CHECK(cancel_token_wait(cancel_source_token(used), CANCEL_MILLISECOND) == 0);
	token_callees_add(callees, 10, cancel_source_token(used), &calls);
	CHECK(cancel_link_add(&link, &leaf, cancel_source_token(used)) == 0);
	CHECK(cancel_registration_remove(&callees[3].registration) == CANCEL_REMOVED);
	CHECK(cancel_source_cancel(used, &quota) == 1);
	CHECK(atomic_load(&calls.count) == 9);
	CHECK(cancel_token_cause(cancel_source_token(&leaf)) == &quota);
	CHECK(cancel_token_wait(cancel_source_token(&leaf), CANCEL_FOREVER) == 1);
	CHECK(cancel_linked_fini(&leaf, &link, 1) == 0);
	CHECK(cancel_source_quiesce(used, CANCEL_FOREVER) == 0);
	CHECK(cancel_source_fini(used) == 0);
	return 0;
}

/* --- asking ------------------------------------------------------------------------------------------- */

static int ask_cancelled(void)
{
	CHECK(cancel_token_requested(token_of_source()));
	CHECK(cancel_token_cause(token_of_source()) == &quota);
	CHECK(cancel_token_origin(token_of_source()) == &source);
	CHECK(cancel_token_error(token_of_source()) == -ECANCELED);
	return 0;
}

static int ask_not_cancelled(void)
{
	CHECK(!cancel_token_requested(token_of_source()));
	CHECK(cancel_token_possible(token_of_source()));
	CHECK(cancel_token_cause(token_of_source()) == NULL);
	CHECK(cancel_token_error(token_of_source()) == 0);
	return 0;
}

Test(token_fork, a_child_asks_as_its_parent_did)
{
	expect_in_child(ask_not_cancelled);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	expect_in_child(ask_cancelled);
}

static int cancel_it(void *arg)
{
	return cancel_source_cancel(arg, &quota);
}

static void stop_at_gate(struct token_callee *stopped)
{
	token_gate_pass(stopped->arg);
}

static int init_anew(void)
{
	cancel_source_init(&source, NULL);
	return use_fully(&source);
}

Test(token_fork, a_child_asks_and_makes_anew_while_a_callback_runs_in_its_parent)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	expect_in_child(ask_cancelled);
	expect_in_child(init_anew);
	cr_assert(!token_thread_has_ended(&canceller));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* Inherited in the middle: with registrations, and somebody who sleeps on it. */
static int wait_for_it(void *arg)
{
	return cancel_token_wait(cancel_source_token(arg), CANCEL_FOREVER);
}

/* DESIGN.md, invariant 33 */
Test(token_fork, a_child_makes_a_fresh_source_of_the_same_memory)
{
	struct token_thread waiter;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	token_thread_start(&waiter, wait_for_it, &source);
	cr_assert(token_thread_falls_asleep(&waiter));
	expect_in_child(init_anew);
	cr_assert(!token_thread_has_ended(&waiter), "the child's source is not the parent's");
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_thread_join(&waiter), 1);
	EXPECT_CALLS("1", &calls);
}

static int use_inherited(void)
{
	return use_fully(&source);
}

/* No other thread was in a call on it. */
Test(token_fork, a_child_of_one_thread_uses_what_it_inherited)
{
	expect_in_child(use_inherited);
	cr_assert(!cancel_token_requested(token_of_source()));
}

static void fork_inside(struct token_callee *forking)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ask_cancelled());
	forking->result = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

Test(token_fork, a_callback_can_fork)
{
	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, fork_inside, NULL);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert(callee.result);
	callee.result = 0;
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, fork_inside, NULL);
	cr_assert_eq(cancel_source_cancel_deferred(&source, &quota), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert(callee.result, "nor did that of the dispatcher");
}

/* --- the dispatcher and deadlines --------------------------------------------------------------------- */

static int start_anew(void)
{
	struct cancel_source fresh = CANCEL_SOURCE_INIT;
	int threads = token_count_threads();
	struct token_callee called;

	CHECK(cancel_dispatcher_start() == 0);
	CHECK(token_count_threads() == threads + 1);
	(void)token_callee_add(&called, cancel_source_token(&fresh), &calls, 1);
	CHECK(cancel_source_cancel_deferred(&fresh, NULL) == 1);
	CHECK(cancel_source_quiesce(&fresh, CANCEL_FOREVER) == 0);
	CHECK(atomic_load(&calls.count) == 1);
	CHECK(cancel_source_fini(&fresh) == 0);
	CHECK(cancel_dispatcher_stop() == 0);
	return 0;
}

Test(token_fork, a_child_starts_a_dispatcher_of_its_own)
{
	start_and_see_it_work();
	for (int i = 0; i < 5; i++)
		expect_in_child(start_anew);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
	expect_in_child(start_anew);
}

static int defer_without_start(void)
{
	CHECK(cancel_source_cancel_deferred(&other, NULL) == 1);
	CHECK(cancel_source_quiesce(&other, CANCEL_FOREVER) == 0);
	return 0;
}

Test(token_fork, a_dispatcher_is_started_in_the_child_by_what_needs_it)
{
	start_and_see_it_work();
	expect_in_child(defer_without_start);
}

static int64_t inherited_ns;

/* The parent's is due first. When the child's own has fired, the inherited one would have. */
static int outlive_inherited(void)
{
	struct cancel_deadline own = CANCEL_DEADLINE_INIT;

	if (cancel_token_requested(token_of_source()))
		return FIRED_BEFORE;
	CHECK(cancel_dispatcher_stop() == 0);
	CHECK(cancel_deadline_set(&own, &other, inherited_ns + 10 * CANCEL_MILLISECOND, NULL) == 0);
	CHECK(cancel_token_wait(cancel_source_token(&other), CANCEL_FOREVER) == 1);
	CHECK(!cancel_token_requested(token_of_source()));
	CHECK(cancel_deadline_stop(&deadline) == 0);
	CHECK(cancel_deadline_set(&deadline, &source, CANCEL_MILLISECOND, NULL) == 0);
	CHECK(cancel_token_wait(token_of_source(), CANCEL_FOREVER) == 1);
	return 0;
}

static int result_beside_a_deadline(void)
{
	int result;

	cr_assert_eq(cancel_deadline_set(&deadline, &source, inherited_ns, NULL), 0);
	result = result_in_child(outlive_inherited);
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1, "in the parent it fires");
	return result;
}

Test(token_fork, an_inherited_deadline_is_not_armed_and_can_be_set_anew)
{
	struct cancel_source early = CANCEL_SOURCE_INIT;
	int result;

	start_and_see_it_work();
	cr_assert_eq(cancel_deadline_set(&other_deadline, &early, 3600 * CANCEL_SECOND, NULL), 0);
	inherited_ns = 20 * CANCEL_MILLISECOND;
	while ((result = result_beside_a_deadline()) == FIRED_BEFORE) {
		inherited_ns *= 2;
		cr_assert_eq(cancel_source_fini(&source), 0);
		cancel_source_init(&source, NULL);
	}
	cr_assert_eq(result, 0);
	cr_assert_eq(cancel_deadline_stop(&other_deadline), 1);
}

static int64_t time_ns;

static int64_t plugged_now_ns(void *arg)
{
	return *(int64_t *)arg;
}

static const struct cancel_clock plugged_clock = {plugged_now_ns, &time_ns};

static int advance_in_child(void)
{
	time_ns = 10 * CANCEL_SECOND;
	CHECK(cancel_clock_advanced() == 0);
	CHECK(!cancel_token_requested(token_of_source()));
	CHECK(cancel_deadline_stop(&deadline) == 0);
	CHECK(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, NULL) == 0);
	CHECK(cancel_deadline_set(&other_deadline, &other, 3 * CANCEL_SECOND, NULL) == 0);
	time_ns = 12 * CANCEL_SECOND;
	CHECK(cancel_clock_advanced() == 1);
	CHECK(cancel_token_requested(token_of_source()));
	CHECK(!cancel_token_requested(cancel_source_token(&other)));
	CHECK(cancel_deadline_stop(&other_deadline) == 1);
	CHECK(cancel_clock_plug(NULL) == 0);
	return 0;
}

Test(token_fork, no_deadline_of_the_clock_that_was_plugged_in_is_armed)
{
	cr_assert_eq(cancel_clock_plug(&plugged_clock), 0);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, NULL), 0);
	cr_assert_eq(cancel_deadline_set(&other_deadline, &other, 2 * CANCEL_SECOND, NULL), 0);
	expect_in_child(advance_in_child);
	time_ns = 2 * CANCEL_SECOND;
	cr_assert_eq(cancel_clock_advanced(), 2);
}

/* What a handler cancelled without a dispatcher is the parent's to deliver. */
static int advance_after_signal(void)
{
	CHECK(cancel_token_requested(token_of_source()));
	CHECK(cancel_dispatcher_start() == 0);
	CHECK(cancel_dispatcher_stop() == 0);
	CHECK(atomic_load(&calls.count) == 0);
	return 0;
}

Test(token_fork, what_waits_to_be_delivered_is_delivered_in_the_parent_only)
{
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_source_cancel_from_signal(&source, NULL), 1);
	expect_in_child(advance_after_signal);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
}

/* Threads of the parent that fork, start, arm and cancel at the same time: no child finds a lock that nobody
 * will ever let go. */
static atomic_bool is_over;

static int keep_busy(void *arg)
{
	struct cancel_source busy = CANCEL_SOURCE_INIT;
	struct cancel_deadline often = CANCEL_DEADLINE_INIT;

	token_gate_touch(arg);
	while (!atomic_load(&is_over)) {
		(void)cancel_deadline_set(&often, &busy, 3600 * CANCEL_SECOND, NULL);
		(void)cancel_deadline_stop(&often);
		(void)cancel_deadline_set(&often, &busy, 0, NULL);
		(void)cancel_source_fini(&busy);
		cancel_source_init(&busy, NULL);
	}
	return 0;
}

static int use_deadlines(void)
{
	CHECK(cancel_deadline_set(&deadline, &source, 100 * 1000, NULL) == 0);
	CHECK(cancel_token_wait(token_of_source(), CANCEL_FOREVER) == 1);
	CHECK(cancel_source_fini(&source) == 0);
	return 0;
}

Test(token_fork, a_fork_in_the_middle_of_everything_leaves_no_lock_held)
{
	struct token_gate began = TOKEN_GATE_INIT;
	struct token_thread busy[2];

	start_and_see_it_work();
	for (int i = 0; i < 2; i++)
		token_thread_start(&busy[i], keep_busy, &began);
	token_gate_await(&began, 2);
	for (int i = 0; i < 20; i++)
		expect_in_child(use_deadlines);
	atomic_store(&is_over, true);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&busy[i]), 0);
}

static struct cancel_fd fd;

static int close_inherited(void)
{
	struct pollfd one = {fd.fd, POLLIN, 0};

	CHECK(poll(&one, 1, 0) == 0);
	CHECK(close(fd.fd) == 0);
	return 0;
}

Test(token_fork, an_inherited_descriptor_is_closed_by_close)
{
	struct pollfd one;

	cr_assert_eq(cancel_fd_open(&fd, token_of_source()), 0);
	expect_in_child(close_inherited);
	one = (struct pollfd){fd.fd, POLLIN, 0};
	cr_assert_eq(poll(&one, 1, 0), 0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(poll(&one, 1, 0), 1);
	cancel_fd_close(&fd);
}

/* A child that cancels its copy does not wake its parent, whose descriptor it shares. */
static int cancel_inherited(void)
{
	CHECK(cancel_source_cancel(&source, NULL) == 1);
	return 0;
}

Test(token_fork, a_child_does_not_make_its_parents_descriptor_readable)
{
	struct pollfd one;

	cr_assert_eq(cancel_fd_open(&fd, token_of_source()), 0);
	expect_in_child(cancel_inherited);
	one = (struct pollfd){fd.fd, POLLIN, 0};
	cr_assert_eq(poll(&one, 1, 0), 0);
	cancel_fd_close(&fd);
}

/* The child has opened a file that has the descriptor's number. */
static int cancel_over_a_file(void)
{
	FILE *file;

	CHECK(close(fd.fd) == 0);
	file = tmpfile();
	CHECK(file && fileno(file) == fd.fd);
	CHECK(cancel_source_cancel(&source, NULL) == 1);
	CHECK(lseek(fileno(file), 0, SEEK_END) == 0);
	return 0;
}

Test(token_fork, a_child_does_not_write_into_what_has_the_descriptors_number)
{
	cr_assert_eq(cancel_fd_open(&fd, token_of_source()), 0);
	expect_in_child(cancel_over_a_file);
	cancel_fd_close(&fd);
}
