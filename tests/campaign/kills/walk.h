/* SIGKILL at each call of an operation, and what is found then. */
#ifndef KILLS_WALK_H
#define KILLS_WALK_H

#include "scenario.h"

enum {
	WALK_TIMEOUT_MS = 30000,
};

struct walk_figures {
	long calls;  /* that were met */
	long killed; /* of those: killed there */
};

/* Of one scenario: at all of its calls, or, where `sample` is not 0, at those that change something, or so
 * many of them that chance picks. */
void walk_scenario(const struct scenario *scenario, int sample, struct walk_figures *figures);

/* By the clock that nobody sets. */
long walk_now_s(void);

/* After a check: that a sweep removes what is left, when it is old. */
void walk_check_cleared(struct scenario_trial *trial);

#endif
