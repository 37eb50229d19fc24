/* Sources: cancelled once, with one cause and one origin; their ends, their second lives, and those on the
 * heap. */
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(token_source, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
static const struct cancel_cause other = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the program ends");

_Static_assert(sizeof(struct cancel_source) == 40, "as cancel/source.h says");
_Static_assert(sizeof(struct cancel_token) == 8, "as cancel/token.h says");
_Static_assert(sizeof(struct cancel_registration) == 40, "as cancel/registration.h says");
_Static_assert(sizeof(struct cancel_link) == 40, "as cancel/link.h says");
_Static_assert(_Alignof(struct cancel_cause) == 8, "the flags of a source's word need the room");

static struct token_calls calls;

/* --- before it is cancelled --------------------------------------------------------------------------- */

static void expect_not_cancelled(const struct cancel_source *source)
{
	struct cancel_token token = cancel_source_token(source);

	cr_assert(!cancel_token_requested(token));
	cr_assert(cancel_token_possible(token));
	cr_assert_null(cancel_token_cause(token));
	cr_assert_null(cancel_token_origin(token));
	cr_assert_eq(cancel_token_error(token), 0);
	cr_assert_eq(cancel_token_wait(token, 0), 0);
}

static void expect_cancelled(const struct cancel_source *source, const struct cancel_cause *cause,
			     const struct cancel_source *origin)
{
	struct cancel_token token = cancel_source_token(source);

	cr_assert(cancel_token_requested(token));
	cr_assert_eq(cancel_token_cause(token), cause, "the cause is '%s'", cancel_token_cause(token)->text);
	cr_assert_eq(cancel_token_origin(token), origin);
	cr_assert_eq(cancel_token_wait(token, 0), 1);
}

/* A new source that works: told apart from one that only looks so. */
static void expect_fresh(struct cancel_source *source, const struct cancel_cause *cause)
{
	struct token_callee callee;
	int before = atomic_load(&calls.count);

	expect_not_cancelled(source);
	cr_assert_eq(token_callee_add(&callee, cancel_source_token(source), &calls, 1), 0);
	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	cr_assert_eq(atomic_load(&calls.count), before + 1);
	expect_cancelled(source, cause, source);
	cr_assert_eq(cancel_source_fini(source), 0);
}

Test(token_source, a_zeroed_one_is_a_source_that_nobody_has_cancelled)
{
	struct cancel_source source;

	memset(&source, 0, sizeof(source));
	expect_fresh(&source, cancel_cause_requested());
}

Test(token_source, the_initialisers_make_one)
{
	static struct cancel_source plain = CANCEL_SOURCE_INIT;
	static struct cancel_source with_cause = CANCEL_SOURCE_INIT_CAUSE(&quota);

	expect_fresh(&plain, cancel_cause_requested());
	expect_fresh(&with_cause, &quota);
}

Test(token_source, init_makes_one_whatever_was_in_its_memory)
{
	struct cancel_source source;

	memset(&source, 0xff, sizeof(source));
	cancel_source_init(&source, NULL);
	expect_fresh(&source, cancel_cause_requested());
	memset(&source, 0xff, sizeof(source));
	cancel_source_init(&source, &quota);
	expect_fresh(&source, &quota);
	cancel_source_init(&source, NULL);
	expect_fresh(&source, cancel_cause_requested());
}

Test(token_source, one_that_nobody_uses_ends)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_source, no_source_has_the_token_that_is_never_cancelled)
{
	cr_assert(!cancel_token_possible(cancel_source_token(NULL)));
}

