/*
 * Tokens: deadlines, thousands at a time. Parts:
 *
 *   real clock     three threads set, set anew, stop and leave alone hundreds of deadlines each, some
 *                  milliseconds ahead. None fires early; what was stopped never fires; what was not
 *                  stopped has fired, with its cause, and is told once.
 *   pool           a source with a deadline that is about to fire is reset for the next user: it is as
 *                  new, or it is cancelled, and never both.
 *   plugged clock  two threads set and stop deadlines by a clock that two others move on. What is due
 *                  when the clock has moved is marked, and nothing else.
 *   duel           one thread moves the clock on while another stops what is due, or resets its
 *                  source: each deadline is fired by the one or stopped by the other, who knows at
 *                  once.
 *   order          the same with one thread: deadlines fire in the order of their times, all are
 *                  marked before the first is told, and their number is what was due.
 *   plugging       the clock is plugged and unplugged while the dispatcher keeps looking: nothing
 *                  fires by the wrong clock.
 *   restarts       the dispatcher is stopped while somebody comes to need it: another is started, and
 *                  he is told.
 *
 * Mutations that this catches: a heap that loses its order, or an element; a stop that says 1 for a
 * deadline that has fired; a time that is forgotten, or rounded down; a queue that is served
 * backwards; a deadline that is armed while the dispatcher ends, and never fires; the real time taken
 * for the plugged one.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <sched.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct cancel_cause late = CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "too late");

static atomic_ulong fired, stopped;

/* A source, its deadline, and what is known of them by the thread that owns them. */
struct slot {
	struct cancel_source source;
	struct cancel_deadline deadline;
	struct stress_node node;
	int64_t at_ns; /* not before that time */
	bool armed;    /* as far as the owner knows */
	bool was_stopped;
	int64_t told_at_ns;
};

static bool is_cancelled(const struct slot *slot)
{
	return cancel_token_requested(cancel_source_token(&slot->source));
}

/* The earliest moment to be told is its time. */
static void note_time(void *arg, struct cancel_token token)
{
	struct slot *slot = arg;

	slot->told_at_ns = cancel_clock_now_ns();
	stress_node_tell(&slot->node, token);
}

static void begin_slot(struct slot *slot)
{
	cancel_source_init(&slot->source, NULL);
	slot->deadline = (struct cancel_deadline)CANCEL_DEADLINE_INIT;
	stress_node_reset(&slot->node, 0);
	(void)cancel_registration_add(&slot->node.registration, cancel_source_token(&slot->source), note_time,
				      slot);
	slot->armed = false;
	slot->was_stopped = false;
}

static void set_slot(struct slot *slot, int64_t delay_ns, bool by_point)
{
	int code;

	slot->at_ns = cancel_clock_now_ns() + delay_ns;
	code = by_point ? cancel_deadline_set_at(&slot->deadline, &slot->source, slot->at_ns, &late)
			: cancel_deadline_set(&slot->deadline, &slot->source, delay_ns, &late);
	stress_expect(code == 0, "cancel_deadline_set says %d", code);
	slot->armed = true;
	slot->was_stopped = false;
}

/* Stopped: it did not fire, and will not. Not stopped: it did. */
static void stop_slot(struct slot *slot)
{
	int code = cancel_deadline_stop(&slot->deadline);

	stress_expect(code == 1 || !slot->armed || is_cancelled(slot), "not stopped (%d), and has not fired",
		      code);
	stress_expect(code == 0 || !is_cancelled(slot), "stopped, and has fired");
	stress_expect(code == 0 || slot->armed, "stopped what was not armed");
	slot->was_stopped = code == 1;
	slot->armed = false;
}

static void judge_fired(const struct slot *slot)
{
	int64_t now_ns = cancel_clock_now_ns();

	stress_expect(!slot->was_stopped, "fired after it was stopped");
	stress_expect(now_ns >= slot->at_ns, "%lld ns early", (long long)(slot->at_ns - now_ns));
	stress_expect(cancel_token_cause(cancel_source_token(&slot->source)) == &late, "not its cause");
	stress_expect(cancel_token_error(cancel_source_token(&slot->source)) == -ETIMEDOUT, "not its error");
	(void)atomic_fetch_add_explicit(&fired, 1, memory_order_relaxed);
}

