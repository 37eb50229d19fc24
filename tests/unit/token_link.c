/* Links: a child follows its parents, all are marked before anybody is told, and everybody is told once. */
#include "latch.h"
#include "process.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH = CANCEL_LINK_DEPTH_MAX,
	WIDTH = 1000,
};

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
static const struct cancel_cause other = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the program ends");

static struct token_calls calls;

/* A source with one parent and one callback: enough for most trees here. */
struct node {
	struct cancel_source source;
	struct cancel_link link;
	struct token_callee callee;
};

static struct node nodes[WIDTH + 1];

static void set_up(void)
{
	memset(nodes, 0, sizeof(nodes));
}

TestSuite(token_link, .init = set_up, .timeout = 60);

static struct cancel_token token_of(int number)
{
	return cancel_source_token(&nodes[number].source);
}

static int link_to(int child, int parent)
{
	return cancel_link_add(&nodes[child].link, &nodes[child].source, token_of(parent));
}

static bool is_cancelled(int number)
{
	return cancel_token_requested(token_of(number));
}

/* nodes[0] above nodes[1] above nodes[2] and so on. */
static void link_chain(int levels)
{
	for (int i = 1; i <= levels; i++)
		cr_assert_eq(link_to(i, i - 1), 0, "level %d", i);
}

/* --- following ---------------------------------------------------------------------------------------- */

Test(token_link, a_child_is_cancelled_with_its_parent)
{
	cr_assert_eq(link_to(1, 0), 0);
	cr_assert(!is_cancelled(1));
	cr_assert(!cancel_link_fired(&nodes[1].link));
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	cr_assert(is_cancelled(1));
	cr_assert_eq(cancel_token_cause(token_of(1)), &quota);
	cr_assert_eq(cancel_token_origin(token_of(1)), &nodes[0].source);
	cr_assert(cancel_link_fired(&nodes[1].link));
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, NULL), 0);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_FINISHED);
	cr_assert(cancel_link_fired(&nodes[1].link), "unlinking does not change who it was");
	cr_assert_eq(cancel_source_fini(&nodes[1].source), 0);
}

Test(token_link, a_child_never_cancels_its_parent)
{
	cr_assert_eq(link_to(1, 0), 0);
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, &quota), 1);
	cr_assert(!is_cancelled(0));
	cr_assert_null(cancel_token_origin(token_of(0)));
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &other), 1);
	cr_assert_eq(cancel_token_cause(token_of(1)), &quota);
	cr_assert_eq(cancel_token_origin(token_of(1)), &nodes[1].source);
	cr_assert(!cancel_link_fired(&nodes[1].link), "it was not the link");
}

Test(token_link, a_child_that_is_unlinked_is_independent)
{
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	cr_assert_eq(link_to(1, 0), 0);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	cr_assert(!is_cancelled(1));
	cr_assert(!cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, &quota), 1);
	cr_assert_eq(cancel_token_origin(token_of(1)), &nodes[1].source);
	EXPECT_CALLS("1", &calls);
}

Test(token_link, a_link_that_was_never_added_is_harmless)
{
	cr_assert(!cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_linked_which(&nodes[1].link, 1), -1);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	cr_assert_eq(cancel_linked_fini(&nodes[1].source, &nodes[1].link, 1), 0);
}

Test(token_link, its_memory_may_have_held_anything)
{
	memset(&nodes[1].link, 0xff, sizeof(nodes[1].link));
	cr_assert_eq(link_to(1, 0), 0);
	cr_assert(!cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
}

Test(token_link, nothing_comes_of_the_zero_token)
{
	struct cancel_token none = CANCEL_TOKEN_NONE;

	memset(&nodes[1].link, 0xff, sizeof(nodes[1].link));
	cr_assert_eq(cancel_link_add(&nodes[1].link, &nodes[1].source, none), 0);
	cr_assert(!cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_linked_which(&nodes[1].link, 1), -1);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	cr_assert(!is_cancelled(1));
}

Test(token_link, a_parent_that_is_cancelled_cancels_its_child_here)
{
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	memset(&nodes[1].link, 0xff, sizeof(nodes[1].link));
	cr_assert_eq(link_to(1, 0), 1);
	EXPECT_CALLS("1", &calls);
	cr_assert(pthread_equal(calls.threads[0], pthread_self()));
	cr_assert_eq(cancel_token_cause(token_of(1)), &quota);
	cr_assert_eq(cancel_token_origin(token_of(1)), &nodes[0].source);
	cr_assert(cancel_link_fired(&nodes[1].link));
	(void)cancel_link_remove(&nodes[1].link);
	cr_assert(cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_source_fini(&nodes[1].source), 0);
}

/* The parent was cancelled through a link itself. */
Test(token_link, a_child_that_comes_late_names_the_root)
{
	cr_assert_eq(link_to(1, 0), 0);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	cr_assert_eq(link_to(2, 1), 1);
	cr_assert_eq(cancel_token_cause(token_of(2)), &quota);
	cr_assert_eq(cancel_token_origin(token_of(2)), &nodes[0].source);
}

Test(token_link, a_child_that_is_cancelled_already_says_so)
{
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, &quota), 1);
	memset(&nodes[1].link, 0xff, sizeof(nodes[1].link));
	cr_assert_eq(link_to(1, 0), 1);
	cr_assert(!cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_linked_fini(&nodes[1].source, &nodes[1].link, 1), 0);
	memset(&nodes[1], 0xff, sizeof(nodes[1]));
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
}

