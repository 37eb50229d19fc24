#include "pair.h"

#include "campaign.h"
#include "order.h"
#include "scenario_parts.h"
#include "tracer.h"
#include "walk.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
	NEVER = -1,
	TURN_MS = 200,
	TURNS = WALK_TIMEOUT_MS / TURN_MS,
};

/* One of the two processes. */
struct side {
	struct scenario scenario;
	struct scenario_trial trial;
	struct tracer *tracer;
	int hold_at, kill_at; /* which of its calls; or NEVER */
	bool holds_its_nap;   /* when it begins to wait for a lock: it is the first one's, who is held */
	int seen;
	bool is_inside, was_held, has_waited, was_killed;
	long call; /* before which it was held */
};

struct play {
	const struct pair *pair;
	struct side held, other;
	struct scenario_trial *trial; /* the held one's, and the checks' */
	char where[240];
};

/* --- the processes -------------------------------------------------------------------------------------- */

static bool is_nap(long number)
{
	return number == SYS_nanosleep || number == SYS_clock_nanosleep;
}

static struct tracer_order hold(struct side *side, const struct tracer_call *call)
{
	side->has_waited = is_nap(call->number);
	side->was_held = true;
	side->call = call->number;
	return (struct tracer_order){TRACER_HOLD, 0};
}

static struct tracer_order direct(void *arg, const struct tracer_call *call)
{
	static const struct tracer_order proceed = {TRACER_PROCEED, 0}, end = {TRACER_KILL, 0};
	struct side *side = arg;
	int index;

	/* Its set-up may wait too. */
	if (side->holds_its_nap && !side->has_waited && is_nap(call->number))
		return hold(side, call);
	if (call->number == SCENARIO_MARK) {
		side->is_inside = !side->is_inside;
		return proceed;
	}
	if (!side->is_inside)
		return proceed;
	index = side->seen++;
	if (index == side->kill_at) {
		side->was_killed = true;
		return end;
	}
	return index == side->hold_at ? hold(side, call) : proceed;
}

static void start(struct side *side)
{
	struct tracer_options options = {.entering = direct, .arg = side};

	side->tracer = tracer_fork(&options, scenario_operate, &side->trial, -1);
}

static enum tracer_state go_on(struct play *play, struct side *side)
{
	enum tracer_state state = tracer_go(side->tracer, WALK_TIMEOUT_MS);

	(void)scenario_expect(play->trial, state != TRACER_LATE, "'%s' does not end", side->scenario.name);
	return state;
}

/* Whether it has ended by now. */
static bool give_turn(struct side *side)
{
	return !side->tracer || tracer_go(side->tracer, TURN_MS) == TRACER_ENDED;
}

/* By turns: as a rule the one that was held ends while the other one still is; but each may have threads that
 * wait for the other's. */
static void finish(struct play *play)
{
	bool ended = false;

	for (int turn = 0; turn < TURNS && !ended; turn++) {
		ended = give_turn(&play->held);
		ended = give_turn(&play->other) && ended;
	}
	(void)scenario_expect(play->trial, ended, "they do not end");
}

static struct side make_side(const struct pair *pair, const struct pair_operation *operation)
{
	return (struct side){
		.scenario = order_scenario(pair->state, operation),
		.hold_at = NEVER,
		.kill_at = NEVER,
	};
}

static void begin(struct play *play, const struct pair *pair, struct scenario_result *other_result)
{
	play->pair = pair;
	play->held = make_side(pair, pair->held);
	play->held.hold_at = pair->stop;
	play->other = make_side(pair, pair->other);
	play->other.kill_at = pair->other_is_killed;
	play->other.holds_its_nap = true;
	play->trial = &play->held.trial;
	scenario_begin(play->trial, &play->held.scenario);
	play->other.trial = order_beside(play->trial, &play->other.scenario, other_result);
	(void)snprintf(play->where, sizeof(play->where), "%s: '%s' held at call %d%s, '%s'%s",
		       pair->state->name, pair->held->name, pair->stop,
		       pair->is_killed ? " and then killed" : "", pair->other->name,
		       pair->other_is_killed >= 0 ? " killed" : "");
	play->trial->where = play->other.trial.where = play->where;
}

