/* Registrations: each is called or removed and never both, whoever removes it, from wherever. */
#include "fence.h"
#include "token_absent.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
	WIDEST = 17,
};

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

/* Counts around which what is called in one go might end. */
static const int counts[] = {1, 2, 7, 8, 9, 17};

static struct token_calls calls;
static struct cancel_source source;

static void set_up(void)
{
	memset(&source, 0, sizeof(source));
}

TestSuite(token_registration, .init = set_up, .timeout = 60);

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

static void begin_anew(void)
{
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	atomic_store(&calls.count, 0);
}

/* --- adding ------------------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 25 */
Test(token_registration, the_latest_is_called_first)
{
	struct token_callee callees[20];

	token_callees_add(callees, 20, token_of_source(), &calls);
	EXPECT_CALLS("", &calls);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0", &calls);
	for (int i = 0; i < 20; i++)
		cr_assert(pthread_equal(calls.threads[i], pthread_self()), "by the thread that cancels");
}

Test(token_registration, the_callback_gets_its_argument_and_the_token)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert_eq(callee.token.source, &source);
}

static void note_state(struct token_callee *callee)
{
	callee->result = cancel_token_requested(callee->token) && cancel_token_cause(callee->token) == &quota;
}

Test(token_registration, the_callback_can_ask_for_the_cause)
{
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, note_state, NULL);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert(callee.result);
}

Test(token_registration, its_memory_may_have_held_anything)
{
	struct token_callee callee;

	memset(&callee, 0xff, sizeof(callee));
	cr_assert_eq(token_callee_add(&callee, token_of_source(), &calls, 1), 0);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	memset(&callee, 0xff, sizeof(callee));
	cr_assert_eq(token_callee_add(&callee, token_of_source(), &calls, 1), 0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("1", &calls);
}

Test(token_registration, one_that_comes_too_late_is_called_here)
{
	struct token_callee callee;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	memset(&callee, 0xff, sizeof(callee));
	cr_assert_eq(token_callee_add(&callee, token_of_source(), &calls, 1), 1);
	EXPECT_CALLS("1", &calls);
	cr_assert(pthread_equal(calls.threads[0], pthread_self()));
	cr_assert_eq(callee.token.source, &source);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_FINISHED);
	cr_assert_eq(cancel_registration_remove_nowait(&callee.registration), 0);
	EXPECT_CALLS("1", &calls);
}

Test(token_registration, try_add_registers)
{
	struct token_callee callee = {.calls = &calls, .number = 1};

	cr_assert_eq(cancel_registration_try_add(&callee.registration, token_of_source(),
						 token_callee_callback, &callee),
		     0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("1", &calls);
}

/* DESIGN.md, invariant 26 */
Test(token_registration, try_add_that_comes_too_late_only_says_so)
{
	struct token_callee callee = {.calls = &calls, .number = 1};

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_registration_try_add(&callee.registration, token_of_source(),
						 token_callee_callback, &callee),
		     1);
	EXPECT_CALLS("", &calls);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
}

Test(token_registration, on_the_zero_token_it_is_never_called)
{
	struct cancel_token none = CANCEL_TOKEN_NONE;
	struct token_callee callee;

	memset(&callee, 0xff, sizeof(callee));
	cr_assert_eq(token_callee_add(&callee, none, &calls, 1), 0);
	cr_assert(!cancel_token_possible(cancel_registration_token(&callee.registration)));
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	memset(&callee.registration, 0xff, sizeof(callee.registration));
	cr_assert_eq(cancel_registration_try_add(&callee.registration, none, token_callee_callback, &callee),
		     0);
	cr_assert_eq(cancel_registration_remove_nowait(&callee.registration), 1);
	EXPECT_CALLS("", &calls);
}