Test(token_link, parents_can_be_added_at_any_time)
{
	struct cancel_link links[3];

	(void)token_callee_add(&nodes[9].callee, token_of(9), &calls, 9);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(cancel_link_add(&links[i], &nodes[9].source, token_of(i)), 0);
		cr_assert_eq(cancel_linked_which(links, (size_t)i + 1), -1);
	}
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, &quota), 1);
	EXPECT_CALLS("9", &calls);
	cr_assert_eq(cancel_linked_which(links, 3), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[2].source, NULL), 1);
	cr_assert_eq(cancel_linked_which(links, 3), 1, "the first one it was");
	cr_assert(!cancel_link_fired(&links[0]) && !cancel_link_fired(&links[2]));
	EXPECT_CALLS("9", &calls);
	cr_assert_eq(cancel_token_cause(token_of(9)), &quota);
	cr_assert_eq(cancel_linked_fini(&nodes[9].source, links, 3), 0);
}

/* --- several parents at once -------------------------------------------------------------------------- */

/* A child of nodes[0], nodes[1] and nodes[2], made in memory that held anything. */
struct family {
	struct cancel_token parents[3];
	struct cancel_source child;
	struct cancel_link links[3];
};

static void make_family(struct family *family)
{
	set_up();
	memset(family, 0xff, sizeof(*family));
	for (int i = 0; i < 3; i++)
		family->parents[i] = token_of(i);
}

/* The child has ended: no parent knows of it. */
static void leave_family(struct family *family)
{
	memset(family, 0xff, sizeof(*family));
	for (int i = 0; i < 3; i++)
		(void)cancel_source_cancel(&nodes[i].source, NULL);
}

Test(token_link, linked_init_makes_a_source_that_follows_all)
{
	for (int fired = 0; fired < 3; fired++) {
		struct family family;
		struct cancel_token token = cancel_source_token(&family.child);

		make_family(&family);
		cr_assert_eq(cancel_linked_init(&family.child, NULL, family.links, family.parents, 3), 0);
		cr_assert(!cancel_token_requested(token));
		cr_assert_eq(cancel_linked_which(family.links, 3), -1);
		cr_assert_eq(cancel_source_cancel(&nodes[fired].source, NULL), 1);
		cr_assert(cancel_token_requested(token));
		cr_assert_eq(cancel_linked_which(family.links, 3), fired);
		cr_assert_eq(cancel_token_origin(token), &nodes[fired].source);
		cr_assert_eq(cancel_linked_fini(&family.child, family.links, 3), 0);
		cr_assert_eq(cancel_linked_which(family.links, 3), fired,
			     "the end does not change who it was");
		leave_family(&family);
	}
}

Test(token_link, linked_init_gives_a_cause_of_its_own)
{
	struct cancel_token parents[1] = {token_of(0)};
	struct cancel_source child;
	struct cancel_link links[1];

	cr_assert_eq(cancel_linked_init(&child, &quota, links, parents, 1), 0);
	cr_assert_eq(cancel_source_cancel(&child, NULL), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &quota);
	cr_assert_eq(cancel_linked_which(links, 1), -1, "it was cancelled by itself");
	cr_assert_eq(cancel_linked_fini(&child, links, 1), 0);
}

Test(token_link, linked_init_without_any_parent_makes_a_source)
{
	struct cancel_token none[2] = {CANCEL_TOKEN_NONE, CANCEL_TOKEN_NONE};
	struct cancel_source child;
	struct cancel_link links[2];

	cr_assert_eq(cancel_linked_init(&child, NULL, NULL, NULL, 0), 0);
	cr_assert_eq(cancel_linked_which(NULL, 0), -1);
	cr_assert_eq(cancel_linked_fini(&child, NULL, 0), 0);
	memset(links, 0xff, sizeof(links));
	cr_assert_eq(cancel_linked_init(&child, NULL, links, none, 2), 0);
	cr_assert_eq(cancel_linked_which(links, 2), -1);
	cr_assert_eq(cancel_source_cancel(&child, NULL), 1);
	cr_assert_eq(cancel_linked_fini(&child, links, 2), 0);
}

/* Whichever of the parents is cancelled, the links after it are as good as the ones before it. */
Test(token_link, linked_init_with_a_cancelled_parent_says_so)
{
	for (int fired = 0; fired < 3; fired++) {
		struct family family;
		struct cancel_token token = cancel_source_token(&family.child);

		make_family(&family);
		cr_assert_eq(cancel_source_cancel(&nodes[fired].source, &quota), 1);
		cr_assert_eq(cancel_linked_init(&family.child, NULL, family.links, family.parents, 3), 1);
		cr_assert(cancel_token_requested(token));
		cr_assert_eq(cancel_token_cause(token), &quota);
		cr_assert_eq(cancel_token_origin(token), &nodes[fired].source);
		cr_assert_eq(cancel_linked_which(family.links, 3), fired);
		cr_assert_eq(cancel_linked_fini(&family.child, family.links, 3), 0);
		leave_family(&family);
	}
}

