/*
 * Tokens: links, and trees of them, while they change. Parts:
 *
 *   trees         four workers make children of random parents, up to four deep, register on them,
 *                 unlink and end them, while three threads cancel the roots, each in its own way.
 *                 Whoever is linked below a cancelled root is cancelled, knows its cause and origin,
 *                 and is told once.
 *   diamond       a child of two children of one root is told once, whoever of the three is cancelled
 *                 by whom, and whoever is unlinked meanwhile.
 *   by unlinking  a child that is marked, and unlinked before its turn comes, is told by who unlinks
 *                 it.
 *   wide          a thousand children are cancelled before the first callback is called, while a
 *                 thread ends others.
 *   deep          a chain of the greatest depth is cut while it is cancelled: all above the cut is
 *                 cancelled, and below it all or nothing. Or one of them is cancelled by a signal at
 *                 the same time: all is marked before the first callback. One deeper is refused.
 *
 * Mutations that this catches: a child marked after the first callback; a child marked twice and told
 * twice; a marked child that is told by nobody, or by its parent and by who unlinked it; unlinking
 * that does not wait; the parent taken for the origin; one link too many on the way down.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static atomic_ulong children, children_cancelled;

static struct cancel_token token_of(const struct cancel_source *source)
{
	return cancel_source_token(source);
}

static bool is_cancelled(const struct cancel_source *source)
{
	return cancel_token_requested(cancel_source_token(source));
}

/* True: it was called at once. */
static bool listen(struct stress_node *node, const struct cancel_source *source)
{
	int code;

	stress_node_reset(node, 0);
	code = cancel_registration_add(&node->registration, token_of(source), stress_node_tell, node);
	stress_expect(code == 0 || (code == 1 && stress_node_told(node) == 1), "add says %d, told %d times",
		      code, stress_node_told(node));
	return code == 1;
}

static void unlink_one(struct cancel_link *link)
{
	int code = cancel_link_remove(link);

	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "unlinking says %d", code);
	stress_bury(link, sizeof(*link));
}

static void end_source(struct cancel_source *source)
{
	int code = cancel_source_fini(source);

	stress_expect(code == 0, "fini says %d", code);
}

/* --- trees: what stands for a round ------------------------------------------------------------------- */

enum {
	ROOTS = 3,
	BOUGHS = 4, /* below roots */
	TWIGS = 4,  /* below boughs and roots */
	PERCHES = ROOTS + BOUGHS + TWIGS,
	FORKS = 2, /* parents of a bough or a twig */
	WORKERS = 4,
	CANCEL_WITHIN_SPINS = 20000,
};

static const struct cancel_cause root_causes[ROOTS] = {
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the first root"),
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the second root"),
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the third root"),
};
static const struct cancel_cause own_cause = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "by itself");

/* What a worker's child may be linked to. */
struct perch {
	struct cancel_source source;
	struct cancel_link links[FORKS];
	struct stress_node node;
	unsigned roots; /* those above it, or itself: a bit for each */
};

static struct forest {
	struct perch perches[PERCHES]; /* roots, boughs, twigs: parents before children */
	unsigned cancelled;            /* the roots that are cancelled in this round */
	unsigned ways[ROOTS];
	atomic_uint over; /* the roots whose trees are cancelled */
} forest;

/* Nobody hears of a cancellation before all that stands is marked. */
static void look_around(void *arg, struct cancel_token token)
{
	struct stress_node *node = arg;
	const struct cancel_source *origin = cancel_token_origin(token);

	for (unsigned i = 0; i < PERCHES; i++) {
		const struct perch *perch = &forest.perches[i];

		for (unsigned root = 0; root < ROOTS; root++)
			if (perch->roots & 1U << root && origin == &forest.perches[root].source)
				stress_expect(is_cancelled(&perch->source), "callback before all was marked");
	}
	stress_node_tell(node, token);
}