Test(token_registration, it_knows_its_token)
{
	struct token_callee callee;

	memset(&callee, 0, sizeof(callee));
	cr_assert_null(cancel_registration_token(&callee.registration).source);
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_registration_token(&callee.registration).source, &source);
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	cr_assert_null(cancel_registration_token(&callee.registration).source);
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_registration_remove_nowait(&callee.registration), 1);
	cr_assert_null(cancel_registration_token(&callee.registration).source);
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_null(cancel_registration_token(&callee.registration).source, "it was forgotten");
	cancel_source_init(&source, NULL);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_null(cancel_registration_token(&callee.registration).source, "it was added too late");
	cr_assert_eq(cancel_registration_try_add(&callee.registration, token_of_source(),
						 token_callee_callback, &callee),
		     1);
	cr_assert_null(cancel_registration_token(&callee.registration).source);
}

/* --- removing, where nothing is delivered ------------------------------------------------------------- */

Test(token_registration, what_is_removed_is_never_called)
{
	for (int removed = 0; removed < 5; removed++) {
		struct token_callee callees[5];

		token_callees_add(callees, 5, token_of_source(), &calls);
		cr_assert_eq(cancel_registration_remove(&callees[removed].registration), CANCEL_REMOVED);
		cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
		for (int i = 0; i < 5; i++)
			cr_assert_eq(token_calls_of(&calls, i), i != removed);
		cr_assert_eq(cancel_registration_remove(&callees[removed].registration), CANCEL_REMOVED);
		begin_anew();
	}
}

Test(token_registration, what_was_never_added_counts_as_removed)
{
	struct cancel_registration registration;

	memset(&registration, 0, sizeof(registration));
	cr_assert_eq(cancel_registration_remove(&registration), CANCEL_REMOVED);
	cr_assert_eq(cancel_registration_remove_nowait(&registration), 1);
}

Test(token_registration, what_was_called_is_finished)
{
	struct token_callee callees[10];

	token_callees_add(callees, 10, token_of_source(), &calls);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(cancel_registration_remove_nowait(&callees[i].registration), 0);
		cr_assert_eq(cancel_registration_remove(&callees[i].registration), CANCEL_FINISHED);
	}
	cr_assert_eq(atomic_load(&calls.count), 10);
}

Test(token_registration, a_node_can_be_used_again_and_again)
{
	struct token_callee callee;

	for (int i = 0; i < 3; i++) {
		(void)token_callee_add(&callee, token_of_source(), &calls, 1);
		cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
	}
	(void)token_callee_add(&callee, token_of_source(), &calls, 2);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	begin_anew();
	(void)token_callee_add(&callee, token_of_source(), &calls, 3);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("3", &calls);
}

/* --- from within a callback --------------------------------------------------------------------------- */

static void remove_it(struct token_callee *callee)
{
	callee->result = cancel_registration_remove(callee->arg);
}

static void remove_it_nowait(struct token_callee *callee)
{
	callee->result = cancel_registration_remove_nowait(callee->arg);
}

/* Of `count` callbacks `remover` takes `removed` back. They are called from the highest number down. */
static void expect_removal_inside(int count, int remover, int removed,
				  void (*act)(struct token_callee *callee))
{
	struct token_callee callees[WIDEST];
	bool is_to_come = removed < remover;
	int expected;

	begin_anew();
	token_callees_add(callees, count, token_of_source(), &calls);
	callees[remover].act = act;
	callees[remover].arg = &callees[removed].registration;
	callees[remover].result = -1;
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	expected = is_to_come ? CANCEL_REMOVED : removed == remover ? CANCEL_INSIDE : CANCEL_FINISHED;
	if (act == remove_it_nowait)
		expected = is_to_come;
	cr_assert_eq(callees[remover].result, expected, "of %d, %d removed %d: %d", count, remover, removed,
		     callees[remover].result);
	for (int i = 0; i < count; i++)
		cr_assert_eq(token_calls_of(&calls, i), !(is_to_come && i == removed),
			     "of %d, %d removed %d: called %s", count, remover, removed,
			     token_calls_text(&calls));
}

static void expect_all_removals_inside(void)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (int remover = 0; remover < counts[i]; remover++)
			for (int removed = 0; removed < counts[i]; removed++) {
				expect_removal_inside(counts[i], remover, removed, remove_it);
				expect_removal_inside(counts[i], remover, removed, remove_it_nowait);
			}
}