/* --- depth and circles -------------------------------------------------------------------------------- */

Test(token_link, a_chain_has_so_many_links_and_no_more)
{
	link_chain(DEPTH);
	memset(&nodes[DEPTH + 1].link, 0xff, sizeof(nodes[0].link));
	cr_assert_eq(link_to(DEPTH + 1, DEPTH), -ELOOP);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	for (int i = 0; i <= DEPTH; i++)
		cr_assert(is_cancelled(i), "level %d", i);
	cr_assert(!is_cancelled(DEPTH + 1));
}

Test(token_link, linked_init_that_fails_leaves_nothing_linked)
{
	struct cancel_token parents[3];
	struct cancel_source child;
	struct cancel_link links[3];

	link_chain(DEPTH);
	parents[0] = token_of(500);
	parents[1] = token_of(501);
	parents[2] = token_of(DEPTH);
	cr_assert_eq(cancel_linked_init(&child, NULL, links, parents, 3), -ELOOP);
	memset(&child, 0xff, sizeof(child));
	memset(links, 0xff, sizeof(links));
	cr_assert_eq(cancel_source_try_reset(&nodes[500].source, NULL), 1);
	cr_assert_eq(cancel_source_try_reset(&nodes[501].source, NULL), 1);
	cr_assert_eq(cancel_source_try_reset(&nodes[DEPTH].source, NULL), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[500].source, NULL), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	for (size_t i = 0; i < sizeof(child); i++)
		cr_assert_eq(((unsigned char *)&child)[i], 0xff, "the child was touched");
}

/* The depth is that of the furthest root, not of the latest link. */
Test(token_link, the_depth_is_the_largest_of_all_parents)
{
	struct cancel_link beside;

	link_chain(DEPTH);
	cr_assert_eq(link_to(600, DEPTH - 1), 0);
	cr_assert_eq(cancel_link_add(&beside, &nodes[600].source, token_of(500)), 0);
	cr_assert_eq(link_to(601, 600), -ELOOP);
}

Test(token_link, a_source_that_has_children_is_not_moved_deeper)
{
	struct cancel_link link;

	link_chain(3);
	cr_assert_eq(cancel_link_add(&link, &nodes[0].source, token_of(500)), -ELOOP, "as deep as the other");
	cr_assert_eq(cancel_link_add(&link, &nodes[2].source, token_of(500)), 0, "deeper already");
	cr_assert_eq(cancel_link_remove(&link), CANCEL_REMOVED);
	cr_assert_eq(link_to(501, 500), 0);
	cr_assert_eq(cancel_link_add(&link, &nodes[1].source, token_of(501)), -ELOOP, "as deep as the other");
	cr_assert_eq(cancel_link_add(&link, &nodes[2].source, token_of(501)), 0, "deeper already");
	cr_assert_eq(link_to(601, 600), 0);
	cr_assert_eq(cancel_link_remove(&nodes[601].link), CANCEL_REMOVED);
	cr_assert_eq(link_to(600, 501), -ELOOP, "it had children");
	cr_assert_eq(cancel_source_cancel(&nodes[500].source, NULL), 1);
	cr_assert(!is_cancelled(0) && !is_cancelled(1));
	cr_assert(is_cancelled(2) && is_cancelled(3));
}

Test(token_link, a_leaf_can_be_moved_deeper)
{
	struct cancel_link link;

	link_chain(5);
	cr_assert_eq(link_to(500, 0), 0);
	cr_assert_eq(cancel_link_add(&link, &nodes[500].source, token_of(5)), 0);
	cr_assert_eq(link_to(501, 500), 0);
	cr_assert_eq(cancel_source_cancel(&nodes[5].source, NULL), 1);
	cr_assert(is_cancelled(501));
}

/* DESIGN.md, invariant 31 */
Test(token_link, there_is_no_way_to_a_circle)
{
	struct cancel_link link;

	cr_assert_eq(link_to(500, 500), -ELOOP);
	cr_assert_eq(link_to(500, 501), 0, "it got no child by that");
	link_chain(4);
	cr_assert_eq(cancel_link_add(&link, &nodes[0].source, token_of(600)), -ELOOP);
	cr_assert_eq(link_to(600, 601), 0, "nor did this one");
	for (int above = 0; above <= 4; above++)
		for (int below = above; below <= 4; below++)
			cr_assert_eq(cancel_link_add(&link, &nodes[above].source, token_of(below)), -ELOOP,
				     "%d would follow %d", above, below);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	for (int i = 0; i <= 4; i++)
		cr_assert(is_cancelled(i));
}

