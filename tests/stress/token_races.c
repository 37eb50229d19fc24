/*
 * Tokens: a callback is called or it is taken back, and never both, whoever races with whom. Parts:
 *
 *   removal    two threads cancel one source, each in its own way, while three take back, add and add
 *              again up to 200 registrations. Each node is judged: told once, or removed and never
 *              told. What is removed or finished is poisoned at once.
 *   duel       the same with one thread each, which two processors run at once, and many more rounds.
 *   blocked    a callback waits until all others of its cancellation have been removed by another
 *              thread: those before it are finished, one of them just now, those after it are removed,
 *              and nobody waits for it.
 *   ended      whoever sees the source cancelled, in any way of looking, ends and poisons it, against
 *              every way of cancelling.
 *   counted    sources and causes on the heap belong to whoever is the last to let go of them, a
 *              callback too: each cause is released once.
 *   the judge  the race again with a remover that lies must be found guilty, or the judge sleeps.
 *
 * Mutations that this catches: a claimed callback that is taken for one that has returned; one that is
 * removed and called all the same; a registration that is added after the callbacks were claimed and
 * never called; no fence between who removes and who calls; a removal that waits for a callback that
 * is not its own.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_target.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

enum {
	CANCELLERS = 2,
	REMOVERS = 3,
	NODES_MAX = 200,
	SLOW_ONE_IN = 16,
	SLOW_SPINS = 3000,
	ENDED_NODES = 12,
	SOON_NS = 30000,
	LOOKS_NS = 1000000,
};

static const unsigned sizes[] = {1, 7, 8, 9, 100, NODES_MAX};

/* How many spins a callback takes: faster than who removes, about as fast, slower. */
static const unsigned paces[] = {0, 20, 100, 300};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), PACES = sizeof(paces) / sizeof(paces[0]) };

static const struct cancel_cause causes[CANCELLERS] = {
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the first canceller"),
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER + 1, "the second canceller"),
};

static unsigned long removed, told, inline_told;

/* The last two ways are for one canceller each. */
static unsigned pick_way(uint64_t *random, unsigned canceller)
{
	unsigned way = stress_pick(random, STRESS_WAYS_SHARED + 1);

	if (way < STRESS_WAYS_SHARED)
		return way;
	return canceller == 0 ? STRESS_WAY_PARENT : STRESS_WAY_OVERDUE;
}

/* --- removal ------------------------------------------------------------------------------------------ */

struct race {
	struct stress_target target;
	struct stress_node nodes[NODES_MAX];
	unsigned char ways[NODES_MAX]; /* what its remover does with each */
	unsigned count;
	bool backwards; /* the latest first, as they are called */
	atomic_uint taken;
	unsigned cancellers; /* the first members of the team; the others remove */
	unsigned cancel_ways[CANCELLERS];
	bool won[CANCELLERS];
};

static void leave(struct race *race, struct stress_node *node)
{
	(void)race;
	(void)node;
}

static void take_back(struct race *race, struct stress_node *node)
{
	(void)race;
	(void)stress_node_remove(node);
}

static void take_back_now(struct race *race, struct stress_node *node)
{
	(void)race;
	(void)stress_node_remove_nowait(node);
}

static int add(struct race *race, struct stress_node *node)
{
	int code = cancel_registration_add(&node->registration, cancel_source_token(&race->target.source),
					   stress_node_tell, node);

	stress_expect(code == 0 || code == 1, "add says %d", code);
	if (code == 1)
		stress_expect(stress_node_told(node) == 1, "add says called, told %d times",
			      stress_node_told(node));
	return code;
}

static void add_late(struct race *race, struct stress_node *node)
{
	(void)add(race, node);
}

static void add_and_take_back(struct race *race, struct stress_node *node)
{
	int code = add(race, node);
	int removal = stress_node_remove(node);

	stress_expect(code == 0 || removal == CANCEL_FINISHED, "called while added, removal says %d",
		      removal);
}

