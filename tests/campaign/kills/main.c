/*
 * Nothing is lost, nothing is decided twice and nothing is torn, wherever a process is killed, and whatever
 * another one does while it stands there.
 *
 * First each operation is killed before each of its system calls: every scenario of tests/support/scenario.h.
 * Then `cancelwatch run`, with a command that is hard to end: its face or its supervisor is killed before
 * each of its calls, and nobody is left. Then the pairs: one process is held before one of its calls, another
 * operation on the same name runs to its end, and the first goes on, or is killed. Where both take effect at
 * one moment, what they were told and what is left must be what comes of them in one order or the other.
 */
#include "campaign.h"
#include "command.h"
#include "pair.h"
#include "tracer.h"
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHORT_S = 5,
	SHORT_CALLS = 12, /* of each scenario, at most */
	SHORT_PAIRS = 100,
	SHORT_COMMANDS = 6,
	/* Of the time of a long form; pairs have what is left, if that is more. */
	COMMANDS_SHARE = 4,
	PAIRS_SHARE = 2,
	NEVER = -1,
};

static void kill_each(struct walk_figures *figures)
{
	for (int i = 0; i < scenario_count; i++)
		walk_scenario(&scenarios[i], campaign_is_long() ? 0 : SHORT_CALLS, figures);
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

enum {
	STATES_MAX = 16,
	OPERATIONS_MAX = 32,
};

static int stops_of(int state, int held)
{
	static int counts[STATES_MAX][OPERATIONS_MAX];

	if (!counts[state][held])
		counts[state][held] = pair_count_stops(&pair_states[state], &pair_operations[held]);
	return counts[state][held];
}

static void play_by_chance(struct pair_figures *figures)
{
	int state = (int)campaign_pick((unsigned)pair_state_count);
	int held = (int)campaign_pick((unsigned)pair_own_count);
	int other = (int)campaign_pick((unsigned)pair_operation_count), stops = stops_of(state, held);
	struct pair pair = {
		.state = &pair_states[state],
		.held = &pair_operations[held],
		.other = &pair_operations[other],
		.is_killed = campaign_pick(2),
		.other_is_killed = NEVER,
		.stop = stops ? (int)campaign_pick((unsigned)stops) : 0,
	};

	if (campaign_is_long() && campaign_pick(4) == 0 && other < pair_own_count)
		pair.other_is_killed = (int)campaign_pick((unsigned)(stops_of(state, other) + 1));
	pair_play(&pair, figures);
}

static void play_combination(int state, int held, int other, struct pair_figures *figures)
{
	struct pair pair = {
		.state = &pair_states[state],
		.held = &pair_operations[held],
		.other = &pair_operations[other],
		.other_is_killed = NEVER,
	};
	int stops = stops_of(state, held);

	campaign_progress("%s: '%s' and '%s', %ld pairs", pair.state->name, pair.held->name, pair.other->name,
			  figures->pairs);
	for (pair.stop = 0; pair.stop < stops; pair.stop++)
		for (int killed = 0; killed < 2; killed++) {
			pair.is_killed = killed;
			pair_play(&pair, figures);
		}
}

/* All there are, as long as there is time; in an order that leaves out no kind for long. */
static void play_all(int seconds, struct pair_figures *figures)
{
	const int step = 211; /* a prime: every combination is met once */
	int count = pair_state_count * pair_own_count * pair_operation_count;
	long from = campaign_pick((unsigned)count), end_s = walk_now_s() + seconds;

	for (int i = 0; i < count && (walk_now_s() < end_s || campaign_going(SHORT_S)); i++) {
		int at = (int)((from + (long)i * step) % count);

		play_combination(at % pair_state_count, at / pair_state_count % pair_own_count,
				 at / pair_state_count / pair_own_count, figures);
	}
	while (campaign_going(SHORT_S))
		play_by_chance(figures);
}

static int state_named(const char *name)
{
	for (int i = 0; i < pair_state_count; i++)
		if (!strcmp(pair_states[i].name, name))
			return i;
	abort();
}

static int operation_named(const char *name)
{
	for (int i = 0; i < pair_operation_count; i++)
		if (!strcmp(pair_operations[i].name, name))
			return i;
	abort();
}

/* Two who decide the same request, at every call; and some of all others. */
static void play_some(struct pair_figures *figures)
{
	play_combination(state_named("pending"), operation_named("decide"), operation_named("withdraw"),
			 figures);
	for (int i = 0; i < SHORT_PAIRS; i++)
		play_by_chance(figures);
}

int main(void)
{
	struct walk_figures walk = {0}, command = {0};
	struct pair_figures pair = {0};

	campaign_begin("kills");
	if (!tracer_works())
		campaign_skip("processes cannot be traced here");
	kill_each(&walk);
	command_walk(campaign_is_long() ? 0 : SHORT_COMMANDS, campaign_seconds(SHORT_S) / COMMANDS_SHARE,
		     &command);
	if (campaign_is_long())
		play_all(campaign_seconds(SHORT_S) / PAIRS_SHARE, &pair);
	else
		play_some(&pair);
	return campaign_end(
		"%d operations killed at %ld stop points, a command's run at %ld, %ld pairs at %ld stop "
		"points "
		"(%ld waited, %ld compared with both orders), lost %ld, decided twice %ld, torn %ld",
		scenario_count, walk.killed, command.killed, pair.pairs, pair.stops, pair.waited,
		pair.ordered, scenario_harm.lost, scenario_harm.decided_twice, scenario_harm.torn);
}