/* --- mark before notify ------------------------------------------------------------------------------- */

/* Counts into `result` who is not yet cancelled when a callback is called. */
static int tree_size;

static void look_at_tree(struct token_callee *callee)
{
	for (int i = 0; i < tree_size; i++)
		callee->result += !is_cancelled(i) || cancel_token_cause(token_of(i)) != &quota ||
				  cancel_token_origin(token_of(i)) != &nodes[0].source;
}

static void expect_marked_before_told(int size)
{
	tree_size = size;
	for (int i = 0; i < size; i++)
		(void)token_callee_add_act(&nodes[i].callee, token_of(i), &calls, i, look_at_tree, NULL);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	cr_assert_eq(atomic_load(&calls.count), size);
	for (int i = 0; i < size; i++) {
		cr_assert_eq(token_calls_of(&calls, i), 1);
		cr_assert_eq(nodes[i].callee.result, 0, "the callback of %d saw %d that were not cancelled",
			     i, nodes[i].callee.result);
	}
}

Test(token_link, every_callback_sees_the_whole_width_cancelled)
{
	for (int i = 1; i <= WIDTH; i++)
		cr_assert_eq(link_to(i, 0), 0);
	expect_marked_before_told(WIDTH + 1);
}

Test(token_link, every_callback_sees_the_whole_depth_cancelled)
{
	link_chain(DEPTH);
	expect_marked_before_told(DEPTH + 1);
}

/* DESIGN.md, invariant 24 */
Test(token_link, every_callback_sees_the_whole_tree_cancelled)
{
	for (int i = 1; i < 127; i++)
		cr_assert_eq(link_to(i, (i - 1) / 2), 0);
	expect_marked_before_told(127);
}

struct waiter {
	struct token_thread thread;
	struct cancel_token token;
	struct token_gate *awake;
};

static int wait_for_it(void *arg)
{
	struct waiter *waiter = arg;
	int result = cancel_token_wait(waiter->token, CANCEL_FOREVER);

	token_gate_touch(waiter->awake);
	return result;
}

static void wait_for_the_awake(struct token_callee *callee)
{
	token_gate_await(callee->arg, 3);
}

/* The first callback does not return before all who waited, at any level, have woken. */
Test(token_link, who_waits_is_awake_before_the_first_callback_returns)
{
	struct token_gate awake = TOKEN_GATE_INIT;
	struct waiter waiters[3];

	link_chain(2);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 1, wait_for_the_awake, &awake);
	for (int i = 0; i < 3; i++) {
		waiters[i].token = token_of(i);
		waiters[i].awake = &awake;
		token_thread_start(&waiters[i].thread, wait_for_it, &waiters[i]);
		cr_assert(token_thread_falls_asleep(&waiters[i].thread));
	}
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(token_thread_join(&waiters[i].thread), 1);
	EXPECT_CALLS("1", &calls);
}

static int cancel_it(void *arg)
{
	return cancel_source_cancel(arg, NULL);
}

static bool is_marked(void *arg)
{
	return cancel_token_requested(cancel_source_token(arg));
}

/* The lock of the last one that is to be marked is held here, so marking stops before it, and so must waking.
 */
/* DESIGN.md, invariant 24 */
Test(token_link, nobody_wakes_before_all_are_marked)
{
	struct token_gate awake = TOKEN_GATE_INIT;
	struct token_thread canceller;
	struct waiter waiters[2];
	struct cancel_fd fd;
	struct pollfd one;

	for (int i = 1; i <= 3; i++)
		cr_assert_eq(link_to(i, 0), 0);
	cr_assert_eq(cancel_fd_open(&fd, token_of(0)), 0);
	for (int i = 0; i < 2; i++) {
		waiters[i] = (struct waiter){.token = i ? token_of(3) : token_of(0), .awake = &awake};
		token_thread_start(&waiters[i].thread, wait_for_it, &waiters[i]);
		cr_assert(token_thread_falls_asleep(&waiters[i].thread));
	}
	latch_lock(&nodes[1].source.locked);
	token_thread_start(&canceller, cancel_it, &nodes[0].source);
	cr_assert(wait_until(is_marked, &nodes[3].source, PROCESS_TIMEOUT_MS));
	cr_assert(token_thread_falls_asleep(&canceller), "it does not need the last one's lock");
	one = (struct pollfd){fd.fd, POLLIN, 0};
	cr_assert_eq(poll(&one, 1, 0), 0, "a descriptor is readable before all are marked");
	for (int i = 0; i < 2; i++)
		cr_assert(token_thread_falls_asleep(&waiters[i].thread),
			  "a wait ended before all are marked");
	latch_unlock(&nodes[1].source.locked);
	cr_assert_eq(token_thread_join(&canceller), 1);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i].thread), 1);
	cancel_fd_close(&fd);
}

/* nodes[1] above nodes[2] above nodes[3]. Marking has come to the end of them, and stops before nodes[4];
 * waking has not begun. Whoever takes nodes[2] out now is the only one who can wake what is there. */
