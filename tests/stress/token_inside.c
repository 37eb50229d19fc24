/*
 * Tokens: what callbacks may do, which is everything. Parts:
 *
 *   crossed    two or three threads, each in a callback of its own source, wait for the next one's
 *              callback, in every way of waiting: somebody is told -EDEADLK, and nobody hangs. With a
 *              meeting inside the callbacks, where it must happen, and without, where it may.
 *   deeds      callbacks remove and poison their own node, their siblings, the link that tells them,
 *              and end the source that calls them and its parent, in random order, on the threads that
 *              cancel and on the dispatcher.
 *   two roots  children of two sources, which two threads cancel at once, end themselves in their
 *              callbacks, while a third thread ends others.
 *
 * Mutations that this catches: no record of who waits for whom; a ring of three that goes unnoticed; a
 * delivery that touches its source, or a node, after a callback ended it; a sibling called after it
 * was removed; a child that is forgotten because its parent ended in a callback.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static atomic_ulong deadlocks, done;

/* --- crossed ------------------------------------------------------------------------------------------ */

enum { RING_MAX = 3, LONG_S = 3600 };

struct seat {
	struct cancel_source parent, source;
	struct cancel_link link;
	struct stress_node node;
	unsigned way;  /* to wait for the callback of the next seat */
	bool deferred; /* its callback is called by the dispatcher */
	bool by_parent, unlinked, ended;
	int answer;
	atomic_bool left;
};

struct ring {
	struct seat seats[RING_MAX];
	struct stress_line inside;
	unsigned count;
	bool meeting;
};

static struct ring ring;

static int wait_by_remove(struct seat *seat)
{
	return stress_node_try_remove(&seat->node);
}

static int wait_by_quiesce(struct seat *seat)
{
	return cancel_source_quiesce(&seat->source, CANCEL_FOREVER);
}

static int wait_by_quiesce_long(struct seat *seat)
{
	return cancel_source_quiesce(&seat->source, LONG_S * CANCEL_SECOND);
}

static int wait_by_quiesce_parent(struct seat *seat)
{
	return cancel_source_quiesce(&seat->parent, CANCEL_FOREVER);
}

/* Unlinking does not wait; it tells who was marked and not told. */
static int wait_by_unlink(struct seat *seat)
{
	int code = seat->unlinked ? CANCEL_FINISHED : cancel_link_remove(&seat->link);

	seat->unlinked = true;
	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "unlinking says %d", code);
	return cancel_source_quiesce(&seat->source, CANCEL_FOREVER);
}

static int wait_by_fini(struct seat *seat)
{
	int code = cancel_linked_fini(&seat->source, &seat->link, 1);

	if (code == 0) {
		seat->ended = true;
		stress_bury(&seat->source, sizeof(seat->source));
		stress_bury(&seat->link, sizeof(seat->link));
	}
	return code;
}

/* It has to end the callback that it is in first. */
static int wait_by_stopping(struct seat *seat)
{
	(void)seat;
	return cancel_dispatcher_stop();
}

static const struct way_to_wait {
	const char *name;
	int (*wait)(struct seat *seat);
	bool by_parent; /* means anything only where the seat's source is cancelled through its link */
} ways_to_wait[] = {
	{"remove", wait_by_remove, false},
	{"quiesce", wait_by_quiesce, false},
	{"quiesce, long", wait_by_quiesce_long, false},
	{"quiesce the parent", wait_by_quiesce_parent, true},
	{"unlink, quiesce", wait_by_unlink, true},
	{"fini", wait_by_fini, true},
	{"stop the dispatcher", wait_by_stopping, false}, /* which has to call the seat's callback */
};

enum { WAYS_TO_WAIT = COUNT(ways_to_wait), WAY_STOP = WAYS_TO_WAIT - 1 };

static struct seat *next_seat(const struct seat *seat)
{
	return &ring.seats[(unsigned)(seat - ring.seats + 1) % ring.count];
}

static void wait_for_next(void *arg, struct cancel_token token)
{
	struct seat *seat = arg;

	(void)token;
	if (ring.meeting)
		stress_line_up(&ring.inside);
	seat->answer = ways_to_wait[seat->way].wait(next_seat(seat));
	if (seat->answer == -EDEADLK)
		(void)atomic_fetch_add(&deadlocks, 1);
	stress_node_note(&seat->node);
	atomic_store(&seat->left, true);
}