static void try_to_add(struct race *race, struct stress_node *node)
{
	int code = cancel_registration_try_add(&node->registration, cancel_source_token(&race->target.source),
					       stress_node_tell, node);

	stress_expect(code == 0 || code == 1, "try_add says %d", code);
	if (code == 1) {
		node->removed = true;
		stress_node_bury(node);
	}
}

/* Out of the list and in again: it is used anew, unless it was called. */
static void renew(struct race *race, struct stress_node *node)
{
	int code = cancel_registration_remove(&node->registration);

	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "remove says %d", code);
	if (code == CANCEL_REMOVED)
		(void)add(race, node);
}

/* For the judge only. */
static void lie(struct race *race, struct stress_node *node)
{
	(void)race;
	(void)cancel_registration_remove_nowait(&node->registration);
	node->removed = true;
}

static const struct way_to_remove {
	void (*act)(struct race *race, struct stress_node *node);
	bool listed; /* registered before the race */
} ways_to_remove[] = {
	{take_back, true},   {take_back, true}, {take_back_now, true},
	{leave, true},       {add_late, false}, {add_and_take_back, false},
	{try_to_add, false}, {renew, true},     {lie, true},
};

enum { WAYS_TO_REMOVE = sizeof(ways_to_remove) / sizeof(ways_to_remove[0]), WAY_LIE = WAYS_TO_REMOVE - 1 };

static void set_up_race(struct race *race, uint64_t *random, bool lying)
{
	unsigned pace = paces[stress_pick(random, PACES)];

	race->count = sizes[stress_pick(random, SIZES)];
	race->backwards = stress_one_in(random, 2);
	atomic_store(&race->taken, 0);
	stress_target_begin(&race->target);
	for (unsigned i = 0; i < race->cancellers; i++)
		race->cancel_ways[i] = pick_way(random, i);
	for (unsigned i = 0; i < race->count; i++) {
		struct stress_node *node = &race->nodes[i];

		race->ways[i] = lying ? WAY_LIE : (unsigned char)stress_pick(random, WAY_LIE);
		stress_node_reset(node, stress_one_in(random, SLOW_ONE_IN) ? SLOW_SPINS : pace);
		if (ways_to_remove[race->ways[i]].listed)
			(void)add(race, node);
	}
}

static void remove_some(struct race *race, uint64_t *random)
{
	unsigned next;

	while ((next = atomic_fetch_add(&race->taken, 1)) < race->count) {
		unsigned i = race->backwards ? race->count - 1 - next : next;

		ways_to_remove[race->ways[i]].act(race, &race->nodes[i]);
		if (stress_one_in(random, SLOW_ONE_IN))
			stress_dawdle(random);
	}
}

/* Whoever cancelled has called all callbacks. */
static void cancel_in_race(struct race *race, unsigned canceller)
{
	unsigned way = race->cancel_ways[canceller];
	struct stress_target *target = &race->target;
	int code = stress_cancel(target, way, &causes[canceller]);

	stress_expect(cancel_token_requested(cancel_source_token(&target->source)), "%s: not cancelled after",
		      stress_way_name(way));
	race->won[canceller] = stress_won(target, way, code, &causes[canceller]);
	if (way == STRESS_WAY_HERE && code == 1)
		stress_expect(cancel_source_quiesce(&target->source, 0) == 0,
			      "cancel returned before all was told");
}

static void act_in_race(void *scene, unsigned member, uint64_t *random)
{
	struct race *race = scene;

	stress_dawdle(random);
	if (member >= race->cancellers) {
		remove_some(race, random);
		return;
	}
	cancel_in_race(race, member);
}

/* One won, and its cause is the source's. */
static void judge_cancellers(const struct race *race)
{
	const struct cancel_cause *cause = cancel_token_cause(cancel_source_token(&race->target.source));
	int won = 0;

	for (unsigned i = 0; i < race->cancellers; i++) {
		won += race->won[i];
		stress_expect(race->won[i] == (cause == &causes[i]), "%s: says %d, but the cause is \"%s\"",
			      stress_way_name(race->cancel_ways[i]), race->won[i], cause->text);
	}
	stress_expect(won == 1, "%d won", won);
}