Test(token_registration, a_callback_can_remove_any_of_its_kin)
{
	expect_all_removals_inside();
}

Test(token_registration, a_callback_can_remove_any_of_its_kin_without_a_fence_too)
{
	fence_give_up();
	expect_all_removals_inside();
}

struct party {
	struct token_callee *callees;
	int count;
};

static void remove_all_others(struct token_callee *callee)
{
	struct party *party = callee->arg;

	for (int i = 0; i < party->count; i++)
		if (&party->callees[i] != callee && i < callee->number)
			callee->result += cancel_registration_remove(&party->callees[i].registration);
}

Test(token_registration, a_callback_can_remove_all_that_come_after_it)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (int remover = 0; remover < counts[i]; remover++) {
			struct token_callee callees[WIDEST];
			struct party party = {callees, counts[i]};

			begin_anew();
			token_callees_add(callees, counts[i], token_of_source(), &calls);
			callees[remover].act = remove_all_others;
			callees[remover].arg = &party;
			cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
			cr_assert_eq(callees[remover].result, remover * CANCEL_REMOVED);
			cr_assert_eq(atomic_load(&calls.count), counts[i] - remover);
		}
}

static void free_itself(struct token_callee *callee)
{
	free(callee);
}

Test(token_registration, a_callback_can_free_its_own_node)
{
	for (int i = 0; i < WIDEST; i++)
		(void)token_callee_add_act(malloc(sizeof(struct token_callee)), token_of_source(), &calls, i,
					   free_itself, NULL);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(atomic_load(&calls.count), WIDEST);
	cr_assert_eq(token_callee_add_act(malloc(sizeof(struct token_callee)), token_of_source(), &calls,
					  WIDEST, free_itself, NULL),
		     1);
}

static void mark_node(struct token_callee *callee)
{
	memset(&callee->registration, 0xa5, sizeof(callee->registration));
}

/* DESIGN.md, invariant 29 */
Test(token_registration, a_node_is_not_touched_from_the_moment_its_callback_begins)
{
	unsigned char mark[sizeof(struct cancel_registration)];
	struct token_callee callees[WIDEST + 1];

	memset(mark, 0xa5, sizeof(mark));
	token_callees_add(callees, WIDEST, token_of_source(), &calls);
	for (int i = 0; i < WIDEST; i++)
		callees[i].act = mark_node;
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	(void)token_callee_add_act(&callees[WIDEST], token_of_source(), &calls, WIDEST, mark_node, NULL);
	for (int i = 0; i <= WIDEST; i++)
		cr_assert_arr_eq(&callees[i].registration, mark, sizeof(mark), "node %d", i);
}

/* Those that come after it in the list are freed as well, once they are removed. */
static void remove_and_free(struct token_callee *callee)
{
	struct token_callee *next = callee->arg;

	callee->result = cancel_registration_remove(&next->registration);
	free(next);
}

Test(token_registration, a_callback_can_remove_and_free_a_sibling)
{
	struct token_callee callees[WIDEST], *freed;

	for (int remover = 0; remover < WIDEST; remover++) {
		begin_anew();
		freed = malloc(sizeof(*freed));
		(void)token_callee_add(freed, token_of_source(), &calls, WIDEST);
		token_callees_add(callees, WIDEST, token_of_source(), &calls);
		callees[remover].act = remove_and_free;
		callees[remover].arg = freed;
		cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
		cr_assert_eq(callees[remover].result, CANCEL_REMOVED);
		cr_assert_eq(atomic_load(&calls.count), WIDEST);
	}
}

static struct cancel_source another;

static void register_elsewhere(struct token_callee *callee)
{
	callee->result =
		token_callee_add(callee, cancel_source_token(&another), &calls, callee->number + 100);
}