/* --- cancelling --------------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 22 */
Test(token_source, the_first_cancel_wins)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callee;

	(void)token_callee_add(&callee, cancel_source_token(&source), &calls, 1);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert_eq(cancel_source_cancel(&source, &other), 0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 0);
	cr_assert_eq(cancel_source_cancel_deferred(&source, &other), 0);
	cr_assert_eq(cancel_source_cancel_from_signal(&source, &other), 0);
	expect_cancelled(&source, &quota, &source);
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_source, a_cause_that_is_given_stands_before_its_own)
{
	struct cancel_source source = CANCEL_SOURCE_INIT_CAUSE(&quota);

	cr_assert_eq(cancel_source_cancel(&source, &other), 1);
	expect_cancelled(&source, &other, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_source, every_way_of_cancelling_names_its_own_cause)
{
	struct cancel_source source = CANCEL_SOURCE_INIT_CAUSE(&quota);

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	expect_cancelled(&source, &quota, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, &quota);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	expect_cancelled(&source, &quota, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, &quota);
	cr_assert_eq(cancel_source_cancel_from_signal(&source, NULL), 1);
	expect_cancelled(&source, &quota, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

static int cancel_it(void *source)
{
	return cancel_source_cancel(source, NULL);
}

static void stop_at_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
}

Test(token_source, a_second_cancel_does_not_wait_for_the_first_ones_callbacks)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, cancel_source_token(&source), &calls, 1, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel(&source, &other), 0);
	cr_assert(cancel_token_requested(cancel_source_token(&source)));
	cr_assert(!token_thread_has_ended(&canceller), "its callback is still there");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* --- a source that is cancelled from the start -------------------------------------------------------- */

/* In memory that cannot be written. */
static const struct cancel_source born_cancelled = CANCEL_SOURCE_CANCELLED(&quota);

Test(token_source, one_that_is_cancelled_from_the_start_may_be_const)
{
	struct cancel_token token = cancel_source_token(&born_cancelled), tokens[2] = {{NULL}, token};
	struct pollfd none = {.fd = -1};
	struct token_callee callee;
	struct cancel_fd fd;

	expect_cancelled(&born_cancelled, &quota, &born_cancelled);
	cr_assert_eq(cancel_token_error(token), -ECANCELED);
	cr_assert_eq(cancel_token_wait(token, CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_wait_any(tokens, 2, CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_poll(token, &none, 1, CANCEL_FOREVER), -ECANCELED);
	cr_assert_eq(token_callee_add(&callee, token, &calls, 1), 1);
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_FINISHED);
	cr_assert_eq(cancel_registration_try_add(&callee.registration, token, token_callee_callback, &callee),
		     1);
	cr_assert_eq(cancel_fd_open(&fd, token), 0);
	none.fd = fd.fd;
	none.events = POLLIN;
	cr_assert_eq(poll(&none, 1, 0), 1);
	cancel_fd_close(&fd);
}

Test(token_source, a_child_of_one_that_is_cancelled_from_the_start_is_cancelled)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&born_cancelled)), 1);
	expect_cancelled(&child, &quota, &born_cancelled);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
}

/* --- ending it ---------------------------------------------------------------------------------------- */

Test(token_source, what_is_still_registered_at_its_end_is_forgotten)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callees[3];

	token_callees_add(callees, 3, cancel_source_token(&source), &calls);
	cr_assert_eq(cancel_source_fini(&source), 0);
	memset(&source, 0xff, sizeof(source));
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(cancel_registration_remove(&callees[i].registration), CANCEL_REMOVED);
		cr_assert_eq(cancel_registration_remove_nowait(&callees[i].registration), 1);
	}
	EXPECT_CALLS("", &calls);
}

/* A source that a callback ends, in memory that is marked at once: nothing may touch it any more. */
static void end_and_mark(struct token_callee *callee)
{
	struct cancel_source *source = callee->arg;

	callee->result = cancel_source_fini(source);
	memset(source, 0xa5, sizeof(*source));
}

static void expect_marked(const struct cancel_source *source)
{
	unsigned char mark[sizeof(*source)];

	memset(mark, 0xa5, sizeof(mark));
	cr_assert_arr_eq(source, mark, sizeof(mark), "the source's memory was touched after its end");
}

Test(token_source, its_own_callback_can_end_it_and_no_other_is_called)
{
	enum { COUNT = 19 };

	for (int at = 0; at < COUNT; at++) {
		struct cancel_source source = CANCEL_SOURCE_INIT;
		struct token_callee callees[COUNT];

		atomic_store(&calls.count, 0);
		token_callees_add(callees, COUNT, cancel_source_token(&source), &calls);
		callees[at].act = end_and_mark;
		callees[at].arg = &source;
		cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
		cr_assert_eq(callees[at].result, 0);
		cr_assert_eq(atomic_load(&calls.count), COUNT - at, "%d ended it: %s", at,
			     token_calls_text(&calls));
		expect_marked(&source);
		for (int i = 0; i < at; i++)
			cr_assert_eq(cancel_registration_remove(&callees[i].registration), CANCEL_REMOVED);
		expect_marked(&source);
	}
}

static void end_and_free(struct token_callee *callee)
{
	struct cancel_source *source = callee->arg;

	if (!cancel_source_fini(source))
		free(source);
	free(callee);
}