static void set_up_perch(unsigned i, unsigned below, uint64_t *random)
{
	struct perch *perch = &forest.perches[i];

	cancel_source_init(&perch->source, NULL);
	perch->roots = below ? 0 : 1U << i;
	for (unsigned fork = 0; below && fork < FORKS; fork++) {
		struct perch *parent = &forest.perches[stress_pick(random, below)];
		int code = cancel_link_add(&perch->links[fork], &perch->source, token_of(&parent->source));

		stress_expect(code == 0, "link says %d", code);
		perch->roots |= parent->roots;
	}
	stress_node_reset(&perch->node, 0);
	(void)cancel_registration_add(&perch->node.registration, token_of(&perch->source), look_around,
				      &perch->node);
}

static void set_up_forest(uint64_t *random)
{
	forest.cancelled = stress_pick(random, 1U << ROOTS);
	atomic_store(&forest.over, 0);
	for (unsigned i = 0; i < ROOTS; i++)
		forest.ways[i] = stress_pick(random, ROOTS);
	for (unsigned i = 0; i < PERCHES; i++)
		set_up_perch(i, i < ROOTS ? 0 : i < ROOTS + BOUGHS ? ROOTS : ROOTS + BOUGHS, random);
}

static void judge_perch(const struct perch *perch)
{
	bool should = perch->roots & forest.cancelled;

	stress_expect(is_cancelled(&perch->source) == should, "a perch is %scancelled", should ? "not " : "");
	stress_expect(stress_node_told(&perch->node) == should, "a perch is told %d times",
		      stress_node_told(&perch->node));
}

static void judge_forest(void)
{
	for (unsigned i = 0; i < ROOTS; i++)
		stress_expect(cancel_source_quiesce(&forest.perches[i].source, CANCEL_FOREVER) == 0,
			      "quiesce");
	for (unsigned i = PERCHES; i-- > 0;) {
		struct perch *perch = &forest.perches[i];

		judge_perch(perch);
		if (i < ROOTS)
			end_source(&perch->source);
		else
			stress_expect(cancel_linked_fini(&perch->source, perch->links, FORKS) == 0,
				      "cancel_linked_fini");
	}
}

/* --- trees: the roots --------------------------------------------------------------------------------- */

static void cancel_root_here(struct cancel_source *root, const struct cancel_cause *cause)
{
	stress_expect(cancel_source_cancel(root, cause) == 1, "cancelled before");
}

static void cancel_root_deferred(struct cancel_source *root, const struct cancel_cause *cause)
{
	stress_expect(cancel_source_cancel_deferred(root, cause) == 1, "cancelled before");
}

/* Only the root is marked at once. */
static void cancel_root_from_signal(struct cancel_source *root, const struct cancel_cause *cause)
{
	stress_expect(cancel_source_cancel_from_signal(root, cause) == 1, "cancelled before");
	stress_expect(cancel_source_quiesce(root, CANCEL_FOREVER) == 0, "quiesce");
}

static void (*const ways[ROOTS])(struct cancel_source *root, const struct cancel_cause *cause) = {
	cancel_root_here,
	cancel_root_deferred,
	cancel_root_from_signal,
};

static void cancel_root(unsigned root, uint64_t *random)
{
	if (!(forest.cancelled & 1U << root))
		return;
	stress_spin(stress_pick(random, CANCEL_WITHIN_SPINS));
	ways[forest.ways[root]](&forest.perches[root].source, &root_causes[root]);
	(void)atomic_fetch_or(&forest.over, 1U << root);
}

/* --- trees: the workers ------------------------------------------------------------------------------- */

enum { CHILDREN = 12, PARENTS_MAX = 3, NODES_MAX = 9, LINEAGE_MAX = 2 };

/* Made, used and ended by one worker. Its own child makes the tree deeper. */
struct child {
	struct cancel_source source;
	struct cancel_link links[PARENTS_MAX];
	struct cancel_token parents[PARENTS_MAX];
	struct stress_node nodes[NODES_MAX];
	unsigned parent_count, node_count;
	unsigned listed; /* the nodes that were not called at once: the first ones */
	unsigned roots;  /* those above it */
	bool by_itself;  /* it was cancelled so, if it was not before */
	bool buried;
};