static void set_up_seat(struct seat *seat, uint64_t *random)
{
	if (seat->ended) {
		stress_dig_up(&seat->source, sizeof(seat->source));
		stress_dig_up(&seat->link, sizeof(seat->link));
		seat->ended = false;
	}
	cancel_source_init(&seat->parent, NULL);
	cancel_source_init(&seat->source, NULL);
	(void)cancel_link_add(&seat->link, &seat->source, cancel_source_token(&seat->parent));
	stress_node_reset(&seat->node, 0);
	(void)cancel_registration_add(&seat->node.registration, cancel_source_token(&seat->source),
				      wait_for_next, seat);
	seat->way = stress_pick(random, WAY_STOP);
	seat->deferred = false;
	seat->unlinked = false;
	seat->answer = 0;
	atomic_store(&seat->left, false);
}

/* One at most: there is one dispatcher. */
static void defer_one(uint64_t *random)
{
	struct seat *seat = &ring.seats[stress_pick(random, ring.count)];

	next_seat(seat)->deferred = true;
	if (stress_one_in(random, 2))
		seat->way = WAY_STOP;
}

static void set_up_ring(uint64_t *random)
{
	ring.count = 2 + stress_pick(random, RING_MAX - 1);
	ring.inside.count = ring.count;
	ring.meeting = !stress_one_in(random, 3);
	for (unsigned i = 0; i < ring.count; i++)
		set_up_seat(&ring.seats[i], random);
	if (stress_one_in(random, 3))
		defer_one(random);
	for (unsigned i = 0; i < ring.count; i++)
		next_seat(&ring.seats[i])->by_parent =
			ways_to_wait[ring.seats[i].way].by_parent || stress_one_in(random, 2);
}

static void cancel_seat(struct seat *seat)
{
	struct cancel_source *source = seat->by_parent ? &seat->parent : &seat->source;
	int code = seat->deferred ? cancel_source_cancel_deferred(source, NULL)
				  : cancel_source_cancel(source, NULL);

	stress_expect(code == 1, "cancel says %d", code);
}

/* A child that was ended or unlinked, or a node that was removed, before the cancellation is never told. */
static bool is_told(struct seat *seat)
{
	return ring.meeting || atomic_load(&seat->left);
}

/* Out of the callback the same wait comes to an end. */
static void act_in_ring(void *scene, unsigned member, uint64_t *random)
{
	struct seat *seat = &ring.seats[member];
	int code;

	(void)scene;
	if (member >= ring.count)
		return;
	if (!ring.meeting)
		stress_dawdle(random);
	cancel_seat(seat);
	if (seat->deferred && ring.meeting)
		stress_await(&seat->left);
	if (!is_told(seat) || seat->answer != -EDEADLK)
		return;
	code = ways_to_wait[seat->way].wait(next_seat(seat));
	stress_expect(code >= 0 && code != CANCEL_INSIDE, "%s, outside the callback: %d",
		      ways_to_wait[seat->way].name, code);
}

static bool seat_is_right(const struct seat *seat)
{
	if (ring.meeting || !(seat->ended || seat->unlinked || seat->node.removed))
		return stress_node_right(&seat->node);
	return stress_node_told(&seat->node) <= !seat->node.removed;
}

static void tear_down_ring(void)
{
	for (unsigned i = 0; i < ring.count; i++) {
		struct seat *seat = &ring.seats[i];

		if (seat->deferred)
			(void)cancel_source_quiesce(seat->by_parent ? &seat->parent : &seat->source,
						    CANCEL_FOREVER);
	}
	for (unsigned i = 0; i < ring.count; i++) {
		struct seat *seat = &ring.seats[i];

		if (!seat->ended)
			stress_expect(cancel_linked_fini(&seat->source, &seat->link, 1) == 0,
				      "a seat does not end");
		stress_expect(cancel_source_fini(&seat->parent) == 0, "a seat's parent does not end");
	}
}

/* Without a meeting it may be too early. Who unlinks too early calls the next one's callback, which then
 * finds itself inside the one that it waits for. */