Test(token_registration, a_callback_can_register_its_own_node_on_another_source)
{
	struct token_callee callees[10];

	token_callees_add(callees, 10, token_of_source(), &calls);
	for (int i = 0; i < 10; i++)
		callees[i].act = register_elsewhere;
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("9 8 7 6 5 4 3 2 1 0", &calls);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(cancel_registration_remove(&callees[4].registration), CANCEL_REMOVED);
	cr_assert_eq(cancel_source_cancel(&another, NULL), 1);
	EXPECT_CALLS("9 8 7 6 5 4 3 2 1 0 100 101 102 103 105 106 107 108 109", &calls);
}

static void register_here(struct token_callee *callee)
{
	struct token_callee late;

	callee->result = token_callee_add(&late, callee->token, &calls, callee->number + 100);
	callee->result += cancel_registration_remove(&late.registration);
}

Test(token_registration, what_a_callback_registers_on_the_same_source_is_called_there)
{
	struct token_callee callees[3];

	token_callees_add(callees, 3, token_of_source(), &calls);
	for (int i = 0; i < 3; i++)
		callees[i].act = register_here;
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("2 102 1 101 0 100", &calls);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(callees[i].result, 1 + CANCEL_FINISHED);
}

static void remove_late(struct token_callee *callee)
{
	callee->result = cancel_registration_remove(&callee->registration);
}

/* It cannot know how long it runs: from the moment that its callback begins the node is not touched. */
Test(token_registration, one_that_came_too_late_is_finished_to_itself_too)
{
	struct token_callee callee;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_callee_add_act(&callee, token_of_source(), &calls, 1, remove_late, NULL), 1);
	cr_assert_eq(callee.result, CANCEL_FINISHED);
}

static void cancel_again(struct token_callee *callee)
{
	callee->result = cancel_source_cancel(callee->arg, &quota);
}

Test(token_registration, a_callback_can_cancel_again_and_nothing_comes_of_it)
{
	struct token_callee callees[2];

	token_callees_add(callees, 2, token_of_source(), &calls);
	callees[1].act = cancel_again;
	callees[1].arg = &source;
	callees[1].result = -1;
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(callees[1].result, 0);
	EXPECT_CALLS("1 0", &calls);
	cr_assert_eq(cancel_token_cause(token_of_source()), cancel_cause_requested());
}

/* The callback of a source that a callback cancels belongs to both. */
static void expect_nested_removal(int removed, int expected)
{
	struct token_callee callees[WIDEST], inner;

	begin_anew();
	memset(&another, 0, sizeof(another));
	token_callees_add(callees, WIDEST, token_of_source(), &calls);
	callees[10].act = cancel_again;
	callees[10].arg = &another;
	(void)token_callee_add_act(&inner, cancel_source_token(&another), &calls, 100, remove_it,
				   &callees[removed].registration);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(callees[10].result, 1);
	cr_assert_eq(inner.result, expected, "%d was removed: %d", removed, inner.result);
	cr_assert_eq(token_calls_of(&calls, removed), expected != CANCEL_REMOVED);
	cr_assert_eq(token_calls_of(&calls, 100), 1);
	cr_assert_eq(cancel_source_fini(&another), 0);
}

Test(token_registration, another_sources_callback_that_a_callback_called_can_remove)
{
	for (int i = 0; i < WIDEST; i++)
		expect_nested_removal(i, i < 10 ? CANCEL_REMOVED : i == 10 ? CANCEL_INSIDE : CANCEL_FINISHED);
}

static void quiesce_both(struct token_callee *callee)
{
	callee->result = cancel_source_quiesce(&source, CANCEL_FOREVER) == -EDEADLK &&
			 cancel_source_quiesce(&another, CANCEL_FOREVER) == -EDEADLK;
}

static void end_outer(struct token_callee *callee)
{
	callee->result = cancel_source_fini(callee->arg);
	memset(callee->arg, 0xff, sizeof(source));
}

Test(token_registration, a_nested_callback_is_inside_both_sources)
{
	struct token_callee outer, sibling, inner;

	(void)token_callee_add(&sibling, token_of_source(), &calls, 1);
	(void)token_callee_add_act(&outer, token_of_source(), &calls, 2, cancel_again, &another);
	(void)token_callee_add_act(&inner, cancel_source_token(&another), &calls, 3, quiesce_both, NULL);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert(inner.result);
	EXPECT_CALLS("2 3 1", &calls);
}

