/* A scenario, recorded once and cut after each of its steps. */
#ifndef POWERCUT_REPLAY_H
#define POWERCUT_REPLAY_H

#include "scenarios.h"

enum {
	LEVEL_COUNT = 3, /* enum cancel_durability */
};

struct replay_count {
	long cuts, states;
};

/* Record it in `recorded`, replay it in `replayed`, two empty directories, which are empty again afterwards.
 */
struct replay_count replay(const struct scenario *scenario, enum cancel_durability durability,
			   const char *recorded, const char *replayed);

const char *replay_level(enum cancel_durability durability);

#endif