static void name_call(struct play *play)
{
	size_t used = strlen(play->where);

	if (play->held.was_held)
		(void)snprintf(play->where + used, sizeof(play->where) - used, " (%s%s)",
			       tracer_call_name(play->held.call), play->other.has_waited ? ", waited" : "");
}

/* What knows no lock waits for nobody, and is done here. */
static void run_other(struct play *play)
{
	if (play->pair->other->is_foreign) {
		play->other.trial.result->code = play->pair->other->operate(&play->other.trial);
		return;
	}
	start(&play->other);
	(void)go_on(play, &play->other);
}

static void run_both(struct play *play)
{
	start(&play->held);
	(void)go_on(play, &play->held);
	run_other(play);
	name_call(play);
	if (play->held.was_held && play->pair->is_killed) {
		play->held.was_killed = true;
		tracer_signal(play->held.tracer, SIGKILL);
	}
	finish(play);
}

/* --- what must be true ---------------------------------------------------------------------------------- */

static bool said_decided(const struct scenario_result *result, const char *id)
{
	for (int i = 0; i < result->claim_count; i++)
		if (result->claims[i].what == SCENARIO_TOLD_DECIDED && !strcmp(result->claims[i].id, id))
			return true;
	return false;
}

struct sighting {
	const char *id;
	bool pending, processed;
};

static int sight(void *arg, const struct cancel_list_entry *entry)
{
	struct sighting *sighting = arg;

	if (!entry->request || strcmp(entry->request->request_id, sighting->id) != 0)
		return 0;
	if (!strncmp(entry->file, "pending/", 8))
		sighting->pending = true;
	else
		sighting->processed = true;
	return 0;
}

static struct sighting sighting_of(struct play *play, const char *id)
{
	struct sighting sighting = {.id = id};

	(void)cancel_spool_list(play->trial->spool, CANCEL_LIST_ALL, sight, &sighting, &play->trial->error);
	return sighting;
}

static bool decides_unsaid(const struct side *side, const struct pair_operation *operation)
{
	bool is_decider = operation->operate == operate_decide || operation->operate == operate_withdraw;

	/* Who asks in the place of one that expired decides that one. */
	return operation->decides || operation->forgets || (side->was_killed && is_decider) ||
	       side->scenario.prepare == state_expired;
}

static bool replaces(const struct side *side, const struct pair_operation *operation)
{
	return operation->decides || operation->forgets || operation->operate == operate_decide ||
	       operation->operate == operate_withdraw || side->scenario.prepare == state_expired;
}

/* Somebody may have decided it without saying which, and somebody may have put another decision in the place
 * of that one, or removed it. */
static bool may_be_forgotten(const struct play *play)
{
	const struct pair *pair = play->pair;
	bool unsaid = decides_unsaid(&play->held, pair->held) || decides_unsaid(&play->other, pair->other);

	return unsaid && (replaces(&play->held, pair->held) || replaces(&play->other, pair->other));
}

/* DESIGN.md, invariants 5 and 7 */
static void check_request(struct play *play, const char *id)
{
	bool by_held = said_decided(play->held.trial.result, id),
	     by_other = said_decided(play->other.trial.result, id);
	struct sighting sighting = sighting_of(play, id);
	int again;

	if (!id[0])
		return;
	(void)scenario_expect_kept(play->trial,
				   sighting.pending || sighting.processed || by_held || by_other ||
					   may_be_forgotten(play),
				   "request '%s' is lost", id);
	(void)scenario_expect_once(play->trial, !(by_held && by_other), "both have decided request '%s'", id);
	(void)scenario_expect_once(play->trial,
				   !(sighting.pending && (sighting.processed || by_held || by_other)),
				   "request '%s' was decided and is pending", id);
	if (!sighting.processed && !by_held && !by_other)
		return;
	again = scenario_decide(play->trial, id, CANCEL_OUTCOME_FAILED);
	(void)scenario_expect_once(play->trial, again != CANCEL_DECIDED,
				   "request '%s' can be decided once more", id);
}