Test(token_registration, a_nested_callback_can_end_the_outer_source)
{
	struct token_callee outer, sibling, inner;

	(void)token_callee_add(&sibling, token_of_source(), &calls, 1);
	(void)token_callee_add_act(&outer, token_of_source(), &calls, 2, cancel_again, &another);
	(void)token_callee_add_act(&inner, cancel_source_token(&another), &calls, 3, end_outer, &source);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(inner.result, 0);
	EXPECT_CALLS("2 3", &calls);
	cr_assert_eq(cancel_registration_remove(&sibling.registration), CANCEL_REMOVED);
}

/* --- from another thread ------------------------------------------------------------------------------ */

static int cancel_it(void *arg)
{
	return cancel_source_cancel(arg, NULL);
}

static int remove_on_thread(void *registration)
{
	return cancel_registration_remove(registration);
}

static void stop_at_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
	callee->result = 4711;
}

/* Of `count` callbacks, one is stopped while this thread removes all others. Nothing waits for it. */
static void expect_removal_beside(int count, int stopped, bool is_nowait)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_callee callees[WIDEST];
	struct token_thread canceller;

	begin_anew();
	token_callees_add(callees, count, token_of_source(), &calls);
	callees[stopped].act = stop_at_gate;
	callees[stopped].arg = &gate;
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	for (int i = 0; i < count; i++) {
		bool is_to_come = i < stopped;
		int result;

		if (is_nowait) {
			result = cancel_registration_remove_nowait(&callees[i].registration);
			cr_assert_eq(result, is_to_come, "of %d, %d runs, %d: %d", count, stopped, i, result);
		} else if (i != stopped) {
			result = cancel_registration_remove(&callees[i].registration);
			cr_assert_eq(result, is_to_come ? CANCEL_REMOVED : CANCEL_FINISHED,
				     "of %d, %d runs, %d: %d", count, stopped, i, result);
		}
	}
	cr_assert(!token_thread_has_ended(&canceller), "a callback is still there");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(atomic_load(&calls.count), count - stopped, "called: %s", token_calls_text(&calls));
}

static void expect_all_removals_beside(void)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (int stopped = 0; stopped < counts[i]; stopped++) {
			expect_removal_beside(counts[i], stopped, false);
			expect_removal_beside(counts[i], stopped, true);
		}
}

/* DESIGN.md, invariant 27 */
Test(token_registration, another_thread_removes_those_that_do_not_run_at_once)
{
	expect_all_removals_beside();
}

/* On a kernel without membarrier(2). */
Test(token_registration, another_thread_removes_them_without_a_fence_too)
{
	fence_give_up();
	expect_all_removals_beside();
}

/* One of them only, so that taking one back does not prepare the way for the next. */
Test(token_registration, another_thread_removes_any_one_at_once)
{
	for (int removed = 0; removed < WIDEST; removed++) {
		struct token_gate gate = TOKEN_GATE_INIT;
		struct token_callee callees[WIDEST];
		struct token_thread canceller;
		bool is_to_come = removed < 12;

		if (removed == 12)
			continue;
		begin_anew();
		token_callees_add(callees, WIDEST, token_of_source(), &calls);
		callees[12].act = stop_at_gate;
		callees[12].arg = &gate;
		token_thread_start(&canceller, cancel_it, &source);
		token_gate_await(&gate, 1);
		cr_assert_eq(cancel_registration_remove(&callees[removed].registration),
			     is_to_come ? CANCEL_REMOVED : CANCEL_FINISHED);
		memset(&callees[removed].registration, 0xff, sizeof(callees[removed].registration));
		token_gate_open(&gate);
		cr_assert_eq(token_thread_join(&canceller), 1);
		for (int i = 0; i < WIDEST; i++)
			cr_assert_eq(token_calls_of(&calls, i), !(is_to_come && i == removed));
	}
}