static void expect_what_is_taken_out_wakes(int (*take_out)(void))
{
	struct token_thread canceller;
	struct cancel_fd fds[2];
	struct pollfd ready[2];

	cr_assert_eq(link_to(4, 0), 0);
	link_chain(3);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(cancel_fd_open(&fds[i], token_of(i + 2)), 0);
		ready[i] = (struct pollfd){fds[i].fd, POLLIN, 0};
	}
	latch_lock(&nodes[4].source.locked);
	token_thread_start(&canceller, cancel_it, &nodes[0].source);
	cr_assert(wait_until(is_marked, &nodes[3].source, PROCESS_TIMEOUT_MS));
	cr_assert(token_thread_falls_asleep(&canceller), "it does not need the last one's lock");
	cr_assert_eq(take_out(), CANCEL_REMOVED);
	cr_assert_eq(poll(&ready[1], 1, 0), 1, "the grandchild does not wake");
	latch_unlock(&nodes[4].source.locked);
	cr_assert_eq(token_thread_join(&canceller), 1);
	for (int i = 0; i < 2; i++)
		cancel_fd_close(&fds[i]);
}

static int unlink_the_child(void)
{
	int removal = cancel_link_remove(&nodes[2].link);

	cr_assert(cancel_token_requested(token_of(2)));
	return removal;
}

Test(token_link, one_that_is_unlinked_between_marking_and_waking_wakes)
{
	expect_what_is_taken_out_wakes(unlink_the_child);
}

static int end_the_child(void)
{
	return cancel_linked_fini(&nodes[2].source, &nodes[2].link, 1) == 0 ? CANCEL_REMOVED : -1;
}

Test(token_link, what_is_below_one_that_is_ended_between_marking_and_waking_wakes)
{
	expect_what_is_taken_out_wakes(end_the_child);
}

/* --- order -------------------------------------------------------------------------------------------- */

Test(token_link, a_childs_callbacks_come_at_the_place_of_its_link)
{
	struct token_callee of_parent[3], of_first[2], of_second[2];

	(void)token_callee_add(&of_parent[0], token_of(0), &calls, 10);
	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&of_parent[1], token_of(0), &calls, 30);
	cr_assert_eq(link_to(2, 0), 0);
	(void)token_callee_add(&of_parent[2], token_of(0), &calls, 50);
	(void)token_callee_add(&of_second[0], token_of(2), &calls, 40);
	(void)token_callee_add(&of_second[1], token_of(2), &calls, 41);
	(void)token_callee_add(&of_first[0], token_of(1), &calls, 20);
	(void)token_callee_add(&of_first[1], token_of(1), &calls, 21);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	EXPECT_CALLS("50 41 40 30 21 20 10", &calls);
}

/* DESIGN.md, invariant 31 */
Test(token_link, a_diamond_is_told_once)
{
	struct cancel_link links[2];

	cr_assert_eq(link_to(1, 0), 0);
	cr_assert_eq(link_to(2, 0), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(cancel_link_add(&links[i], &nodes[3].source, token_of(i + 1)), 0);
	for (int i = 0; i < 4; i++)
		(void)token_callee_add(&nodes[i].callee, token_of(i), &calls, i);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(token_calls_of(&calls, i), 1, "called: %s", token_calls_text(&calls));
		cr_assert_eq(cancel_token_origin(token_of(i)), &nodes[0].source);
	}
	cr_assert_eq(cancel_link_fired(&links[0]) + cancel_link_fired(&links[1]), 1);
	cr_assert_geq(cancel_linked_which(links, 2), 0);
	cr_assert_eq(cancel_linked_fini(&nodes[3].source, links, 2), 0);
}

/* Two sources at every level, each linked to both of the level above: as many ways down as 2 to the power of
 * the levels, and nobody may go them all. */
static void build_ladder(void)
{
	static struct cancel_link links[DEPTH + 1][2][2];

	for (int level = 1; level <= DEPTH; level++)
		for (int side = 0; side < 2; side++) {
			struct node *node = &nodes[2 * level + side];

			for (int above = 0; above < (level > 1 ? 2 : 1); above++)
				cr_assert_eq(cancel_link_add(&links[level][side][above], &node->source,
							     token_of(2 * (level - 1) + above)),
					     0);
			(void)token_callee_add(&node->callee, cancel_source_token(&node->source), &calls,
					       2 * level + side);
		}
}

static void expect_ladder_told(void)
{
	cr_assert_eq(atomic_load(&calls.count), 2 * DEPTH);
	for (int i = 2; i < 2 * DEPTH + 2; i++)
		cr_assert_eq(token_calls_of(&calls, i), 1);
}

Test(token_link, a_ladder_of_diamonds_is_gone_down_once, .timeout = 20)
{
	build_ladder();
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	expect_ladder_told();
}