/* What was decided before both may be forgotten, and must not come back to life. DESIGN.md, invariant 6 */
static void check_standing(struct play *play)
{
	const char *id = play->trial->accepted;

	if (play->pair->state->prepare != state_litter)
		check_request(play, id);
	else
		(void)scenario_expect_once(play->trial, !sighting_of(play, id).pending,
					   "the decided request '%s' is alive", id);
}

/* "Requested", "already pending" and "stopped by" name a request that was there. DESIGN.md, invariant 8 */
static void check_claims(struct play *play, const struct scenario_result *result)
{
	for (int i = 0; i < result->claim_count; i++)
		if (!strcmp(result->claims[i].task, SCENARIO_TASK))
			check_request(play, result->claims[i].id);
}

/* Where both take effect at one moment, it is as if one came after the other. */
static void check_order(struct play *play, struct pair_figures *figures)
{
	const struct pair *pair = play->pair;
	struct outcome outcome;
	struct orders orders;

	if (!pair->held->is_atomic || play->other.was_killed ||
	    (play->other.has_waited && !pair->other->is_atomic))
		return;
	outcome = outcome_of(play->trial, play->held.was_killed ? NULL : play->held.trial.result,
			     play->other.trial.result);
	orders = play->held.was_killed ? orders_killed(pair->state, pair->held, pair->other)
				       : orders_whole(pair->state, pair->held, pair->other);
	figures->ordered++;
	(void)scenario_expect(play->trial, orders_allow(&orders, &outcome),
			      "in no order there comes of it: %s (but: %s, or: %s)", outcome.text,
			      orders.outcomes[0].text, orders.outcomes[1].text);
}

/* Nothing failed, so nobody may say that something did. */
static void check_end(struct play *play, const struct side *side)
{
	int status = side->tracer && !side->was_killed ? tracer_status(side->tracer) : 0;

	(void)scenario_expect(play->trial, status == 0 || status == 1, "'%s' ended with %d: %s",
			      side->scenario.name, status, side->trial.result->error.text);
}

static void check(struct play *play, struct pair_figures *figures)
{
	check_end(play, &play->held);
	check_end(play, &play->other);
	scenario_check_no_runs(play->trial);
	scenario_check_whole(play->trial);
	check_order(play, figures);
	check_standing(play);
	check_claims(play, play->held.trial.result);
	check_claims(play, play->other.trial.result);
	scenario_check_works(play->trial);
	scenario_check_beside(play->trial);
	scenario_check_whole(play->trial);
	walk_check_cleared(play->trial);
}

static struct scenario_result *share_result(void)
{
	void *result = mmap(NULL, sizeof(struct scenario_result), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (result == MAP_FAILED)
		campaign_skip("there is no memory to share");
	return result;
}

void pair_play(const struct pair *pair, struct pair_figures *figures)
{
	static struct scenario_result *other_result;
	struct play play = {.pair = pair};

	if (!other_result)
		other_result = share_result();
	*other_result = (struct scenario_result){0};
	begin(&play, pair, other_result);
	run_both(&play);
	check(&play, figures);
	figures->pairs++;
	figures->stops += play.held.was_held;
	figures->waited += play.other.has_waited;
	tracer_end(play.held.tracer);
	tracer_end(play.other.tracer);
	scenario_end(play.trial);
}

int pair_count_stops(const struct pair_state *state, const struct pair_operation *held)
{
	struct pair pair = {
		.state = state, .held = held, .other = held, .stop = NEVER, .other_is_killed = NEVER};
	static struct scenario_result unused;
	struct play play;
	int count;

	begin(&play, &pair, &unused);
	start(&play.held);
	(void)go_on(&play, &play.held);
	count = play.held.seen;
	tracer_end(play.held.tracer);
	scenario_end(play.trial);
	return count;
}