/* DESIGN.md, invariant 28 */
Test(token_source, its_own_callback_can_free_it_and_its_node)
{
	struct cancel_source *source = malloc(sizeof(*source));
	struct token_callee *callee = malloc(sizeof(*callee)), sibling;

	cancel_source_init(source, NULL);
	(void)token_callee_add(&sibling, cancel_source_token(source), &calls, 1);
	(void)token_callee_add_act(callee, cancel_source_token(source), &calls, 2, end_and_free, source);
	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	EXPECT_CALLS("2", &calls);
	cr_assert_eq(cancel_registration_remove(&sibling.registration), CANCEL_REMOVED);
}

/* The source ends while the callback of a registration that came too late is called. */
Test(token_source, a_callback_that_came_too_late_can_end_it)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callee;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(
		token_callee_add_act(&callee, cancel_source_token(&source), &calls, 1, end_and_mark, &source),
		1);
	cr_assert_eq(callee.result, 0);
	expect_marked(&source);
}

static int end_it(void *source)
{
	return cancel_source_fini(source);
}

/* DESIGN.md, invariant 30 */
Test(token_source, its_end_waits_for_a_delivery_on_another_thread)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, owner;
	struct token_callee callees[3];

	token_callees_add(callees, 3, cancel_source_token(&source), &calls);
	callees[1].act = stop_at_gate;
	callees[1].arg = &gate;
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	token_thread_start(&owner, end_it, &source);
	cr_assert(token_thread_falls_asleep(&owner), "the source ended in the middle of its delivery");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&owner), 0);
	EXPECT_CALLS("2 1 0", &calls);
	memset(&source, 0xff, sizeof(source));
	cr_assert_eq(token_thread_join(&canceller), 1);
}

/* --- quiesce ------------------------------------------------------------------------------------------ */

Test(token_source, quiesce_returns_at_once_where_nothing_is_delivered)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_source_quiesce(&source, 0), 0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_source_quiesce(&source, -1), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

static int quiesce_it(void *source)
{
	return cancel_source_quiesce(source, CANCEL_FOREVER);
}

Test(token_source, quiesce_waits_for_the_callbacks_as_long_as_it_may)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, waiter;
	struct token_callee callees[2];
	int64_t before_ns;

	token_callees_add(callees, 2, cancel_source_token(&source), &calls);
	callees[1].act = stop_at_gate;
	callees[1].arg = &gate;
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_quiesce(&source, 0), -ETIMEDOUT);
	cr_assert_eq(cancel_source_quiesce(&source, -5), -ETIMEDOUT);
	before_ns = cancel_clock_now_ns();
	cr_assert_eq(cancel_source_quiesce(&source, 10 * CANCEL_MILLISECOND), -ETIMEDOUT);
	cr_assert_geq(cancel_clock_now_ns() - before_ns, 10 * CANCEL_MILLISECOND);
	token_thread_start(&waiter, quiesce_it, &source);
	cr_assert(token_thread_falls_asleep(&waiter), "a callback is still there");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&waiter), 0);
	EXPECT_CALLS("1 0", &calls);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

static void quiesce_inside(struct token_callee *callee)
{
	callee->result = cancel_source_quiesce(callee->arg, CANCEL_FOREVER);
}

Test(token_source, quiesce_in_its_own_callback_would_never_end)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, cancel_source_token(&source), &calls, 1, quiesce_inside, &source);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(callee.result, -EDEADLK);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* --- serving again ------------------------------------------------------------------------------------ */

static int64_t time_ns;

static int64_t now_ns(void *arg)
{
	(void)arg;
	return time_ns;
}

static const struct cancel_clock plugged = {now_ns, NULL};

Test(token_source, one_that_nobody_cancelled_can_serve_again)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callee;

	cr_assert_eq(cancel_source_try_reset(&source, NULL), 1);
	(void)token_callee_add(&callee, cancel_source_token(&source), &calls, 1);
	cr_assert_eq(cancel_source_try_reset(&source, NULL), -EBUSY);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	cr_assert_eq(cancel_source_try_reset(&source, NULL), 1);
	expect_fresh(&source, cancel_cause_requested());
}

Test(token_source, one_that_has_children_cannot_serve_again)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT;
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&parent)), 0);
	cr_assert_eq(cancel_source_try_reset(&parent, NULL), -EBUSY);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
	cr_assert_eq(cancel_source_try_reset(&parent, NULL), 1);
	expect_fresh(&parent, cancel_cause_requested());
}