/* Nothing is armed: told once if it fired, and not otherwise. */
static void end_slot(struct slot *slot)
{
	bool cancelled = is_cancelled(slot), should;

	if (cancelled)
		judge_fired(slot);
	else
		(void)atomic_fetch_add_explicit(&stopped, 1, memory_order_relaxed);
	stress_expect(cancel_source_fini(&slot->source) == 0, "fini");
	should = cancelled && !slot->node.removed;
	stress_expect(stress_node_told(&slot->node) == should, "%sfired, and told %d times",
		      cancelled ? "" : "not ", stress_node_told(&slot->node));
	stress_expect(!should || slot->told_at_ns >= slot->at_ns, "told early");
}

/* --- real clock --------------------------------------------------------------------------------------- */

enum {
	THREADS = 3,
	SLOTS = 300,
	TURNS = 900,
	LONGEST_NS = 3000000,
	FAR_S = 3600,
};

static struct slot slots[THREADS][SLOTS];

static int64_t pick_delay_ns(uint64_t *random)
{
	return stress_one_in(random, 8) ? FAR_S * CANCEL_SECOND : (int64_t)stress_pick(random, LONGEST_NS);
}

static void leave(struct slot *slot, uint64_t *random)
{
	(void)random;
	if (is_cancelled(slot))
		judge_fired(slot);
}

static void set(struct slot *slot, uint64_t *random)
{
	if (!slot->armed && !is_cancelled(slot))
		set_slot(slot, pick_delay_ns(random), stress_one_in(random, 2));
}

/* It may fire by the old time just before. Then the new one is of no use. */
static void set_anew(struct slot *slot, uint64_t *random)
{
	int64_t before_ns = slot->at_ns;

	if (!slot->armed)
		return;
	set_slot(slot, pick_delay_ns(random), stress_one_in(random, 2));
	if (!is_cancelled(slot))
		return;
	(void)cancel_deadline_stop(&slot->deadline);
	slot->armed = false;
	if (before_ns < slot->at_ns)
		slot->at_ns = before_ns;
}

static void stop(struct slot *slot, uint64_t *random)
{
	(void)random;
	if (slot->armed)
		stop_slot(slot);
}

static void renew(struct slot *slot, uint64_t *random)
{
	(void)random;
	if (slot->armed && !is_cancelled(slot))
		return;
	if (slot->armed)
		stop_slot(slot);
	end_slot(slot);
	begin_slot(slot);
}

static void (*const turns[])(struct slot *slot, uint64_t *random) = {leave, set,   set,  set_anew,
								     stop,  renew, renew};

static void turn_slots(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	for (unsigned i = 0; i < SLOTS; i++)
		begin_slot(&slots[member][i]);
	for (unsigned i = 0; i < TURNS; i++)
		turns[stress_pick(random, COUNT(turns))](&slots[member][stress_pick(random, SLOTS)], random);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[member][i];

		/* Some are waited for, the others stopped. */
		if (slot->armed && slot->at_ns < cancel_clock_now_ns() + LONGEST_NS &&
		    stress_one_in(random, 4))
			(void)cancel_token_wait(cancel_source_token(&slot->source), CANCEL_FOREVER);
		if (slot->armed)
			stop_slot(slot);
		end_slot(slot);
	}
}

static void play_real_clock(void)
{
	struct stress_team team;

	stress_team_start(&team, THREADS, turn_slots, NULL);
	while (stress_going())
		stress_team_round(&team);
	stress_team_end(&team);
}

/* --- pool --------------------------------------------------------------------------------------------- */

enum { POOL_LONGEST_NS = 80000 };

static void serve(struct slot *slot, uint64_t *random)
{
	bool busy = stress_one_in(random, 4), cancelled;
	int code;

	set_slot(slot, stress_pick(random, POOL_LONGEST_NS), false);
	stress_spin(stress_pick(random, POOL_LONGEST_NS / 4));
	if (!busy && cancel_registration_remove(&slot->node.registration) == CANCEL_REMOVED)
		slot->node.removed = true;
	code = cancel_source_try_reset(&slot->source, &slot->deadline);
	cancelled = is_cancelled(slot);
	slot->armed = false;
	slot->was_stopped = !cancelled;
	stress_expect(code == (cancelled ? 0
			       : busy    ? -EBUSY
					 : 1),
		      "try_reset%s: %d", busy ? " with a registration" : "", code);
	stress_expect(cancel_deadline_stop(&slot->deadline) == 0, "reset, and a deadline runs");
	if (slot->node.removed && !cancelled) {
		slot->node.removed = false;
		(void)cancel_registration_add(&slot->node.registration, cancel_source_token(&slot->source),
					      note_time, slot);
	}
}

