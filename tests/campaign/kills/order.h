/* Two operations one after the other, nothing broken: what may come of them when they meet. */
#ifndef KILLS_ORDER_H
#define KILLS_ORDER_H

#include "operations.h"
#include "outcome.h"

enum {
	ORDERS_MAX = 24,
};

struct orders {
	struct outcome outcomes[ORDERS_MAX];
	int count;
};

/* Both of them, in either order. */
struct orders orders_whole(const struct pair_state *state, const struct pair_operation *one,
			   const struct pair_operation *other);

/* Of `one` all, nothing, or what else a kill may leave; nobody asks what it was told. */
struct orders orders_killed(const struct pair_state *state, const struct pair_operation *one,
			    const struct pair_operation *other);

bool orders_allow(const struct orders *orders, const struct outcome *outcome);

/* A scenario of a pair's operation, which has no check of its own. */
struct scenario order_scenario(const struct pair_state *state, const struct pair_operation *operation);

/* Another process's view of a trial: the same spool, and a result of its own. */
struct scenario_trial order_beside(const struct scenario_trial *trial, const struct scenario *scenario,
				   struct scenario_result *result);

#endif