static unsigned count_wrong(const struct race *race)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < race->count; i++)
		wrong += !stress_node_right(&race->nodes[i]);
	return wrong;
}

static void count_fates(const struct race *race)
{
	for (unsigned i = 0; i < race->count; i++) {
		removed += race->nodes[i].removed;
		told += stress_node_told(&race->nodes[i]) != 0;
		inline_told += !ways_to_remove[race->ways[i]].listed && stress_node_told(&race->nodes[i]);
	}
}

static unsigned play_race(struct stress_team *team, struct race *race, uint64_t *random, bool lying)
{
	int code;

	set_up_race(race, random, lying);
	stress_team_round(team);
	code = cancel_source_quiesce(&race->target.source, CANCEL_FOREVER);
	stress_expect(code == 0, "quiesce says %d", code);
	judge_cancellers(race);
	stress_target_end(&race->target);
	return count_wrong(race);
}

static struct race race;

static void play_races(unsigned cancellers, unsigned removers)
{
	uint64_t random = stress_seed(100);
	struct stress_team team;

	race.cancellers = cancellers;
	stress_team_start(&team, cancellers + removers, act_in_race, &race);
	while (stress_going()) {
		unsigned wrong = play_race(&team, &race, &random, false);

		stress_expect(wrong == 0, "%u of %u neither told nor removed, or both", wrong, race.count);
		count_fates(&race);
	}
	stress_team_end(&team);
}

static void play_removal(void)
{
	play_races(CANCELLERS, REMOVERS);
}

static void play_duel(void)
{
	play_races(1, 1);
}

/* However long that takes, somebody comes too late. */
static void play_judge(void)
{
	uint64_t random = stress_seed(101);
	struct stress_team team;
	unsigned found = 0;

	race.cancellers = CANCELLERS;
	stress_team_start(&team, CANCELLERS + REMOVERS, act_in_race, &race);
	while (found == 0) {
		(void)stress_going();
		found = play_race(&team, &race, &random, true);
	}
	stress_team_end(&team);
}

/* --- blocked ------------------------------------------------------------------------------------------ */

struct blockade {
	struct stress_target target;
	struct stress_node nodes[NODES_MAX];
	unsigned count, way;
	unsigned blocker; /* its callback waits until all others are removed */
	unsigned runner;  /* called before that one, its callback is still running when it is removed */
	struct cancel_source child; /* what blocks may be registered on this one */
	struct cancel_link link;
	bool in_child;
	atomic_bool blocking, released, running, removing;
};

static struct blockade blockade;

static void block(void *arg, struct cancel_token token)
{
	atomic_store(&blockade.blocking, true);
	stress_await(&blockade.released);
	stress_node_tell(arg, token);
}

/* Until who removes it is likely to sleep. */
static void run_on(void *arg, struct cancel_token token)
{
	atomic_store(&blockade.running, true);
	stress_await(&blockade.removing);
	stress_node_tell(arg, token);
}

static cancel_callback *pick_callback(unsigned i)
{
	if (i == blockade.blocker)
		return block;
	return i == blockade.runner ? run_on : stress_node_tell;
}

/* The child's callbacks are called at the place of its link. */
static void link_child(void)
{
	int code;

	cancel_source_init(&blockade.child, NULL);
	code = cancel_link_add(&blockade.link, &blockade.child, cancel_source_token(&blockade.target.source));
	stress_expect(code == 0, "linking what is new says %d", code);
}