Test(token_registration, another_thread_waits_for_the_callback_that_runs)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int running = counts[i] / 2;
		struct token_gate gate = TOKEN_GATE_INIT;
		struct token_thread canceller, remover;
		struct token_callee callees[WIDEST];

		begin_anew();
		token_callees_add(callees, counts[i], token_of_source(), &calls);
		callees[running].act = stop_at_gate;
		callees[running].arg = &gate;
		token_thread_start(&canceller, cancel_it, &source);
		token_gate_await(&gate, 1);
		token_thread_start(&remover, remove_on_thread, &callees[running].registration);
		cr_assert(token_thread_falls_asleep(&remover), "it returned while the callback was running");
		cr_assert_eq(callees[running].result, 0);
		token_gate_open(&gate);
		cr_assert_eq(token_thread_join(&remover), CANCEL_FINISHED);
		cr_assert_eq(callees[running].result, 4711, "what the callback did is not visible");
		cr_assert_eq(token_thread_join(&canceller), 1);
		cr_assert_eq(atomic_load(&calls.count), counts[i]);
	}
}

/* A program that shuts itself in, so that the fence fails when it is needed first: who removes may have to
 * wait, but it is still called or removed, and never both. */
Test(token_registration, a_fence_that_is_taken_away_later_makes_nothing_wrong)
{
	for (int removed = 0; removed < 8; removed++) {
		struct token_gate gate = TOKEN_GATE_INIT;
		struct token_thread canceller, remover;
		struct token_callee callees[8];
		int result;

		if (removed == 5)
			continue;
		begin_anew();
		token_callees_add(callees, 8, token_of_source(), &calls);
		callees[5].act = stop_at_gate;
		callees[5].arg = &gate;
		token_thread_start(&canceller, cancel_it, &source);
		token_gate_await(&gate, 1);
		if (removed == 0)
			token_absent_call(SYS_membarrier);
		token_thread_start(&remover, remove_on_thread, &callees[removed].registration);
		(void)token_thread_falls_asleep(&remover);
		token_gate_open(&gate);
		result = token_thread_join(&remover);
		cr_assert_eq(token_thread_join(&canceller), 1);
		cr_assert(result == CANCEL_REMOVED || result == CANCEL_FINISHED, "%d", result);
		for (int i = 0; i < 8; i++)
			cr_assert_eq(token_calls_of(&calls, i), !(result == CANCEL_REMOVED && i == removed));
	}
}

/* It waits for its own callback and not for those after it. */
Test(token_registration, another_thread_waits_no_longer_than_for_that_callback)
{
	struct token_gate first = TOKEN_GATE_INIT, second = TOKEN_GATE_INIT;
	struct token_thread canceller, remover;
	struct token_callee callees[3];

	token_callees_add(callees, 3, token_of_source(), &calls);
	callees[2].act = callees[1].act = stop_at_gate;
	callees[2].arg = &first;
	callees[1].arg = &second;
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&first, 1);
	token_thread_start(&remover, remove_on_thread, &callees[2].registration);
	cr_assert(token_thread_falls_asleep(&remover));
	token_gate_open(&first);
	token_gate_await(&second, 1);
	cr_assert_eq(token_thread_join(&remover), CANCEL_FINISHED);
	cr_assert(!token_thread_has_ended(&canceller));
	cr_assert_eq(cancel_registration_remove(&callees[2].registration), CANCEL_FINISHED);
	token_gate_open(&second);
	cr_assert_eq(token_thread_join(&canceller), 1);
	EXPECT_CALLS("2 1 0", &calls);
}

static int add_late(void *callee)
{
	return token_callee_add_act(callee, token_of_source(), &calls, 100, stop_at_gate,
				    ((struct token_callee *)callee)->arg);
}

/* The callback of a registration that came too late runs on the thread that registers. It belongs to no
 * delivery, so that thread alone can remove it; others do not hold it up. */
Test(token_registration, one_that_comes_during_the_delivery_is_called_at_once)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_callee callees[2], late;
	struct token_thread canceller;

	token_callees_add(callees, 2, token_of_source(), &calls);
	callees[1].act = stop_at_gate;
	callees[1].arg = &gate;
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	cr_assert_eq(token_callee_add(&late, token_of_source(), &calls, 100), 1);
	cr_assert_eq(cancel_registration_remove(&late.registration), CANCEL_FINISHED);
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	EXPECT_CALLS("1 100 0", &calls);
}