struct lineage {
	struct child generations[LINEAGE_MAX];
	unsigned count;
};

static void pick_parents(struct child *child, const struct child *above, uint64_t *random)
{
	child->roots = above ? above->roots : 0;
	child->parent_count = 1 + stress_pick(random, PARENTS_MAX);
	for (unsigned i = 0; i < child->parent_count; i++) {
		const struct perch *perch = &forest.perches[stress_pick(random, PERCHES)];

		if (i == 0 && above) {
			child->parents[i] = token_of(&above->source);
			continue;
		}
		child->parents[i] = token_of(&perch->source);
		child->roots |= perch->roots;
	}
}

/* Dead parents give a dead child at once. */
static void link_child(struct child *child, const struct child *above, uint64_t *random)
{
	unsigned over = atomic_load(&forest.over);
	bool dead;
	int code;

	if (child->buried) {
		stress_dig_up(&child->source, sizeof(child->source));
		stress_dig_up(child->links, sizeof(child->links[0]) * child->parent_count);
	}
	pick_parents(child, above, random);
	dead = cancel_token_requested_any(child->parents, child->parent_count) ||
	       (!above && over & child->roots);
	code = cancel_linked_init(&child->source, &own_cause, child->links, child->parents,
				  child->parent_count);
	stress_expect(code == 0 || code == 1, "cancel_linked_init says %d", code);
	stress_expect(!dead || code == 1, "a child of what is cancelled is not cancelled");
	stress_expect(code == 0 || is_cancelled(&child->source), "cancelled, and is not");
	child->by_itself = false;
	child->node_count = stress_pick(random, NODES_MAX + 1);
	child->listed = 0;
	for (unsigned i = 0; i < child->node_count; i++)
		child->listed += !listen(&child->nodes[i], &child->source);
}

static unsigned count_fired(const struct child *child)
{
	unsigned fired = 0;

	for (unsigned i = 0; i < child->parent_count; i++)
		fired += cancel_link_fired(&child->links[i]);
	return fired;
}

/* A root that is above it, or the first of the lineage if it was cancelled by itself, and the cause of that.
 */
static void judge_cause(const struct child *child, const struct lineage *lineage)
{
	const struct cancel_cause *cause = cancel_token_cause(token_of(&child->source));
	const struct cancel_source *origin = cancel_token_origin(token_of(&child->source));
	const struct child *first = &lineage->generations[0];
	bool right = first->by_itself && cause == &own_cause && origin == &first->source;

	for (unsigned i = 0; i < ROOTS; i++)
		right = right || (child->roots & 1U << i && cause == &root_causes[i] &&
				  origin == &forest.perches[i].source);
	stress_expect(right, "cause \"%s\" and origin do not fit", cause ? cause->text : "none");
}

static void judge_which(const struct child *child)
{
	int which = cancel_linked_which(child->links, child->parent_count);
	unsigned fired = count_fired(child);

	if (cancel_token_cause(token_of(&child->source)) == &own_cause &&
	    cancel_token_origin(token_of(&child->source)) == &child->source) {
		stress_expect(which == -1 && fired == 0, "cancelled by itself, %u links fired", fired);
		return;
	}
	stress_expect(fired == 1 && which >= 0, "%u links fired, which says %d", fired, which);
	if (which < 0)
		return;
	stress_expect(cancel_token_cause(child->parents[which]) ==
				      cancel_token_cause(token_of(&child->source)) &&
			      cancel_token_origin(child->parents[which]) ==
				      cancel_token_origin(token_of(&child->source)),
		      "the link that fired has another cause");
}