static void set_up_blockade(uint64_t *random)
{
	blockade.count = 2 + stress_pick(random, ENDED_NODES);
	blockade.blocker = stress_pick(random, blockade.count);
	blockade.runner = blockade.blocker + 1; /* the latest registered is called first */
	blockade.way = stress_pick(random, STRESS_WAYS);
	blockade.in_child = stress_one_in(random, 2);
	atomic_store(&blockade.blocking, false);
	atomic_store(&blockade.released, false);
	atomic_store(&blockade.running, false);
	atomic_store(&blockade.removing, false);
	stress_target_begin(&blockade.target);
	for (unsigned i = 0; i < blockade.count; i++) {
		struct stress_node *node = &blockade.nodes[i];
		bool in_child = i == blockade.blocker && blockade.in_child;

		if (i == blockade.blocker)
			link_child();
		stress_node_reset(node, stress_one_in(random, 2) ? SLOW_SPINS : 0);
		(void)cancel_registration_add(
			&node->registration,
			cancel_source_token(in_child ? &blockade.child : &blockade.target.source),
			pick_callback(i), node);
	}
}

/* It waits for that callback, and not for the next one. */
static void remove_runner(void)
{
	int code;

	if (blockade.runner >= blockade.count)
		return;
	stress_await(&blockade.running);
	atomic_store(&blockade.removing, true);
	code = stress_node_remove(&blockade.nodes[blockade.runner]);
	stress_expect(code == CANCEL_FINISHED, "removing what runs says %d", code);
}

/* In any order. */
static void remove_around_blocker(uint64_t *random)
{
	unsigned first = stress_pick(random, blockade.count);

	for (unsigned i = 0; i < blockade.count; i++) {
		unsigned at = (first + i) % blockade.count;
		int code, expected = at > blockade.blocker ? CANCEL_FINISHED : CANCEL_REMOVED;

		if (at == blockade.blocker || at == blockade.runner)
			continue;
		code = stress_node_remove(&blockade.nodes[at]);
		stress_expect(code == expected, "of %u: %u blocks, removing %u says %d", blockade.count,
			      blockade.blocker, at, code);
	}
}

static void act_in_blockade(void *scene, unsigned member, uint64_t *random)
{
	int code;

	(void)scene;
	if (member == 0) {
		(void)stress_cancel(&blockade.target, blockade.way, &causes[0]);
		return;
	}
	remove_runner();
	stress_await(&blockade.blocking);
	remove_around_blocker(random);
	atomic_store(&blockade.released, true);
	code = stress_node_remove(&blockade.nodes[blockade.blocker]);
	stress_expect(code == CANCEL_FINISHED, "removing what blocked says %d", code);
}

static void play_blocked(void)
{
	uint64_t random = stress_seed(102);
	struct stress_team team;

	stress_team_start(&team, 2, act_in_blockade, NULL);
	while (stress_going()) {
		set_up_blockade(&random);
		stress_team_round(&team);
		stress_expect(cancel_linked_fini(&blockade.child, &blockade.link, 1) == 0, "fini");
		stress_target_end(&blockade.target);
		for (unsigned i = 0; i < blockade.count; i++)
			stress_expect(stress_node_right(&blockade.nodes[i]), "of %u: %u is wrong",
				      blockade.count, i);
	}
	stress_team_end(&team);
}

/* --- ended -------------------------------------------------------------------------------------------- */

struct ending {
	struct stress_target target;
	struct stress_node nodes[ENDED_NODES];
	unsigned count, removed_first, look, way;
	bool bare, buried;
};

static struct ending ending;

static void look_polling(struct cancel_token token)
{
	while (!cancel_token_requested(token))
		stress_spin(1);
}

static void look_waiting(struct cancel_token token)
{
	int code = cancel_token_wait(token, CANCEL_FOREVER);

	stress_expect(code == 1, "wait says %d", code);
}

static void look_waiting_for_any(struct cancel_token token)
{
	struct cancel_token tokens[] = {CANCEL_TOKEN_NONE, token};
	int code = cancel_token_wait_any(tokens, 2, CANCEL_FOREVER);

	stress_expect(code == 1, "wait_any says %d", code);
}