/* A callback that was called while being added and still runs on another thread does not stop the source's
 * own cancellation from being over. */
Test(token_registration, one_that_came_too_late_on_another_thread_runs_beside)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread adder;
	struct token_callee callee = {.arg = &gate};

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	token_thread_start(&adder, add_late, &callee);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 0);
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&adder), 1);
	EXPECT_CALLS("100", &calls);
}

/* --- callbacks that wait for each other --------------------------------------------------------------- */

enum {
	CROSSERS = 3,
};

/* Each has a source whose callback, once all callbacks have begun, does something that waits for the next
 * one's. */
struct crosser {
	struct cancel_cause cause; /* counted, so that the end of the source can be seen */
	int released;
	struct cancel_source *source;
	struct cancel_source memory;
	struct token_callee callee;
	struct token_thread thread;
	struct crosser *next;
};

struct crossing {
	int (*wait)(struct crosser *next);
	bool is_ending; /* the next one's source */
	bool is_on_heap;
};

static struct token_gate all_began;
static const struct crossing *crossing;

static void wait_for_next(struct token_callee *callee)
{
	token_gate_pass(&all_began);
	callee->result = crossing->wait(callee->arg);
}

static int wait_remove(struct crosser *next)
{
	return cancel_registration_remove(&next->callee.registration);
}

static int wait_fini(struct crosser *next)
{
	return cancel_source_fini(next->source);
}

static int wait_quiesce(struct crosser *next)
{
	return cancel_source_quiesce(next->source, CANCEL_FOREVER);
}

static int wait_drop(struct crosser *next)
{
	return cancel_source_drop(next->source);
}

static const struct crossing removing = {wait_remove, false, false}, ending = {wait_fini, true, false},
			     quiescing = {wait_quiesce, false, false}, dropping = {wait_drop, true, true};

static void release_crosser(struct cancel_cause *cause)
{
	((struct crosser *)cause)->released++;
}

static void start_crossing(struct crosser *crossers, int count)
{
	all_began = (struct token_gate)TOKEN_GATE_INIT;
	for (int i = 0; i < count; i++) {
		struct crosser *next = &crossers[(i + 1) % count];

		crossers[i].cause = (struct cancel_cause)CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "crossed");
		crossers[i].cause.release = release_crosser;
		crossers[i].released = 0;
		cancel_source_init(&crossers[i].memory, &crossers[i].cause);
		crossers[i].source =
			crossing->is_on_heap ? cancel_source_new(&crossers[i].cause) : &crossers[i].memory;
		crossers[i].next = next;
		(void)token_callee_add_act(&crossers[i].callee, cancel_source_token(crossers[i].source),
					   &calls, i, wait_for_next, next);
	}
	for (int i = 0; i < count; i++)
		token_thread_start(&crossers[i].thread, cancel_it, crossers[i].source);
	token_gate_await(&all_began, count);
	token_gate_open(&all_began);
}

static void end_crosser(struct crosser *crosser)
{
	cr_assert_eq(crossing->is_on_heap ? cancel_source_drop(crosser->source)
					  : cancel_source_fini(crosser->source),
		     0);
}

static void cross(const struct crossing *how, int count)
{
	struct crosser crossers[CROSSERS];
	int refused = 0;

	crossing = how;
	start_crossing(crossers, count);
	for (int i = 0; i < count; i++)
		cr_assert_eq(token_thread_join(&crossers[i].thread), 1);
	for (int i = 0; i < count; i++) {
		int result = crossers[i].callee.result;

		cr_assert(result == 0 || result == -EDEADLK, "%d", result);
		refused += result == -EDEADLK;
		if (!how->is_ending || result == -EDEADLK)
			end_crosser(crossers[i].next);
	}
	for (int i = 0; i < count; i++) {
		cancel_cause_drop(&crossers[i].cause);
		cr_assert_eq(crossers[i].released, 1, "the source was not ended, or twice");
	}
	cr_assert_geq(refused, 1, "somebody must have been told");
	cr_assert_lt(refused, count, "who waits for nobody who waits must not be told");
}