/* What is cancelled by hand stays so, told by now or not. */
static void spoil(struct slot *slot, uint64_t *random)
{
	static int (*const ways[])(struct cancel_source * source, const struct cancel_cause *cause) = {
		cancel_source_cancel, cancel_source_cancel_deferred, cancel_source_cancel_from_signal};
	int code = ways[stress_pick(random, COUNT(ways))](&slot->source, &late);

	stress_expect(code == 1, "cancelled before");
	code = cancel_source_try_reset(&slot->source, &slot->deadline);
	stress_expect(code == 0, "try_reset of what is cancelled: %d", code);
	slot->was_stopped = false;
	slot->at_ns = 0;
}

static void act_in_pool(void *scene, unsigned member, uint64_t *random)
{
	struct slot *slot = &slots[member][0];

	(void)scene;
	begin_slot(slot);
	while (!is_cancelled(slot) && !stress_one_in(random, 16))
		serve(slot, random);
	if (!is_cancelled(slot))
		spoil(slot, random);
	end_slot(slot);
}

static void play_pool(void)
{
	struct stress_team team;

	stress_team_start(&team, THREADS, act_in_pool, NULL);
	while (stress_going())
		stress_team_round(&team);
	stress_team_end(&team);
}

/* --- plugged clock ------------------------------------------------------------------------------------ */

enum { MOVERS = 2, SETTERS = 2, STEP_NS = 100, AHEAD_NS = 3000, MOVES = 60 };

static _Atomic int64_t plugged_ns;

static int64_t tell_plugged_ns(void *arg)
{
	(void)arg;
	return atomic_load(&plugged_ns);
}

static const struct cancel_clock plugged = {tell_plugged_ns, NULL};

static void move_clock(uint64_t *random)
{
	int code;

	(void)atomic_fetch_add(&plugged_ns, stress_pick(random, STEP_NS));
	code = cancel_clock_advanced();
	stress_expect(code >= 0, "cancel_clock_advanced says %d", code);
}

/* What is due and was there when somebody else moved the clock may be firing there; here nothing is left. */
static void turn_plugged_slots(unsigned member, uint64_t *random)
{
	struct slot *mine = slots[member];

	for (unsigned i = 0; i < SLOTS; i++)
		begin_slot(&mine[i]);
	for (unsigned i = 0; i < TURNS; i++)
		switch (stress_pick(random, 4)) {
		case 0:
			stop(&mine[stress_pick(random, SLOTS)], random);
			break;
		case 1:
			renew(&mine[stress_pick(random, SLOTS)], random);
			break;
		default:
			if (!mine[i % SLOTS].armed && !is_cancelled(&mine[i % SLOTS]))
				set_slot(&mine[i % SLOTS], 1 + stress_pick(random, AHEAD_NS), true);
		}
}

static void act_by_plugged_clock(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	if (member >= MOVERS) {
		turn_plugged_slots(member - MOVERS, random);
		return;
	}
	for (unsigned i = 0; i < MOVES; i++) {
		move_clock(random);
		(void)sched_yield();
	}
}

/* In the end, when the clock stands still: all that is due has fired, and nothing else. */
static void judge_plugged(void)
{
	int64_t now_ns;

	(void)cancel_clock_advanced();
	now_ns = cancel_clock_now_ns();
	for (unsigned i = 0; i < SETTERS * SLOTS; i++) {
		struct slot *slot = &slots[i / SLOTS][i % SLOTS];

		stress_expect(!slot->armed || is_cancelled(slot) == (slot->at_ns <= now_ns),
			      "at %lld ns, and it is %lld", (long long)slot->at_ns, (long long)now_ns);
		if (slot->armed)
			stop_slot(slot);
		end_slot(slot);
	}
}