/* What is cancelled by now, cancelled it too. */
static void judge_child(const struct child *child, const struct lineage *lineage)
{
	if (atomic_load(&forest.over) & child->roots)
		stress_expect(is_cancelled(&child->source), "linked below what is cancelled, and is not");
	if (!is_cancelled(&child->source))
		return;
	judge_cause(child, lineage);
	judge_which(child);
}

static void cancel_itself(struct child *child)
{
	child->by_itself = true;
	(void)cancel_source_cancel(&child->source, NULL);
}

/* Without links it is told by now, or is being told, or never will be. */
static void unlink_child(struct child *child, uint64_t *random)
{
	unsigned first = stress_pick(random, child->parent_count);
	bool cancelled;

	for (unsigned i = 0; i < child->parent_count; i++)
		unlink_one(&child->links[(first + i) % child->parent_count]);
	stress_expect(cancel_source_quiesce(&child->source, CANCEL_FOREVER) == 0, "quiesce");
	cancelled = is_cancelled(&child->source);
	for (unsigned i = 0; i < child->node_count; i++)
		stress_expect(cancelled ? stress_node_right(&child->nodes[i])
					: stress_node_told(&child->nodes[i]) == 0,
			      "unlinked, %scancelled: told %d times", cancelled ? "" : "not ",
			      stress_node_told(&child->nodes[i]));
	end_source(&child->source);
}

static void end_child(struct child *child, uint64_t *random)
{
	int code = cancel_linked_fini(&child->source, child->links, child->parent_count);

	(void)random;
	stress_expect(code == 0, "cancel_linked_fini says %d", code);
	stress_bury(child->links, sizeof(child->links[0]) * child->parent_count);
	for (unsigned i = 0; i < child->node_count; i++)
		stress_expect(stress_node_told(&child->nodes[i]) ==
				      (i < child->listed ? stress_node_told(&child->nodes[0]) : 1),
			      "ended, and told in part");
}

static void take_back_nodes(struct child *child)
{
	for (unsigned i = 0; i < child->node_count; i++)
		(void)stress_node_remove(&child->nodes[i]);
	child->node_count = 0;
}

static void bury_child(struct child *child, uint64_t *random)
{
	if (stress_one_in(random, 4))
		take_back_nodes(child);
	if (stress_one_in(random, 2))
		unlink_child(child, random);
	else
		end_child(child, random);
	stress_bury(&child->source, sizeof(child->source));
	child->buried = true;
	for (unsigned i = 0; i < child->node_count; i++)
		if (!child->nodes[i].gone)
			stress_node_bury(&child->nodes[i]);
}

static void live_and_die(struct lineage *lineage, uint64_t *random)
{
	lineage->count = 1 + stress_pick(random, LINEAGE_MAX);
	for (unsigned i = 0; i < lineage->count; i++)
		link_child(&lineage->generations[i], i ? &lineage->generations[i - 1] : NULL, random);
	if (stress_one_in(random, 8))
		cancel_itself(&lineage->generations[0]);
	stress_dawdle(random);
	for (unsigned i = 0; i < lineage->count; i++)
		judge_child(&lineage->generations[i], lineage);
	(void)atomic_fetch_add_explicit(&children, lineage->count, memory_order_relaxed);
	for (unsigned i = lineage->count; i-- > 0;) {
		(void)atomic_fetch_add_explicit(&children_cancelled,
						is_cancelled(&lineage->generations[i].source),
						memory_order_relaxed);
		bury_child(&lineage->generations[i], random);
	}
}

static void act_in_forest(void *scene, unsigned member, uint64_t *random)
{
	struct lineage *lineages = scene;

	if (member < ROOTS) {
		cancel_root(member, random);
		return;
	}
	for (unsigned i = 0; i < CHILDREN; i++)
		live_and_die(&lineages[member - ROOTS], random);
}

static void play_trees(void)
{
	static struct lineage lineages[WORKERS];
	uint64_t random = stress_seed(100);
	struct stress_team team;

	stress_team_start(&team, ROOTS + WORKERS, act_in_forest, lineages);
	while (stress_going()) {
		set_up_forest(&random);
		stress_team_round(&team);
		judge_forest();
	}
	stress_team_end(&team);
}