/* DESIGN.md, invariant 28 */
Test(token_registration, callbacks_that_remove_each_other_are_told)
{
	for (int round = 0; round < 20; round++)
		cross(&removing, 2);
	cross(&removing, 3);
}

Test(token_registration, callbacks_that_end_each_others_sources_are_told)
{
	cross(&ending, 2);
	cross(&ending, 3);
	cross(&dropping, 2);
	cross(&dropping, 3);
}

Test(token_registration, callbacks_that_wait_for_each_others_sources_are_told)
{
	cross(&quiescing, 2);
	cross(&quiescing, 3);
}

static int quiesce_it(void *arg)
{
	return cancel_source_quiesce(arg, CANCEL_FOREVER);
}

/* A thread that waits without running a callback is in nobody's way. */
Test(token_registration, one_that_waits_outside_of_callbacks_is_not_told)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, remover, waiters[2];
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&gate, 1);
	token_thread_start(&remover, remove_on_thread, &callee.registration);
	for (int i = 0; i < 2; i++)
		token_thread_start(&waiters[i], quiesce_it, &source);
	cr_assert(token_thread_falls_asleep(&remover));
	for (int i = 0; i < 2; i++)
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&remover), CANCEL_FINISHED);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 0);
	cr_assert_eq(token_thread_join(&canceller), 1);
}

/* A callback of the dispatcher's waits for one of this thread's, which ends a source that only the dispatcher
 * will deliver. */
static struct cancel_source deferred, deferred_later;

static void end_what_is_deferred(struct token_callee *callee)
{
	token_gate_pass(&all_began);
	callee->result = cancel_source_fini(&deferred_later);
}

static void remove_after_all_began(struct token_callee *callee)
{
	token_gate_pass(&all_began);
	callee->result = cancel_registration_remove(callee->arg);
}

Test(token_registration, a_callback_that_waits_for_the_dispatcher_that_waits_for_it_is_told)
{
	struct token_callee here, there;
	struct token_thread canceller;

	all_began = (struct token_gate)TOKEN_GATE_INIT;
	(void)token_callee_add_act(&here, token_of_source(), &calls, 1, end_what_is_deferred, NULL);
	(void)token_callee_add_act(&there, cancel_source_token(&deferred), &calls, 2, remove_after_all_began,
				   &here.registration);
	cr_assert_eq(cancel_source_cancel_deferred(&deferred, NULL), 1);
	token_gate_await(&all_began, 1);
	cr_assert_eq(cancel_source_cancel_deferred(&deferred_later, NULL), 1);
	token_thread_start(&canceller, cancel_it, &source);
	token_gate_await(&all_began, 2);
	token_gate_open(&all_began);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(cancel_source_fini(&deferred), 0);
	cr_assert_eq((here.result == -EDEADLK) + (there.result == -EDEADLK), 1, "%d, %d", here.result,
		     there.result);
	if (here.result < 0)
		cr_assert_eq(cancel_source_fini(&deferred_later), 0);
}

/* Two callbacks on two threads, of which one only waits for the other: no circle, and nobody is told. */
Test(token_registration, a_callback_can_wait_for_another_threads_callback)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread first, second;
	struct token_callee running, waiting;

	(void)token_callee_add_act(&running, token_of_source(), &calls, 1, stop_at_gate, &gate);
	(void)token_callee_add_act(&waiting, cancel_source_token(&another), &calls, 2, remove_it,
				   &running.registration);
	token_thread_start(&first, cancel_it, &source);
	token_gate_await(&gate, 1);
	token_thread_start(&second, cancel_it, &another);
	cr_assert(token_thread_falls_asleep(&second));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&second), 1);
	cr_assert_eq(token_thread_join(&first), 1);
	cr_assert_eq(waiting.result, CANCEL_FINISHED);
}