static bool answer_is_right(int answer)
{
	return answer == 0 || answer == -EDEADLK ||
	       (!ring.meeting && (answer == CANCEL_REMOVED || answer == CANCEL_INSIDE));
}

static void judge_ring(unsigned long before)
{
	if (ring.meeting)
		stress_expect(atomic_load(&deadlocks) > before, "%u wait in a ring (%s, %s): no -EDEADLK",
			      ring.count, ways_to_wait[ring.seats[0].way].name,
			      ways_to_wait[ring.seats[1].way].name);
	for (unsigned i = 0; i < ring.count; i++) {
		const struct seat *seat = &ring.seats[i];

		stress_expect(seat_is_right(seat), "%s: told %d times", ways_to_wait[seat->way].name,
			      stress_node_told(&seat->node));
		stress_expect(answer_is_right(seat->answer), "%s says %d", ways_to_wait[seat->way].name,
			      seat->answer);
	}
}

static void play_crossed(void)
{
	uint64_t random = stress_seed(100);
	struct stress_team team;

	stress_team_start(&team, RING_MAX, act_in_ring, NULL);
	while (stress_going()) {
		unsigned long before = atomic_load(&deadlocks);

		set_up_ring(&random);
		stress_team_round(&team);
		tear_down_ring();
		judge_ring(before);
	}
	stress_team_end(&team);
}

/* --- deeds -------------------------------------------------------------------------------------------- */

enum { LEAVES = 6, TREES = 3 };

struct tree;

struct leaf {
	struct stress_node node;
	struct tree *tree;
	unsigned deed;
	bool of_child, running;
};

/* Everything here happens on one thread at a time, so what must come of a deed is known. */
struct tree {
	struct cancel_source parent, child;
	struct cancel_link link;
	struct leaf leaves[2 * LEAVES]; /* of the parent, then of the child */
	uint64_t random;
	bool parent_gone, child_gone, link_gone;
	bool unlinked;
};

static bool leaf_is_orphan(const struct leaf *leaf)
{
	return leaf->of_child ? leaf->tree->child_gone : leaf->tree->parent_gone;
}

static struct cancel_source *leaf_source(const struct leaf *leaf)
{
	return leaf->of_child ? &leaf->tree->child : &leaf->tree->parent;
}

static void do_nothing(struct leaf *leaf)
{
	(void)leaf;
}

static void bury_node(struct leaf *leaf)
{
	if (!leaf->node.gone)
		stress_node_bury(&leaf->node);
}

static int expected_removal(const struct leaf *leaf)
{
	if (leaf->running)
		return CANCEL_INSIDE;
	return stress_node_told(&leaf->node) ? CANCEL_FINISHED : CANCEL_REMOVED;
}

/* A source outlives the removal of what it has called. */
static void remove_leaf(struct leaf *leaf)
{
	int expected = expected_removal(leaf), code;

	if (leaf->node.gone || (leaf_is_orphan(leaf) && expected != CANCEL_REMOVED))
		return;
	code = stress_node_try_remove(&leaf->node);
	stress_expect(code == expected, "removing from inside says %d, not %d", code, expected);
	if (code == CANCEL_INSIDE)
		stress_node_bury(&leaf->node);
}

static void remove_any(struct leaf *leaf)
{
	remove_leaf(&leaf->tree->leaves[stress_pick(&leaf->tree->random, 2 * LEAVES)]);
}

static void remove_all(struct leaf *leaf)
{
	for (unsigned i = 0; i < 2 * LEAVES; i++)
		remove_leaf(&leaf->tree->leaves[i]);
}

static bool child_is_running(const struct tree *tree)
{
	for (unsigned i = LEAVES; i < 2 * LEAVES; i++)
		if (tree->leaves[i].running)
			return true;
	return false;
}

static void expect_child_told(const struct tree *tree)
{
	for (unsigned i = LEAVES; i < 2 * LEAVES; i++)
		stress_expect(tree->child_gone || stress_node_right(&tree->leaves[i].node),
			      "a child's callback is not told: %d", stress_node_told(&tree->leaves[i].node));
}

