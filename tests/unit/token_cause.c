/* Causes: compared by address, handed down through links, and, if they are counted, released once. */
#include "token_calls.h"
#include "token_counted.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

TestSuite(token_cause, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
static const int something = 0;
static const struct cancel_cause late = {CANCEL_KIND_DEADLINE, 1, "the caller's time is up", &something,
					 NULL};

static struct token_calls calls;

/* --- static ones -------------------------------------------------------------------------------------- */

Test(token_cause, those_that_stand_in_say_what_happened)
{
	cr_assert_eq(cancel_cause_requested()->kind, CANCEL_KIND_REQUESTED);
	cr_assert_str_eq(cancel_cause_requested()->text, "cancelled");
	cr_assert_eq(cancel_cause_deadline()->kind, CANCEL_KIND_DEADLINE);
	cr_assert_str_eq(cancel_cause_deadline()->text, "deadline passed");
	cr_assert_eq(cancel_cause_requested(), cancel_cause_requested());
	cr_assert_eq(cancel_cause_deadline(), cancel_cause_deadline());
	cr_assert_neq(cancel_cause_deadline(), cancel_cause_requested());
}

Test(token_cause, the_initialiser_fills_in_kind_and_text)
{
	cr_assert_eq(quota.kind, CANCEL_KIND_USER);
	cr_assert_str_eq(quota.text, "disk quota reached");
	cr_assert_null(quota.detail);
	cr_assert_null(quota.release);
}

/* `quota` cannot be written, so that counting it would end the test. */
Test(token_cause, holding_and_dropping_a_static_one_is_nothing)
{
	cancel_cause_hold(&quota);
	cancel_cause_drop(&quota);
	cancel_cause_drop(&quota);
	cancel_cause_drop(cancel_cause_requested());
	cancel_cause_hold(cancel_cause_deadline());
}

Test(token_cause, its_kind_decides_the_error)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_source_cancel(&source, &late), 1);
	cr_assert_eq(cancel_token_error(cancel_source_token(&source)), -ETIMEDOUT);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&source))->detail, &something);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert_eq(cancel_token_error(cancel_source_token(&source)), -ECANCELED);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_token_error(cancel_source_token(&source)), -ECANCELED);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* --- through links ------------------------------------------------------------------------------------ */

static struct cancel_source sources[CANCEL_LINK_DEPTH_MAX + 1];
static struct cancel_link links[CANCEL_LINK_DEPTH_MAX + 1];

static void link_chain(int levels)
{
	for (int i = 1; i <= levels; i++)
		cr_assert_eq(cancel_link_add(&links[i], &sources[i], cancel_source_token(&sources[i - 1])),
			     0);
}

static void end_chain(int levels)
{
	for (int i = levels; i > 0; i--)
		cr_assert_eq(cancel_linked_fini(&sources[i], &links[i], 1), 0);
	cr_assert_eq(cancel_source_fini(&sources[0]), 0);
}

static void expect_through(int levels)
{
	memset(sources, 0, sizeof(sources));
	link_chain(levels);
	cr_assert_eq(cancel_source_cancel(&sources[0], &quota), 1);
	for (int i = 0; i <= levels; i++) {
		struct cancel_token token = cancel_source_token(&sources[i]);

		cr_assert(cancel_token_requested(token), "level %d of %d", i, levels);
		cr_assert_eq(cancel_token_cause(token), &quota, "level %d of %d", i, levels);
		cr_assert_eq(cancel_token_origin(token), &sources[0], "level %d of %d", i, levels);
		cr_assert_eq(cancel_token_error(token), -ECANCELED);
	}
	end_chain(levels);
}

/* DESIGN.md, invariant 31 */
Test(token_cause, it_and_the_origin_reach_every_level)
{
	expect_through(1);
	expect_through(2);
	expect_through(CANCEL_LINK_DEPTH_MAX);
}

/* In the middle: what is above stays as it was, what is below names the middle. */
Test(token_cause, the_origin_is_the_one_that_was_cancelled_first)
{
	memset(sources, 0, sizeof(sources));
	link_chain(4);
	cr_assert_eq(cancel_source_cancel(&sources[2], &late), 1);
	cr_assert(!cancel_token_requested(cancel_source_token(&sources[1])));
	cr_assert_eq(cancel_token_origin(cancel_source_token(&sources[4])), &sources[2]);
	cr_assert_eq(cancel_source_cancel(&sources[0], &quota), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&sources[1])), &quota);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&sources[1])), &sources[0]);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&sources[2])), &late);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&sources[4])), &late);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&sources[4])), &sources[2]);
	end_chain(4);
}