/* --- diamond ------------------------------------------------------------------------------------------ */

enum { SIDES = 2 };

static struct diamond {
	struct cancel_source root, sides[SIDES], bottom;
	struct cancel_link side_links[SIDES], bottom_links[SIDES];
	struct stress_node node;
	bool from_root, cut, was_cut;
} diamond;

static void set_up_diamond(uint64_t *random)
{
	if (diamond.was_cut)
		stress_dig_up(&diamond.bottom_links[0], sizeof(diamond.bottom_links[0]));
	diamond.from_root = stress_one_in(random, 2);
	diamond.cut = stress_one_in(random, 2);
	cancel_source_init(&diamond.root, NULL);
	cancel_source_init(&diamond.bottom, NULL);
	for (unsigned i = 0; i < SIDES; i++) {
		cancel_source_init(&diamond.sides[i], NULL);
		(void)cancel_link_add(&diamond.side_links[i], &diamond.sides[i], token_of(&diamond.root));
		(void)cancel_link_add(&diamond.bottom_links[i], &diamond.bottom, token_of(&diamond.sides[i]));
	}
	(void)listen(&diamond.node, &diamond.bottom);
}

static void act_in_diamond(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	if (member == SIDES) {
		if (diamond.cut)
			unlink_one(&diamond.bottom_links[0]);
		return;
	}
	stress_expect(cancel_source_cancel(diamond.from_root && member == 0 ? &diamond.root
									    : &diamond.sides[member],
					   NULL) >= 0,
		      "cancel");
}

static void tear_down_diamond(void)
{
	stress_expect(stress_node_right(&diamond.node), "the bottom of a diamond is told %d times",
		      stress_node_told(&diamond.node));
	if (!diamond.cut)
		unlink_one(&diamond.bottom_links[0]);
	diamond.was_cut = true;
	stress_expect(cancel_linked_fini(&diamond.bottom, &diamond.bottom_links[1], 1) == 0, "fini");
	for (unsigned i = 0; i < SIDES; i++)
		stress_expect(cancel_linked_fini(&diamond.sides[i], &diamond.side_links[i], 1) == 0, "fini");
	end_source(&diamond.root);
}

static void play_diamond(void)
{
	uint64_t random = stress_seed(101);
	struct stress_team team;

	stress_team_start(&team, SIDES + 1, act_in_diamond, NULL);
	while (stress_going()) {
		set_up_diamond(&random);
		stress_team_round(&team);
		tear_down_diamond();
	}
	stress_team_end(&team);
}

/* --- by unlinking ------------------------------------------------------------------------------------- */

/* The parent's last callback blocks, so the child is marked and its turn does not come. */
static struct hold_up {
	struct cancel_source parent, child, grandchild;
	struct cancel_link link, deeper;
	struct cancel_registration blocker;
	struct stress_node nodes[NODES_MAX], deep_node;
	unsigned count;
	bool deferred, forget, buried;
	atomic_bool blocking, released;
} hold_up;

static void block(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	atomic_store(&hold_up.blocking, true);
	stress_await(&hold_up.released);
}

static void set_up_hold_up(uint64_t *random)
{
	if (hold_up.buried) {
		stress_dig_up(&hold_up.child, sizeof(hold_up.child));
		stress_dig_up(&hold_up.link, sizeof(hold_up.link));
	}
	hold_up.count = stress_pick(random, NODES_MAX + 1);
	hold_up.deferred = stress_one_in(random, 4);
	hold_up.forget = stress_one_in(random, 4);
	atomic_store(&hold_up.blocking, false);
	atomic_store(&hold_up.released, false);
	cancel_source_init(&hold_up.parent, NULL);
	cancel_source_init(&hold_up.child, NULL);
	cancel_source_init(&hold_up.grandchild, NULL);
	(void)cancel_link_add(&hold_up.link, &hold_up.child, token_of(&hold_up.parent));
	(void)cancel_link_add(&hold_up.deeper, &hold_up.grandchild, token_of(&hold_up.child));
	for (unsigned i = 0; i < hold_up.count; i++)
		(void)listen(&hold_up.nodes[i], &hold_up.child);
	(void)listen(&hold_up.deep_node, &hold_up.grandchild);
	(void)cancel_registration_add(&hold_up.blocker, token_of(&hold_up.parent), block, NULL);
}