/* The same where handlers have cancelled every one of them, and nobody has yet marked what is below. */
Test(token_link, a_ladder_that_handlers_cancelled_is_gone_down_once, .timeout = 20)
{
	build_ladder();
	for (int i = 2; i < 2 * DEPTH + 2; i++)
		cr_assert_eq(cancel_source_cancel_from_signal(&nodes[i].source, NULL), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	for (int i = 2; i < 2 * DEPTH + 2; i++)
		cr_assert_eq(cancel_source_quiesce(&nodes[i].source, CANCEL_FOREVER), 0);
	expect_ladder_told();
}

Test(token_link, two_links_to_one_parent_tell_once)
{
	struct cancel_link links[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(cancel_link_add(&links[i], &nodes[1].source, token_of(0)), 0);
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_link_fired(&links[0]) + cancel_link_fired(&links[1]), 1);
	cr_assert_eq(cancel_linked_fini(&nodes[1].source, links, 2), 0);
}

/* --- unlinking in the middle -------------------------------------------------------------------------- */

static void unlink_it(struct token_callee *callee)
{
	callee->result = cancel_link_remove(callee->arg);
	atomic_fetch_add(&callee->calls->count, 1);
	callee->calls->numbers[atomic_load(&callee->calls->count) - 1] = -callee->number;
}

/* The parent's latest callback comes before the link. When it unlinks the child, the child is marked and not
 * yet told, so it is told there. */
Test(token_link, a_child_that_is_unlinked_between_mark_and_tell_is_told_there)
{
	struct token_callee callees[3];

	cr_assert_eq(link_to(1, 0), 0);
	for (int i = 0; i < 3; i++)
		(void)token_callee_add(&callees[i], token_of(1), &calls, i);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, unlink_it, &nodes[1].link);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	EXPECT_CALLS("7 2 1 0 -7", &calls);
	cr_assert_eq(nodes[0].callee.result, CANCEL_REMOVED);
	cr_assert(cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_source_fini(&nodes[1].source), 0);
}

/* The same with what the child has below it. */
Test(token_link, what_is_below_an_unlinked_child_is_told_there_too)
{
	link_chain(3);
	for (int i = 1; i <= 3; i++)
		(void)token_callee_add(&nodes[i].callee, token_of(i), &calls, i);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, unlink_it, &nodes[1].link);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	EXPECT_CALLS("7 1 2 3 -7", &calls);
}

static void stop_at_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
}

Test(token_link, another_thread_that_unlinks_between_mark_and_tell_tells)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller;

	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &nodes[0].source);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	EXPECT_CALLS("7 1", &calls);
	cr_assert(pthread_equal(calls.threads[1], pthread_self()));
	cr_assert_eq(cancel_source_fini(&nodes[1].source), 0);
	memset(&nodes[1], 0xff, sizeof(nodes[1]));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	EXPECT_CALLS("7 1", &calls);
}

static int end_child_on_thread(void *arg)
{
	struct node *node = arg;

	return cancel_linked_fini(&node->source, &node->link, 1);
}

static int quiesce_child_on_thread(void *arg)
{
	struct node *node = arg;

	return cancel_source_quiesce(&node->source, CANCEL_FOREVER);
}

/* The child's callback runs on the parent's thread. */
static void expect_wait_for_telling(token_job *job, bool is_unlinked)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller, remover;

	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add_act(&nodes[1].callee, token_of(1), &calls, 1, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &nodes[0].source);
	token_gate_await(&gate, 1);
	if (is_unlinked) {
		cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_FINISHED, "at once");
		cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_FINISHED);
	}
	token_thread_start(&remover, job, &nodes[1]);
	cr_assert(token_thread_falls_asleep(&remover), "the child is being told");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&remover), 0);
	cr_assert_eq(token_thread_join(&canceller), 1);
	EXPECT_CALLS("1", &calls);
}

Test(token_link, ending_waits_for_a_child_that_is_being_told)
{
	expect_wait_for_telling(end_child_on_thread, false);
}

Test(token_link, unlinking_does_not_wait_for_a_child_that_is_being_told_but_its_end_does)
{
	expect_wait_for_telling(end_child_on_thread, true);
}

Test(token_link, unlinking_does_not_wait_for_a_child_that_is_being_told_but_quiesce_does)
{
	expect_wait_for_telling(quiesce_child_on_thread, true);
}

static void end_linked(struct token_callee *callee)
{
	struct node *node = callee->arg;

	callee->result = cancel_linked_fini(&node->source, &node->link, 1);
	memset(node, 0xa5, sizeof(*node));
}

Test(token_link, a_child_that_is_ended_between_mark_and_tell_is_forgotten)
{
	struct token_callee callee;

	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&callee, token_of(1), &calls, 1);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, end_linked, &nodes[1]);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	cr_assert_eq(nodes[0].callee.result, 0);
	EXPECT_CALLS("7", &calls);
	for (size_t i = 0; i < sizeof(nodes[1]); i++)
		cr_assert_eq(((unsigned char *)&nodes[1])[i], 0xa5, "the child was touched after its end");
	cr_assert_eq(cancel_registration_remove(&callee.registration), CANCEL_REMOVED);
}