/* As new: what was a parent once may be a leaf now. */
Test(token_source, one_that_had_children_can_be_linked_again)
{
	struct cancel_source pooled = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT,
			     parent = CANCEL_SOURCE_INIT;
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&pooled)), 0);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
	cr_assert_eq(cancel_source_try_reset(&pooled, NULL), 1);
	cr_assert_eq(cancel_link_add(&link, &pooled, cancel_source_token(&parent)), 0);
	cr_assert_eq(cancel_linked_fini(&pooled, &link, 1), 0);
	cr_assert_eq(cancel_source_fini(&parent), 0);
}

Test(token_source, its_deadline_is_stopped_before_it_serves_again)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	cr_assert_eq(cancel_clock_plug(&plugged), 0);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, NULL), 0);
	cr_assert_eq(cancel_source_try_reset(&source, &deadline), 1);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), CANCEL_FOREVER);
	time_ns = 2 * CANCEL_SECOND;
	cr_assert_eq(cancel_clock_advanced(), 0);
	expect_fresh(&source, cancel_cause_requested());
}

Test(token_source, one_that_is_cancelled_stays_so)
{
	struct cancel_source source = CANCEL_SOURCE_INIT_CAUSE(&quota);
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_source_try_reset(&source, NULL), 0);
	cr_assert_eq(cancel_source_try_reset(&source, &deadline), 0);
	expect_cancelled(&source, &quota, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	expect_fresh(&source, cancel_cause_requested());
}

/* --- on the heap -------------------------------------------------------------------------------------- */

/* That the memory is given back is for the leak checker to see. */
Test(token_source, one_on_the_heap_lives_until_its_last_hold_is_dropped)
{
	struct cancel_source *source = cancel_source_new(NULL);

	cr_assert_not_null(source);
	cr_assert_eq(cancel_source_hold(source), source);
	cr_assert_eq(cancel_source_drop(source), 0);
	expect_not_cancelled(source);
	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	expect_cancelled(source, cancel_cause_requested(), source);
	cr_assert_eq(cancel_source_drop(source), 0);
}

Test(token_source, one_on_the_heap_has_a_cause_of_its_own)
{
	struct cancel_source *source = cancel_source_new(&quota);

	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	expect_cancelled(source, &quota, source);
	cr_assert_eq(cancel_source_drop(source), 0);
}

Test(token_source, dropping_none_is_fine)
{
	cr_assert_eq(cancel_source_drop(NULL), 0);
}

Test(token_source, the_last_drop_forgets_what_is_registered)
{
	struct cancel_source *source = cancel_source_new(NULL);
	struct token_callee callee;

	(void)token_callee_add(&callee, cancel_source_token(source), &calls, 1);
	cr_assert_eq(cancel_source_drop(source), 0);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	EXPECT_CALLS("", &calls);
}

static void drop_it(struct token_callee *callee)
{
	callee->result = cancel_source_drop(callee->arg);
}

Test(token_source, one_on_the_heap_can_be_dropped_in_its_own_callback)
{
	struct cancel_source *source = cancel_source_new(NULL);
	struct token_callee callees[12];

	token_callees_add(callees, 12, cancel_source_token(source), &calls);
	callees[10].act = drop_it;
	callees[10].arg = source;
	callees[10].result = 1;
	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	cr_assert_eq(callees[10].result, 0);
	EXPECT_CALLS("11 10", &calls);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(cancel_registration_remove(&callees[i].registration), CANCEL_REMOVED);
}

/* Not the last hold: all the rest is called. */
Test(token_source, a_drop_that_is_not_the_last_ends_nothing)
{
	struct cancel_source *source = cancel_source_hold(cancel_source_new(NULL));
	struct token_callee callees[3];

	token_callees_add(callees, 3, cancel_source_token(source), &calls);
	callees[2].act = drop_it;
	callees[2].arg = source;
	cr_assert_eq(cancel_source_cancel(source, NULL), 1);
	EXPECT_CALLS("2 1 0", &calls);
	cr_assert_eq(cancel_source_drop(source), 0);
}

static int drop_on_thread(void *source)
{
	return cancel_source_drop(source);
}

Test(token_source, the_last_drop_waits_for_a_delivery_on_another_thread)
{
	struct cancel_source *source = cancel_source_new(NULL);
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, owner;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, cancel_source_token(source), &calls, 1, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, source);
	token_gate_await(&gate, 1);
	token_thread_start(&owner, drop_on_thread, source);
	cr_assert(token_thread_falls_asleep(&owner), "the source went in the middle of its delivery");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&owner), 0);
	cr_assert_eq(token_thread_join(&canceller), 1);
}