/* Told by who unlinks, unless it is ended: then it is forgotten, but not what is below it. */
static void unlink_marked(void)
{
	int expected = hold_up.forget ? 0 : 1, code;

	if (hold_up.forget) {
		unlink_one(&hold_up.deeper);
		code = cancel_linked_fini(&hold_up.child, &hold_up.link, 1);
		stress_expect(code == 0, "cancel_linked_fini says %d", code);
		stress_bury(&hold_up.link, sizeof(hold_up.link));
	} else {
		unlink_one(&hold_up.link);
		unlink_one(&hold_up.deeper);
	}
	for (unsigned i = 0; i < hold_up.count; i++)
		stress_expect(stress_node_told(&hold_up.nodes[i]) == expected, "marked and %s: told %d times",
			      hold_up.forget ? "ended" : "unlinked", stress_node_told(&hold_up.nodes[i]));
	stress_expect(stress_node_right(&hold_up.deep_node), "marked below it: told %d times",
		      stress_node_told(&hold_up.deep_node));
	if (!hold_up.forget)
		end_source(&hold_up.child);
	stress_bury(&hold_up.child, sizeof(hold_up.child));
	hold_up.buried = true;
}

static void act_in_hold_up(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	(void)random;
	if (member == 0) {
		int code = hold_up.deferred ? cancel_source_cancel_deferred(&hold_up.parent, NULL)
					    : cancel_source_cancel(&hold_up.parent, NULL);

		stress_expect(code == 1, "cancel says %d", code);
		return;
	}
	stress_await(&hold_up.blocking);
	stress_expect(is_cancelled(&hold_up.child) && is_cancelled(&hold_up.grandchild),
		      "not marked in time");
	unlink_marked();
	atomic_store(&hold_up.released, true);
}

static void play_by_unlinking(void)
{
	uint64_t random = stress_seed(102);
	struct stress_team team;

	stress_team_start(&team, 2, act_in_hold_up, NULL);
	while (stress_going()) {
		int expected;

		set_up_hold_up(&random);
		stress_team_round(&team);
		end_source(&hold_up.parent);
		stress_dig_up(&hold_up.deeper, sizeof(hold_up.deeper));
		end_source(&hold_up.grandchild);
		expected = hold_up.forget ? 0 : 1;
		for (unsigned i = 0; i < hold_up.count; i++)
			stress_expect(stress_node_told(&hold_up.nodes[i]) == expected,
				      "told %d times in the end", stress_node_told(&hold_up.nodes[i]));
	}
	stress_team_end(&team);
}

/* --- wide --------------------------------------------------------------------------------------------- */

enum { WIDTH = 1000, PRUNED = 300 };

static struct wide {
	struct cancel_source root;
	struct fringe {
		struct cancel_source source;
		struct cancel_link link;
		struct stress_node node;
		bool pruned, was_pruned;
	} fringes[WIDTH];
	struct cancel_registration first;
	unsigned pruned_from;
} wide;

/* All that will be told is marked by now. What is being pruned may not be looked at. */
static void look_at_width(void *arg, struct cancel_token token)
{
	unsigned unmarked = 0;

	(void)arg;
	for (unsigned i = 0; i < WIDTH; i++)
		if (!wide.fringes[i].pruned)
			unmarked +=
				!is_cancelled(&wide.fringes[i].source) ||
				cancel_token_cause(token_of(&wide.fringes[i].source)) != &root_causes[0] ||
				cancel_token_origin(token_of(&wide.fringes[i].source)) != token.source;
	stress_expect(unmarked == 0, "%u of %d children not marked before the first callback", unmarked,
		      WIDTH);
}