Test(token_link, another_thread_can_end_a_child_between_mark_and_tell)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread canceller;
	struct token_callee callee;

	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&callee, token_of(1), &calls, 1);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_it, &nodes[0].source);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_linked_fini(&nodes[1].source, &nodes[1].link, 1), 0);
	memset(&nodes[1], 0xff, sizeof(nodes[1]));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	EXPECT_CALLS("7", &calls);
}

/* The one that is ended has another parent as well, and children of its own that live on. */
Test(token_link, what_is_below_an_ended_child_is_told_by_its_own_unlinking)
{
	link_chain(2);
	(void)token_callee_add(&nodes[2].callee, token_of(2), &calls, 2);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 7, unlink_it, &nodes[2].link);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	EXPECT_CALLS("7 2 -7", &calls);
	cr_assert_eq(cancel_token_cause(token_of(2)), &quota);
}

Test(token_link, a_child_can_unlink_itself_while_it_is_told)
{
	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&nodes[0].callee, token_of(0), &calls, 5);
	(void)token_callee_add_act(&nodes[1].callee, token_of(1), &calls, 1, unlink_it, &nodes[1].link);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	cr_assert_eq(nodes[1].callee.result, CANCEL_FINISHED);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_FINISHED);
}

static void end_itself(struct token_callee *callee)
{
	struct node *node = callee->arg;

	if (!cancel_linked_fini(&node->source, &node->link, 1))
		free(node);
}

Test(token_link, a_child_can_end_and_free_itself_while_it_is_told)
{
	for (int i = 0; i < 20; i++) {
		struct node *node = calloc(1, sizeof(*node));

		cr_assert_eq(cancel_link_add(&node->link, &node->source, token_of(0)), 0);
		(void)token_callee_add_act(&node->callee, cancel_source_token(&node->source), &calls, i,
					   end_itself, node);
	}
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	EXPECT_CALLS("19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0", &calls);
}

static void end_parent(struct token_callee *callee)
{
	callee->result = cancel_source_fini(&nodes[0].source);
	memset(&nodes[0].source, 0xa5, sizeof(nodes[0].source));
}

/* The parent ends while it tells its child: the rest of the child's callbacks are still called, those of the
 * parent are not. */
Test(token_link, a_childs_callback_can_end_the_parent)
{
	struct token_callee of_parent, of_child[3];

	(void)token_callee_add(&of_parent, token_of(0), &calls, 9);
	cr_assert_eq(link_to(1, 0), 0);
	token_callees_add(of_child, 3, token_of(1), &calls);
	of_child[1].act = end_parent;
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, NULL), 1);
	cr_assert_eq(of_child[1].result, 0);
	EXPECT_CALLS("2 1 0", &calls);
	for (size_t i = 0; i < sizeof(nodes[0].source); i++)
		cr_assert_eq(((unsigned char *)&nodes[0].source)[i], 0xa5,
			     "the parent was touched after its end");
	cr_assert_eq(cancel_registration_remove(&of_parent.registration), CANCEL_REMOVED);
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_FINISHED);
	cr_assert(cancel_link_fired(&nodes[1].link));
	cr_assert_eq(cancel_source_fini(&nodes[1].source), 0);
}

/* Its other children are marked, and nobody else would tell them. */
/* DESIGN.md, invariant 30 */
Test(token_link, the_end_of_a_parent_tells_the_children_that_it_marked)
{
	struct token_callee of_child;

	(void)token_callee_add(&nodes[0].callee, token_of(0), &calls, 9);
	for (int i = 4; i > 0; i--) {
		cr_assert_eq(link_to(i, 0), 0);
		if (i > 1)
			(void)token_callee_add(&nodes[i].callee, token_of(i), &calls, i);
	}
	(void)token_callee_add_act(&of_child, token_of(1), &calls, 1, end_parent, NULL);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	cr_assert_eq(of_child.result, 0);
	EXPECT_CALLS("1 2 3 4", &calls);
	for (int i = 1; i <= 4; i++)
		cr_assert_eq(cancel_token_cause(token_of(i)), &quota);
	for (size_t i = 0; i < sizeof(nodes[0].source); i++)
		cr_assert_eq(((unsigned char *)&nodes[0].source)[i], 0xa5,
			     "the parent was touched after its end");
}

/* Cancelled or not, told or not. */
Test(token_link, a_parent_may_end_before_its_links_are_removed)
{
	for (int i = 1; i <= 3; i++)
		cr_assert_eq(link_to(i, 0), 0);
	cr_assert_eq(cancel_source_cancel(&nodes[2].source, NULL), 1);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	cr_assert_eq(cancel_source_fini(&nodes[0].source), 0);
	memset(&nodes[0].source, 0xff, sizeof(nodes[0].source));
	for (int i = 1; i <= 3; i++) {
		cr_assert_eq(cancel_link_fired(&nodes[i].link), i != 2);
		cr_assert_eq(cancel_link_remove(&nodes[i].link), CANCEL_FINISHED);
		cr_assert_eq(cancel_linked_fini(&nodes[i].source, &nodes[i].link, 1), 0);
	}
}