static void play_plugged_clock(void)
{
	struct stress_team team;

	stress_expect(cancel_clock_plug(&plugged) == 0, "the clock cannot be plugged");
	stress_team_start(&team, MOVERS + SETTERS, act_by_plugged_clock, NULL);
	while (stress_going()) {
		stress_team_round(&team);
		judge_plugged();
	}
	stress_team_end(&team);
	stress_expect(cancel_clock_plug(NULL) == 0, "the clock cannot be unplugged");
}

/* --- duel --------------------------------------------------------------------------------------------- */

enum { DUELS = 8 };

static bool duel_resets; /* instead of stopping */

/* Nothing is registered: only the deadline decides. */
static void reset_slot(struct slot *slot)
{
	int code = cancel_source_try_reset(&slot->source, &slot->deadline);

	stress_expect(code == !is_cancelled(slot), "try_reset says %d", code);
	slot->was_stopped = code == 1;
	slot->armed = false;
}

static void set_up_duel(uint64_t *random)
{
	duel_resets = stress_one_in(random, 2);
	for (unsigned i = 0; i < DUELS; i++) {
		struct slot *slot = &slots[0][i];

		begin_slot(slot);
		if (duel_resets)
			slot->node.removed = cancel_registration_remove_nowait(&slot->node.registration);
		set_slot(slot, 1 + i, true);
	}
}

/* Each is fired by the one or stopped by the other, and the one who stops knows it at once. */
static void act_in_duel(void *scene, unsigned member, uint64_t *random)
{
	unsigned first = stress_pick(random, DUELS);

	(void)scene;
	stress_dawdle(random);
	if (member == 0) {
		(void)atomic_fetch_add(&plugged_ns, DUELS);
		(void)cancel_clock_advanced();
		return;
	}
	for (unsigned i = 0; i < DUELS; i++)
		(duel_resets ? reset_slot : stop_slot)(&slots[0][(first + i) % DUELS]);
}

static void play_duel(void)
{
	uint64_t random = stress_seed(101);
	struct stress_team team;

	stress_expect(cancel_clock_plug(&plugged) == 0, "the clock cannot be plugged");
	stress_team_start(&team, 2, act_in_duel, NULL);
	while (stress_going()) {
		set_up_duel(&random);
		stress_team_round(&team);
		for (unsigned i = 0; i < DUELS; i++)
			end_slot(&slots[0][i]);
	}
	stress_team_end(&team);
	stress_expect(cancel_clock_plug(NULL) == 0, "the clock cannot be unplugged");
}

/* --- order -------------------------------------------------------------------------------------------- */

static struct {
	int64_t now_ns, latest_ns;
	unsigned told;
	bool all_marked;
} order;

/* Times are between now and what the clock said before. */
static void look_at_order(void *arg, struct cancel_token token)
{
	struct slot *slot = arg;

	stress_expect(slot->at_ns >= order.latest_ns, "fired in the wrong order");
	order.latest_ns = slot->at_ns;
	if (order.told++ == 0)
		for (unsigned i = 0; i < SLOTS; i++)
			order.all_marked = order.all_marked &&
					   is_cancelled(&slots[0][i]) ==
						   (slots[0][i].armed && slots[0][i].at_ns <= order.now_ns);
	stress_node_tell(&slot->node, token);
}

static unsigned set_up_order(uint64_t *random)
{
	unsigned due = 0;

	order.told = 0;
	order.latest_ns = 0;
	order.all_marked = true;
	order.now_ns = atomic_load(&plugged_ns) + stress_pick(random, AHEAD_NS);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[0][i];

		begin_slot(slot);
		(void)cancel_registration_remove(&slot->node.registration);
		(void)cancel_registration_add(&slot->node.registration, cancel_source_token(&slot->source),
					      look_at_order, slot);
		for (unsigned times = 1 + stress_pick(random, 3); times > 0; times--)
			set_slot(slot, 1 + stress_pick(random, AHEAD_NS), false);
		if (stress_one_in(random, 5))
			stop_slot(slot);
		due += slot->armed && slot->at_ns <= order.now_ns;
	}
	return due;
}

static void judge_order(unsigned due)
{
	int code;

	atomic_store(&plugged_ns, order.now_ns);
	code = cancel_clock_advanced();
	stress_expect(code == (int)due && order.told == due, "%u due, %d fired, %u told", due, code,
		      order.told);
	stress_expect(order.all_marked || due == 0, "told before all that is due was marked");
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[0][i];

		stress_expect(is_cancelled(slot) == (slot->armed && slot->at_ns <= order.now_ns),
			      "not by its time");
		slot->told_at_ns = order.now_ns;
		if (slot->armed)
			stop_slot(slot);
		end_slot(slot);
	}
}