static void set_up_wide(uint64_t *random)
{
	cancel_source_init(&wide.root, NULL);
	wide.pruned_from = stress_pick(random, WIDTH);
	for (unsigned i = 0; i < WIDTH; i++) {
		struct fringe *fringe = &wide.fringes[i];

		if (fringe->was_pruned) {
			stress_dig_up(&fringe->source, sizeof(fringe->source));
			stress_dig_up(&fringe->link, sizeof(fringe->link));
		}
		fringe->pruned = (i + WIDTH - wide.pruned_from) % WIDTH < PRUNED;
		fringe->was_pruned = fringe->pruned;
		cancel_source_init(&fringe->source, NULL);
		(void)cancel_link_add(&fringe->link, &fringe->source, token_of(&wide.root));
		(void)listen(&fringe->node, &fringe->source);
	}
	(void)cancel_registration_add(&wide.first, token_of(&wide.root), look_at_width, NULL);
}

static void prune(struct fringe *fringe)
{
	int code = cancel_linked_fini(&fringe->source, &fringe->link, 1);

	stress_expect(code == 0, "cancel_linked_fini says %d", code);
	stress_bury(&fringe->source, sizeof(fringe->source));
	stress_bury(&fringe->link, sizeof(fringe->link));
	stress_expect(stress_node_told(&fringe->node) <= 1, "told twice");
}

static void act_in_wide(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	if (member == 0)
		stress_expect(cancel_source_cancel(&wide.root, &root_causes[0]) == 1, "cancelled before");
	for (unsigned i = 0; member == 1 && i < PRUNED; i++)
		prune(&wide.fringes[(wide.pruned_from + i) % WIDTH]);
}

static void tear_down_wide(void)
{
	for (unsigned i = 0; i < WIDTH; i++) {
		struct fringe *fringe = &wide.fringes[i];

		if (fringe->pruned)
			continue;
		stress_expect(stress_node_right(&fringe->node), "child %u told %d times", i,
			      stress_node_told(&fringe->node));
		stress_expect(cancel_linked_fini(&fringe->source, &fringe->link, 1) == 0, "fini");
	}
	end_source(&wide.root);
}

static void play_wide(void)
{
	uint64_t random = stress_seed(103);
	struct stress_team team;

	stress_team_start(&team, 2, act_in_wide, NULL);
	while (stress_going()) {
		set_up_wide(&random);
		stress_team_round(&team);
		tear_down_wide();
	}
	stress_team_end(&team);
}

/* --- deep --------------------------------------------------------------------------------------------- */

enum { DEPTH = CANCEL_LINK_DEPTH_MAX + 1 }; /* sources, the root among them */

static struct deep {
	struct cancel_source sources[DEPTH];
	struct cancel_link links[DEPTH]; /* to the one above; the root's is not used */
	struct stress_node nodes[DEPTH];
	struct cancel_registration first;
	unsigned cut;   /* the link that is removed meanwhile, or the source that is cancelled */
	bool by_signal; /* the latter */
	bool was_cut;
} deep;

/* What a handler cancelled, and has not been delivered, has not marked what is below it. The root has. */
static void look_down(void *arg, struct cancel_token token)
{
	unsigned unmarked = 0;

	(void)arg;
	(void)token;
	for (unsigned i = 0; i < DEPTH && deep.by_signal; i++)
		unmarked += !is_cancelled(&deep.sources[i]);
	stress_expect(unmarked == 0, "%u levels not marked before the first callback", unmarked);
}

static void refuse_one_deeper(void)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct cancel_link link;
	int code = cancel_link_add(&link, &source, token_of(&deep.sources[DEPTH - 1]));

	stress_expect(code == -ELOOP, "linking too deep says %d", code);
	end_source(&source);
}

