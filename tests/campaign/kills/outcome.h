/* What came of two operations, in words that do not depend on which random ids were drawn: so that one order
 * of events can be compared with another. */
#ifndef KILLS_OUTCOME_H
#define KILLS_OUTCOME_H

#include "scenario.h"

enum {
	OUTCOME_SIZE = 256,
};

struct outcome {
	char text[OUTCOME_SIZE];
};

/* What `one` and `other` were told (NULL: nobody asks that any more), and how the task's name stands, which
 * is looked up first, so that a drop is taken in. `trial` has the spool open. */
struct outcome outcome_of(struct scenario_trial *trial, const struct scenario_result *one,
			  const struct scenario_result *other);

bool outcome_same(const struct outcome *one, const struct outcome *other);

#endif
