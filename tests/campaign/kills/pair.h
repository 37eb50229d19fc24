/* Two processes on one name: one is stopped before one of its calls, another operation runs to its end, and
 * the first goes on, or is killed there. */
#ifndef KILLS_PAIR_H
#define KILLS_PAIR_H

#include "operations.h"

struct pair {
	const struct pair_state *state;
	const struct pair_operation *held, *other;
	bool is_killed;      /* the held one, once the other has ended */
	int other_is_killed; /* at this call, while the first is held; -1: it is not
			      */
	int stop;            /* before which call, counted from the mark, the first is held */
};

struct pair_figures {
	long stops;   /* at which the first was held */
	long pairs;   /* in all */
	long waited;  /* in which the other one waited for the lock */
	long ordered; /* compared with one after the other */
};

/* How many calls the first makes in that state. */
int pair_count_stops(const struct pair_state *state, const struct pair_operation *held);

void pair_play(const struct pair *pair, struct pair_figures *figures);

#endif