static void play_order(void)
{
	uint64_t random = stress_seed(100);

	stress_expect(cancel_clock_plug(&plugged) == 0, "the clock cannot be plugged");
	while (stress_going())
		judge_order(set_up_order(&random));
	stress_expect(cancel_clock_plug(NULL) == 0, "the clock cannot be unplugged");
}

/* --- plugging ----------------------------------------------------------------------------------------- */

enum { PLUGS = 40 };

/* Has the dispatcher look up all the time. */
static void ring_dispatcher(void)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	int code = cancel_source_cancel_deferred(&source, NULL);

	stress_expect(code == 1, "cancel_deferred says %d", code);
	stress_expect(cancel_source_fini(&source) == 0, "fini");
}

/* The plugged clock stands still, and the real one is far ahead of it. */
static void plug_and_unplug(struct slot *slot, uint64_t *random)
{
	begin_slot(slot);
	stress_expect(cancel_clock_plug(&plugged) == 0, "the clock cannot be plugged");
	set_slot(slot, 1 + stress_pick(random, AHEAD_NS), stress_one_in(random, 2));
	stress_dawdle(random);
	stop_slot(slot);
	stress_expect(!is_cancelled(slot), "fired, and the clock stands still");
	stress_expect(cancel_clock_plug(NULL) == 0, "the clock cannot be unplugged");
	end_slot(slot);
}

static void act_in_plugging(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	for (unsigned i = 0; i < PLUGS; i++)
		if (member == 0)
			plug_and_unplug(&slots[0][0], random);
		else
			ring_dispatcher();
}

static void play_plugging(void)
{
	struct stress_team team;

	stress_team_start(&team, THREADS, act_in_plugging, NULL);
	while (stress_going())
		stress_team_round(&team);
	stress_team_end(&team);
}

/* --- restarts ----------------------------------------------------------------------------------------- */

enum { NEEDS = 3, END_SPINS = 60000 /* about as long as a thread takes to end */ };

static void need_at_once(struct slot *slot)
{
	stress_expect(cancel_source_cancel_deferred(&slot->source, &late) == 1, "cancelled before");
}

static void need_overdue(struct slot *slot)
{
	set_slot(slot, 0, false);
	slot->armed = false;
}

static void need_soon(struct slot *slot)
{
	set_slot(slot, 1, true);
}

static void (*const needs[NEEDS])(struct slot *slot) = {need_at_once, need_overdue, need_soon};

/* Nobody helps: only the dispatcher can tell it. One at a time, because the next would start another. */
static void need_dispatcher(struct slot *slot, uint64_t *random)
{
	begin_slot(slot);
	slot->at_ns = 0;
	needs[stress_pick(random, NEEDS)](slot);
	while (!stress_node_told(&slot->node))
		(void)sched_yield();
	if (slot->armed)
		stop_slot(slot);
	end_slot(slot);
}

static void act_in_restarts(void *scene, unsigned member, uint64_t *random)
{
	int code;

	(void)scene;
	if (member > 0) {
		stress_spin(stress_pick(random, END_SPINS));
		need_dispatcher(&slots[0][0], random);
		return;
	}
	code = cancel_dispatcher_stop();
	stress_expect(code == 0 || code == -EBUSY, "cancel_dispatcher_stop says %d", code);
}

static void play_restarts(void)
{
	struct stress_team team;

	stress_team_start(&team, 2, act_in_restarts, NULL);
	while (stress_going()) {
		stress_expect(cancel_dispatcher_start() == 0, "no dispatcher");
		stress_team_round(&team);
	}
	stress_team_end(&team);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"real clock", 35, play_real_clock},
		{"pool", 15, play_pool},
		{"plugged clock", 15, play_plugged_clock},
		{"duel", 15, play_duel},
		{"order", 10, play_order},
		{"plugging", 10, play_plugging},
		{"restarts", 20, play_restarts},
	};

	stress_play("deadlines", parts, COUNT(parts));
	return stress_end("%lu fired, %lu stopped or not set", atomic_load(&fired), atomic_load(&stopped));
}