/* The name of a parent is the one that its children get, not their own. */
Test(token_cause, children_get_their_parents_own_cause)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT_CAUSE(&late),
			     child = CANCEL_SOURCE_INIT_CAUSE(&quota);
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&parent)), 0);
	cr_assert_eq(cancel_source_cancel(&parent, NULL), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &late);
	cr_assert_eq(cancel_token_error(cancel_source_token(&child)), -ETIMEDOUT);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
	cr_assert_eq(cancel_source_fini(&parent), 0);
}

/* --- counted ones ------------------------------------------------------------------------------------- */

Test(token_cause, a_counted_one_is_released_by_its_makers_drop_if_nobody_else_holds_it)
{
	struct token_counted counted;

	token_counted_make(&counted);
	cancel_cause_hold(&counted.cause);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_source_holds_a_counted_one_until_its_end)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_source_cancel(&source, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&source)), &counted.cause);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_cancel_that_lost_holds_nothing)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert_eq(cancel_source_cancel(&source, &counted.cause), 0);
	cr_assert_eq(cancel_source_cancel_deferred(&source, &counted.cause), 0);
	cr_assert_eq(cancel_source_cancel_from_signal(&source, &counted.cause), 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_sources_own_counted_one_is_held_only_once_it_is_cancelled)
{
	struct cancel_source source;
	struct token_counted counted;

	token_counted_make(&counted);
	cancel_source_init(&source, &counted.cause);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 0, "nobody cancelled it");
	cancel_source_init(&source, &counted.cause);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, every_source_that_it_reached_holds_a_counted_one)
{
	enum { LEVELS = 5 };
	struct token_counted counted;

	token_counted_make(&counted);
	memset(sources, 0, sizeof(sources));
	link_chain(LEVELS);
	cr_assert_eq(cancel_source_cancel(&sources[0], &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	for (int i = LEVELS; i > 0; i--) {
		cr_assert_eq(cancel_linked_fini(&sources[i], &links[i], 1), 0);
		cr_assert_eq(counted.released, 0, "%d sources still have it", i);
	}
	cr_assert_eq(cancel_source_fini(&sources[0]), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_child_that_outlives_the_root_keeps_a_counted_one)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT;
	struct cancel_link link;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&parent)), 0);
	cr_assert_eq(cancel_source_cancel(&parent, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	(void)cancel_link_remove(&link);
	cr_assert_eq(cancel_source_fini(&parent), 0);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &counted.cause);
	cr_assert_eq(cancel_source_fini(&child), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_child_that_comes_late_holds_a_counted_one)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT;
	struct cancel_link link;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_source_cancel(&parent, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&parent)), 1);
	(void)cancel_link_remove(&link);
	cr_assert_eq(cancel_source_fini(&parent), 0);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_source_fini(&child), 0);
	cr_assert_eq(counted.released, 1);
}

/* Deferred, and from a handler, where the children follow on another thread. */
static void expect_held_by_both(int (*cancel)(struct cancel_source *source, const struct cancel_cause *cause))
{
	struct cancel_source parent = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT;
	struct cancel_link link;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&parent)), 0);
	cr_assert_eq(cancel(&parent, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_source_quiesce(&parent, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &counted.cause);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&child)), &parent);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_source_fini(&parent), 0);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_counted_one_is_held_however_it_was_cancelled)
{
	expect_held_by_both(cancel_source_cancel);
	expect_held_by_both(cancel_source_cancel_deferred);
	expect_held_by_both(cancel_source_cancel_from_signal);
}

static void end_source(struct token_callee *callee)
{
	callee->result = cancel_source_fini(callee->arg);
}

Test(token_cause, a_counted_one_goes_with_a_source_that_ends_in_its_own_callback)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct token_callee callees[2];
	struct token_counted counted;

	token_counted_make(&counted);
	token_callees_add(callees, 2, cancel_source_token(&source), &calls);
	callees[1].act = end_source;
	callees[1].arg = &source;
	callees[1].result = 1;
	cr_assert_eq(cancel_source_cancel(&source, &counted.cause), 1);
	cr_assert_eq(callees[1].result, 0);
	cr_assert_eq(counted.released, 0, "its maker has it");
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, one_that_is_held_is_valid_without_its_source)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	const struct cancel_cause *cause;
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_source_cancel(&source, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	cause = cancel_token_cause(cancel_source_token(&source));
	cancel_cause_hold(cause);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 0);
	cr_assert_str_eq(cause->text, "counted");
	cancel_cause_drop(cause);
	cr_assert_eq(counted.released, 1);
}

Test(token_cause, a_counted_one_goes_with_a_source_on_the_heap)
{
	struct cancel_source *source = cancel_source_new(NULL);
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_source_cancel(source, &counted.cause), 1);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_source_drop(source), 0);
	cr_assert_eq(counted.released, 1);
}