static void look_in_poll(struct cancel_token token)
{
	int code = cancel_token_poll(token, NULL, 0, CANCEL_FOREVER);

	stress_expect(code == -ECANCELED, "poll says %d", code);
}

static void look_for_a_while(struct cancel_token token)
{
	while (cancel_token_wait(token, LOOKS_NS) == 0)
		continue;
}

/* The first is the quickest. */
static void (*const looks[])(struct cancel_token token) = {
	look_polling, look_waiting, look_waiting_for_any, look_in_poll, look_for_a_while,
};

static void unlink_target(void)
{
	int code = cancel_link_remove(&ending.target.link);

	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "unlinking says %d", code);
	stress_bury(&ending.target.link, sizeof(ending.target.link));
}

/* A bare one has nothing to let go of: whoever polls it ends it in the next moment. */
static void set_up_ending(uint64_t *random)
{
	if (ending.buried) {
		stress_dig_up(&ending.target.source, sizeof(ending.target.source));
		stress_dig_up(&ending.target.link, sizeof(ending.target.link));
	}
	stress_target_begin(&ending.target);
	ending.bare = stress_one_in(random, 2);
	ending.way = stress_pick(random, ending.bare ? STRESS_WAYS_SHARED : STRESS_WAYS);
	ending.look = stress_pick(random, ending.bare ? 1 : sizeof(looks) / sizeof(looks[0]));
	ending.count = ending.bare ? 0 : stress_pick(random, ENDED_NODES + 1);
	ending.removed_first = stress_pick(random, ending.count + 1);
	for (unsigned i = 0; i < ending.count; i++) {
		stress_node_reset(&ending.nodes[i], stress_one_in(random, SLOW_ONE_IN) ? SLOW_SPINS : 0);
		(void)cancel_registration_add(&ending.nodes[i].registration,
					      cancel_source_token(&ending.target.source), stress_node_tell,
					      &ending.nodes[i]);
	}
	if (ending.bare)
		unlink_target();
}

/* The deadline is this thread's, for who sets one stops it. */
static void let_go(void)
{
	stress_expect(cancel_token_cause(cancel_source_token(&ending.target.source)) == &causes[0],
		      "not its cause");
	for (unsigned i = 0; i < ending.removed_first; i++)
		(void)stress_node_remove(&ending.nodes[i]);
	stress_expect(cancel_deadline_stop(&ending.target.deadline) == 0,
		      "stopped a deadline that has fired");
	unlink_target();
}

/* After fini what was not removed has been told: the delivery was waited for. */
static void judge_ended(void)
{
	for (unsigned i = 0; i < ending.count; i++) {
		stress_expect(stress_node_right(&ending.nodes[i]), "%s, then fini: %u of %u told %d times",
			      stress_way_name(ending.way), i, ending.count,
			      stress_node_told(&ending.nodes[i]));
		if (!ending.nodes[i].gone)
			stress_node_bury(&ending.nodes[i]);
	}
}

static void end_when_seen(void)
{
	struct stress_target *target = &ending.target;
	int code;

	if (ending.way == STRESS_WAY_OVERDUE)
		(void)cancel_deadline_set(&target->deadline, &target->source, SOON_NS, &causes[0]);
	looks[ending.look](cancel_source_token(&target->source));
	if (!ending.bare)
		let_go();
	code = cancel_source_fini(&target->source);
	stress_bury(&target->source, sizeof(target->source));
	stress_expect(code == 0, "fini says %d", code);
	judge_ended();
}

static void act_in_ending(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	if (member == 1)
		end_when_seen();
	else if (ending.way != STRESS_WAY_OVERDUE)
		(void)stress_cancel(&ending.target, ending.way, &causes[0]);
}

static void play_ended(void)
{
	uint64_t random = stress_seed(103);
	struct stress_team team;

	stress_team_start(&team, 2, act_in_ending, NULL);
	while (stress_going()) {
		set_up_ending(&random);
		stress_team_round(&team);
		ending.buried = true;
		stress_expect(cancel_source_fini(&ending.target.parent) == 0, "the parent does not end");
	}
	stress_team_end(&team);
}