static void set_up_deep(uint64_t *random)
{
	if (deep.was_cut)
		stress_dig_up(&deep.links[deep.cut], sizeof(deep.links[deep.cut]));
	deep.cut = 1 + stress_pick(random, DEPTH - 1);
	deep.by_signal = stress_one_in(random, 2);
	deep.was_cut = !deep.by_signal;
	for (unsigned i = 0; i < DEPTH; i++) {
		int code = 0;

		cancel_source_init(&deep.sources[i], NULL);
		if (i > 0)
			code = cancel_link_add(&deep.links[i], &deep.sources[i],
					       token_of(&deep.sources[i - 1]));
		stress_expect(code == 0, "linking %u deep says %d", i, code);
		(void)listen(&deep.nodes[i], &deep.sources[i]);
	}
	(void)cancel_registration_add(&deep.first, token_of(&deep.sources[0]), look_down, NULL);
	refuse_one_deeper();
}

static void act_in_deep(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	if (member == 0)
		stress_expect(cancel_source_cancel(&deep.sources[0], &root_causes[0]) == 1,
			      "cancelled before");
	else if (deep.by_signal)
		(void)cancel_source_cancel_from_signal(&deep.sources[deep.cut], &root_causes[1]);
	else
		unlink_one(&deep.links[deep.cut]);
}

/* From the cut on they are all alike; above it they have the root's cause. */
static void judge_level(unsigned i)
{
	struct cancel_token token = token_of(&deep.sources[i]);
	struct cancel_token like = token_of(&deep.sources[i < deep.cut ? 0 : deep.cut]);
	bool cancelled = cancel_token_requested(token);
	const struct cancel_cause *cause = cancel_token_cause(token);

	stress_expect(cancelled == cancel_token_requested(like) && (cancelled || !deep.by_signal),
		      "cut at %u: level %u is %scancelled", deep.cut, i, cancelled ? "" : "not ");
	stress_expect(stress_node_told(&deep.nodes[i]) == cancelled, "cut at %u: level %u told %d times",
		      deep.cut, i, stress_node_told(&deep.nodes[i]));
	stress_expect(cause == cancel_token_cause(like) &&
			      cancel_token_origin(token) == cancel_token_origin(like),
		      "cut at %u: level %u has another cause or origin", deep.cut, i);
	if (cancelled)
		stress_expect((cause == &root_causes[0] && cancel_token_origin(token) == &deep.sources[0]) ||
				      (deep.by_signal && i >= deep.cut && cause == &root_causes[1] &&
				       cancel_token_origin(token) == &deep.sources[deep.cut]),
			      "cut at %u: level %u has cause \"%s\"", deep.cut, i, cause->text);
}

static void play_deep(void)
{
	uint64_t random = stress_seed(104);
	struct stress_team team;

	stress_team_start(&team, 2, act_in_deep, NULL);
	while (stress_going()) {
		set_up_deep(&random);
		stress_team_round(&team);
		stress_expect(cancel_source_quiesce(&deep.sources[deep.cut], CANCEL_FOREVER) == 0, "quiesce");
		for (unsigned i = 0; i < DEPTH; i++)
			judge_level(i);
		for (unsigned i = DEPTH; i-- > 0;)
			stress_expect(cancel_linked_fini(&deep.sources[i], &deep.links[i],
							 i > 0 && (i != deep.cut || deep.by_signal)) == 0,
				      "fini");
	}
	stress_team_end(&team);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"trees", 40, play_trees},
		{"diamond", 15, play_diamond},
		{"by unlinking", 10, play_by_unlinking},
		{"wide", 15, play_wide},
		{"deep", 10, play_deep},
	};

	if (cancel_dispatcher_start() < 0)
		return 1;
	stress_play("links", parts, COUNT(parts));
	return stress_end("%lu children, %lu of them cancelled", atomic_load(&children),
			  atomic_load(&children_cancelled));
}