/* Who unlinks a child that is marked and not told tells it, and not if it is told or was. */
static void unlink_child(struct leaf *leaf)
{
	struct tree *tree = leaf->tree;
	bool inside = child_is_running(tree);
	int code;

	if (tree->unlinked || tree->child_gone)
		return;
	tree->unlinked = true;
	code = cancel_link_remove(&tree->link);
	stress_expect(code == CANCEL_FINISHED || (code == CANCEL_REMOVED && !inside), "unlinking %s: %d",
		      inside ? "inside" : "not inside", code);
	stress_bury(&tree->link, sizeof(tree->link));
	tree->link_gone = true;
	if (!inside)
		expect_child_told(tree);
}

static void end_child(struct leaf *leaf)
{
	struct tree *tree = leaf->tree;
	bool linked = !tree->unlinked;
	int code;

	/* While it is being told because it is unlinked, who unlinks it still needs it. */
	if (tree->child_gone || (tree->unlinked && !tree->link_gone))
		return;
	tree->child_gone = true;
	tree->unlinked = true;
	code = linked ? cancel_linked_fini(&tree->child, &tree->link, 1) : cancel_source_fini(&tree->child);
	stress_expect(code == 0, "ending the child inside says %d", code);
	stress_bury(&tree->child, sizeof(tree->child));
	if (linked) {
		stress_bury(&tree->link, sizeof(tree->link));
		tree->link_gone = true;
	}
}

/* Its marked child is told before. */
static void end_parent(struct leaf *leaf)
{
	struct tree *tree = leaf->tree;
	bool told = !child_is_running(tree);
	int code;

	if (tree->parent_gone || (tree->unlinked && !tree->link_gone))
		return;
	tree->parent_gone = true;
	code = cancel_source_fini(&tree->parent);
	stress_expect(code == 0, "ending the parent inside says %d", code);
	stress_bury(&tree->parent, sizeof(tree->parent));
	if (told)
		expect_child_told(tree);
}

static void add_inside(struct leaf *leaf)
{
	struct stress_node node = {0};
	int code;

	if (leaf_is_orphan(leaf))
		return;
	code = cancel_registration_add(&node.registration, cancel_source_token(leaf_source(leaf)),
				       stress_node_tell, &node);
	stress_expect(code == 1 && stress_node_right(&node), "adding inside says %d", code);
	code = cancel_registration_try_add(&node.registration, cancel_source_token(leaf_source(leaf)),
					   stress_node_tell, &node);
	stress_expect(code == 1 && stress_node_right(&node), "trying to add inside says %d", code);
}

static void cancel_again(struct leaf *leaf)
{
	if (!leaf_is_orphan(leaf))
		stress_expect(cancel_source_cancel(leaf_source(leaf), NULL) == 0, "cancelled twice");
}

static void wait_inside(struct leaf *leaf)
{
	if (leaf_is_orphan(leaf))
		return;
	stress_expect(cancel_token_wait(cancel_source_token(leaf_source(leaf)), CANCEL_FOREVER) == 1,
		      "waiting inside");
	stress_expect(cancel_source_quiesce(leaf_source(leaf), CANCEL_FOREVER) == -EDEADLK, "quiesce inside");
}

static void cancel_another(struct leaf *leaf)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct stress_node node = {0};

	(void)leaf;
	(void)cancel_registration_add(&node.registration, cancel_source_token(&source), stress_node_tell,
				      &node);
	stress_expect(cancel_source_cancel(&source, NULL) == 1 && stress_node_right(&node),
		      "another, inside");
	(void)cancel_source_fini(&source);
}

static void (*const deeds[])(struct leaf *leaf) = {
	do_nothing, bury_node,  remove_leaf, remove_any,   remove_any,  remove_all,     unlink_child,
	end_child,  end_parent, add_inside,  cancel_again, wait_inside, cancel_another,
};

static void do_deed(void *arg, struct cancel_token token)
{
	struct leaf *leaf = arg;

	stress_expect(!leaf_is_orphan(leaf), "called after its source has ended");
	stress_expect(!leaf->node.removed, "called after it was removed");
	stress_node_tell(&leaf->node, token);
	leaf->running = true;
	deeds[leaf->deed](leaf);
	leaf->running = false;
	(void)atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
}