/* --- counted ------------------------------------------------------------------------------------------ */

enum { HOLDERS = 3 };

/* The source and its cause are on the heap, and belong to whoever is the last to let go. */
static struct counted {
	struct cancel_source *source;
	struct cancel_cause *cause;
	struct stress_node node;
	struct cancel_registration dropper;
	unsigned way;
} counted;

static atomic_ulong released;

static void release_cause(struct cancel_cause *cause)
{
	free(cause);
	(void)atomic_fetch_add(&released, 1);
}

static void drop_source(void)
{
	int code = cancel_source_drop(counted.source);

	stress_expect(code == 0, "cancel_source_drop says %d", code);
}

static void drop_inside(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	drop_source();
}

static void cancel_counted(void)
{
	struct cancel_source *source = counted.source;
	int code;

	if (counted.way == STRESS_WAY_HERE)
		code = cancel_source_cancel(source, counted.cause);
	else if (counted.way == STRESS_WAY_DEFERRED)
		code = cancel_source_cancel_deferred(source, counted.cause);
	else
		code = cancel_source_cancel_from_signal(source, counted.cause);
	stress_expect(code == 1, "%s says %d", stress_way_name(counted.way), code);
	cancel_cause_drop(counted.cause);
}

static void register_on_counted(void)
{
	(void)cancel_registration_add(&counted.node.registration, cancel_source_token(counted.source),
				      stress_node_tell, &counted.node);
	(void)stress_node_remove(&counted.node);
}

static void wait_for_counted(void)
{
	struct cancel_token token = cancel_source_token(counted.source);

	stress_expect(cancel_token_wait(token, CANCEL_FOREVER) == 1, "wait");
	stress_expect(cancel_token_cause(token)->kind == CANCEL_KIND_SHUTDOWN, "not its cause");
}

static void (*const holders[HOLDERS])(void) = {cancel_counted, register_on_counted, wait_for_counted};

static void act_in_counted(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	stress_dawdle(random);
	holders[member]();
	drop_source();
}

static void set_up_counted(uint64_t *random)
{
	counted.source = cancel_source_new(NULL);
	counted.cause = malloc(sizeof(*counted.cause));
	if (!counted.source || !counted.cause)
		abort();
	*counted.cause = (struct cancel_cause)CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "counted");
	counted.cause->release = release_cause;
	counted.way = stress_pick(random, STRESS_WAYS_SHARED);
	stress_node_reset(&counted.node, 0);
	for (unsigned i = 0; i < HOLDERS; i++)
		(void)cancel_source_hold(counted.source);
	(void)cancel_registration_add(&counted.dropper, cancel_source_token(counted.source), drop_inside,
				      NULL);
}

/* The last hold may be the dispatcher's, so it is waited for. */
static void play_counted(void)
{
	unsigned long expected = atomic_load(&released);
	uint64_t random = stress_seed(104);
	struct stress_team team;

	stress_team_start(&team, HOLDERS, act_in_counted, NULL);
	while (stress_going()) {
		set_up_counted(&random);
		stress_team_round(&team);
		expected++;
		while (atomic_load(&released) < expected)
			(void)sched_yield();
		stress_expect(atomic_load(&released) == expected, "a cause is released twice");
		stress_expect(stress_node_right(&counted.node), "told %d times",
			      stress_node_told(&counted.node));
	}
	stress_team_end(&team);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"removal", 25, play_removal}, {"duel", 45, play_duel},       {"blocked", 15, play_blocked},
		{"ended", 30, play_ended},     {"counted", 10, play_counted}, {"the judge", 1, play_judge},
	};

	if (cancel_dispatcher_start() < 0)
		return 1;
	stress_play("races", parts, sizeof(parts) / sizeof(parts[0]));
	return stress_end("%lu told, %lu of them by being added late; %lu removed", told, inline_told,
			  removed);
}