/* A link that is left when its parent ends is forgotten like any registration. */
Test(token_link, a_parent_that_ends_leaves_its_children_alone)
{
	cr_assert_eq(link_to(1, 0), 0);
	(void)token_callee_add(&nodes[1].callee, token_of(1), &calls, 1);
	cr_assert_eq(cancel_source_fini(&nodes[0].source), 0);
	memset(&nodes[0].source, 0xff, sizeof(nodes[0].source));
	cr_assert_eq(cancel_link_remove(&nodes[1].link), CANCEL_REMOVED);
	cr_assert(!is_cancelled(1));
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, NULL), 1);
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_linked_fini(&nodes[1].source, &nodes[1].link, 1), 0);
}

static void link_here(struct token_callee *callee)
{
	(void)callee;
	nodes[2].callee.result = link_to(2, 0);
}

Test(token_link, a_child_that_is_linked_in_a_callback_is_cancelled_there)
{
	(void)token_callee_add(&nodes[2].callee, token_of(2), &calls, 2);
	(void)token_callee_add(&nodes[1].callee, token_of(0), &calls, 1);
	(void)token_callee_add_act(&nodes[0].callee, token_of(0), &calls, 3, link_here, NULL);
	cr_assert_eq(cancel_source_cancel(&nodes[0].source, &quota), 1);
	EXPECT_CALLS("3 2 1", &calls);
	cr_assert_eq(nodes[2].callee.result, 1);
	cr_assert_eq(cancel_token_cause(token_of(2)), &quota);
	(void)cancel_link_remove(&nodes[2].link);
}

static void cancel_parent(struct token_callee *callee)
{
	callee->result = cancel_source_cancel(&nodes[0].source, &other);
}

/* A child that is being told by itself is not told again by its parent. */
Test(token_link, a_childs_callback_can_cancel_the_parent)
{
	struct token_callee of_child[3];

	cr_assert_eq(link_to(1, 0), 0);
	cr_assert_eq(link_to(2, 0), 0);
	(void)token_callee_add(&nodes[2].callee, token_of(2), &calls, 200);
	(void)token_callee_add(&nodes[0].callee, token_of(0), &calls, 100);
	token_callees_add(of_child, 3, token_of(1), &calls);
	of_child[2].act = cancel_parent;
	cr_assert_eq(cancel_source_cancel(&nodes[1].source, &quota), 1);
	EXPECT_CALLS("2 100 200 1 0", &calls);
	cr_assert_eq(of_child[2].result, 1);
	cr_assert_eq(cancel_token_cause(token_of(1)), &quota);
	cr_assert_eq(cancel_token_cause(token_of(2)), &other);
}

/* --- unlinking that would never end ------------------------------------------------------------------- */

struct cross {
	struct node *tree; /* the parent, and behind it the child */
	struct node *other_child;
	struct token_thread thread;
	int result;
};

static struct token_gate both_began;

/* Two children are told on two threads, and each does something with the other. */
static void cross_children(struct cross *crosses, void (*act)(struct token_callee *callee))
{
	both_began = (struct token_gate)TOKEN_GATE_INIT;
	for (int i = 0; i < 2; i++) {
		crosses[i].tree = &nodes[10 * i];
		crosses[i].other_child = &nodes[10 * (1 - i) + 1];
		cr_assert_eq(link_to(10 * i + 1, 10 * i), 0);
		(void)token_callee_add_act(&nodes[10 * i + 1].callee, token_of(10 * i + 1), &calls, i, act,
					   &crosses[i]);
	}
	for (int i = 0; i < 2; i++)
		token_thread_start(&crosses[i].thread, cancel_it, &crosses[i].tree->source);
	token_gate_await(&both_began, 2);
	token_gate_open(&both_began);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&crosses[i].thread), 1);
}

static void unlink_other(struct token_callee *callee)
{
	struct cross *cross = callee->arg;

	token_gate_pass(&both_began);
	cross->result = cancel_link_remove(&cross->other_child->link);
}

Test(token_link, children_can_unlink_each_other)
{
	struct cross crosses[2];

	cross_children(crosses, unlink_other);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(crosses[i].result, CANCEL_FINISHED);
		cr_assert_eq(cancel_source_fini(&crosses[i].other_child->source), 0);
	}
}

static void end_other(struct token_callee *callee)
{
	struct cross *cross = callee->arg;

	token_gate_pass(&both_began);
	cross->result = cancel_linked_fini(&cross->other_child->source, &cross->other_child->link, 1);
}

Test(token_link, children_that_end_each_other_are_told_and_can_end_later)
{
	struct cross crosses[2];

	cross_children(crosses, end_other);
	cr_assert_eq((crosses[0].result == -EDEADLK) + (crosses[1].result == -EDEADLK), 1);
	cr_assert_eq((crosses[0].result == 0) + (crosses[1].result == 0), 1);
	for (int i = 0; i < 2; i++)
		if (crosses[i].result < 0) {
			struct node *child = crosses[i].other_child;

			cr_assert_eq(cancel_linked_fini(&child->source, &child->link, 1), 0);
		}
}