static void dig_up_tree(struct tree *tree)
{
	if (tree->parent_gone)
		stress_dig_up(&tree->parent, sizeof(tree->parent));
	if (tree->child_gone)
		stress_dig_up(&tree->child, sizeof(tree->child));
	if (tree->link_gone)
		stress_dig_up(&tree->link, sizeof(tree->link));
	tree->parent_gone = tree->child_gone = tree->link_gone = tree->unlinked = false;
}

static void add_leaf(struct tree *tree, unsigned i)
{
	struct leaf *leaf = &tree->leaves[i];

	stress_node_reset(&leaf->node, 0);
	leaf->tree = tree;
	leaf->of_child = i >= LEAVES;
	leaf->deed = stress_pick(&tree->random, COUNT(deeds));
	(void)cancel_registration_add(&leaf->node.registration, cancel_source_token(leaf_source(leaf)),
				      do_deed, leaf);
}

static void grow_tree(struct tree *tree)
{
	unsigned place = stress_pick(&tree->random, LEAVES);

	dig_up_tree(tree);
	cancel_source_init(&tree->parent, NULL);
	cancel_source_init(&tree->child, NULL);
	for (unsigned i = 0; i < 2 * LEAVES; i++) {
		if (i == place)
			(void)cancel_link_add(&tree->link, &tree->child, cancel_source_token(&tree->parent));
		add_leaf(tree, i);
	}
}

static void judge_tree(const struct tree *tree)
{
	for (unsigned i = 0; i < 2 * LEAVES; i++) {
		const struct leaf *leaf = &tree->leaves[i];

		stress_expect(stress_node_right(&leaf->node) ||
				      (leaf_is_orphan(leaf) && stress_node_told(&leaf->node) == 0),
			      "leaf %u told %d times", i, stress_node_told(&leaf->node));
	}
}

static void fell_tree(struct tree *tree)
{
	if (!tree->child_gone && tree->unlinked)
		stress_expect(cancel_source_fini(&tree->child) == 0, "the child does not end");
	else if (!tree->child_gone)
		stress_expect(cancel_linked_fini(&tree->child, &tree->link, 1) == 0,
			      "the child does not end");
	if (!tree->parent_gone)
		stress_expect(cancel_source_fini(&tree->parent) == 0, "the parent does not end");
}

/* The dispatcher has done all that waits for it once it is stopped: the source itself may be gone. */
static void cancel_on_dispatcher(struct tree *tree)
{
	int code = cancel_source_cancel_deferred(&tree->parent, NULL);

	stress_expect(code == 1, "cancel_deferred says %d", code);
	code = cancel_dispatcher_stop();
	stress_expect(code == 0, "cancel_dispatcher_stop says %d", code);
}

static void act_in_trees(void *scene, unsigned member, uint64_t *random)
{
	struct tree *tree = &((struct tree *)scene)[member];

	tree->random = stress_chance(random);
	grow_tree(tree);
	if (member == 0 && stress_one_in(random, 4))
		cancel_on_dispatcher(tree);
	else
		stress_expect(cancel_source_cancel(&tree->parent, NULL) == 1,
			      "the tree was cancelled before");
	judge_tree(tree);
	fell_tree(tree);
}

static void play_deeds(void)
{
	static struct tree trees[TREES];
	struct stress_team team;

	stress_team_start(&team, TREES, act_in_trees, trees);
	while (stress_going())
		stress_team_round(&team);
	stress_team_end(&team);
}

/* --- two roots ---------------------------------------------------------------------------------------- */

enum { ROOTS = 2, TWIGS = 12, TWIG_NODES = 4 };

/* One in two is ended by its own callback, if that is called; the others by the third thread. */
struct twig {
	struct cancel_source source;
	struct cancel_link links[ROOTS];
	struct stress_node nodes[TWIG_NODES];
	bool ends_itself, gone;
	unsigned ender; /* which node ends it */
};

static struct grove {
	struct cancel_source roots[ROOTS];
	struct stress_node root_nodes[ROOTS];
	struct twig twigs[TWIGS];
} grove;

static void end_twig(struct twig *twig)
{
	int code = cancel_linked_fini(&twig->source, twig->links, ROOTS);

	stress_expect(code == 0, "ending a child of two says %d", code);
	stress_bury(&twig->source, sizeof(twig->source));
	stress_bury(twig->links, sizeof(twig->links));
	twig->gone = true;
}

static void tell_and_end(void *arg, struct cancel_token token)
{
	struct twig *twig = arg;

	stress_node_tell(&twig->nodes[twig->ender], token);
	stress_node_bury(&twig->nodes[twig->ender]);
	end_twig(twig);
}

static void set_up_twig(struct twig *twig, uint64_t *random)
{
	if (twig->gone) {
		stress_dig_up(&twig->source, sizeof(twig->source));
		stress_dig_up(twig->links, sizeof(twig->links));
		twig->gone = false;
	}
	cancel_source_init(&twig->source, NULL);
	twig->ends_itself = stress_one_in(random, 2);
	twig->ender = twig->ends_itself ? stress_pick(random, TWIG_NODES) : TWIG_NODES;
	for (unsigned i = 0; i < TWIG_NODES; i++) {
		stress_node_reset(&twig->nodes[i], 0);
		(void)cancel_registration_add(&twig->nodes[i].registration,
					      cancel_source_token(&twig->source),
					      i == twig->ender ? tell_and_end : stress_node_tell,
					      i == twig->ender ? (void *)twig : &twig->nodes[i]);
	}
	for (unsigned i = 0; i < ROOTS; i++)
		(void)cancel_link_add(&twig->links[i], &twig->source, cancel_source_token(&grove.roots[i]));
}

static void set_up_grove(uint64_t *random)
{
	for (unsigned i = 0; i < ROOTS; i++) {
		cancel_source_init(&grove.roots[i], NULL);
		stress_node_reset(&grove.root_nodes[i], 0);
	}
	for (unsigned i = 0; i < TWIGS; i++)
		set_up_twig(&grove.twigs[i], random);
	for (unsigned i = 0; i < ROOTS; i++)
		(void)cancel_registration_add(&grove.root_nodes[i].registration,
					      cancel_source_token(&grove.roots[i]), stress_node_tell,
					      &grove.root_nodes[i]);
}

static void act_in_grove(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	if (member < ROOTS) {
		stress_expect(cancel_source_cancel(&grove.roots[member], NULL) == 1, "cancelled before");
		return;
	}
	for (unsigned i = TWIGS; i-- > 0;)
		if (!grove.twigs[i].ends_itself)
			end_twig(&grove.twigs[i]);
}

/* The latest registered is called first: those after the one that ends it were told, those before were not.
 * Who was ended from outside was told wholly or not at all. */
static void judge_twig(const struct twig *twig)
{
	int first = stress_node_told(&twig->nodes[0]);

	for (unsigned i = 0; i < TWIG_NODES; i++) {
		int told = stress_node_told(&twig->nodes[i]),
		    expected = twig->ends_itself ? i >= twig->ender : first;

		stress_expect(told == expected, "child that %s: node %u told %d times, not %d",
			      twig->ends_itself ? "ends itself" : "is ended", i, told, expected);
	}
	stress_expect(twig->gone, "the child's callback that ends it was not called");
}

static void play_two_roots(void)
{
	uint64_t random = stress_seed(102);
	struct stress_team team;

	stress_team_start(&team, ROOTS + 1, act_in_grove, NULL);
	while (stress_going()) {
		set_up_grove(&random);
		stress_team_round(&team);
		for (unsigned i = 0; i < TWIGS; i++)
			judge_twig(&grove.twigs[i]);
		for (unsigned i = 0; i < ROOTS; i++) {
			stress_expect(stress_node_right(&grove.root_nodes[i]),
				      "a root's callback is not told");
			stress_expect(cancel_source_fini(&grove.roots[i]) == 0, "a root does not end");
		}
	}
	stress_team_end(&team);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"crossed", 30, play_crossed},
		{"deeds", 35, play_deeds},
		{"two roots", 35, play_two_roots},
	};

	stress_play("inside", parts, COUNT(parts));
	return stress_end("%lu deadlocks told, %lu deeds done", atomic_load(&deadlocks), atomic_load(&done));
}
