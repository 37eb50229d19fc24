/* What was reported already: a fixed table of the latest. */
#ifndef WATCH_SEEN_H
#define WATCH_SEEN_H

#include <cancel/watch.h>

#include <stdbool.h>
#include <stdint.h>

#define SEEN_SLOTS (2 * CANCEL_WATCH_SEEN) /* half of them empty, so that a search is short */

/* Two generations: when the newer one is full it becomes the older one, and the older one is forgotten. So at
 * least the latest CANCEL_WATCH_SEEN are known, at most twice as many. */
struct seen {
	unsigned char secret[16]; /* nobody outside can choose names that fall together */
	uint64_t slots[2][SEEN_SLOTS];
	uint32_t newer, used;
};

void seen_init(struct seen *seen);

/* How far a request has come. A decided one counts as requested too. */
enum seen_phase {
	SEEN_REQUESTED = 0,
	SEEN_DECIDED = 1,
};

/* What stands for a thing in the table. `name` and `id` are text; `extra` tells it from others. */
uint64_t seen_key(const struct seen *seen, const char *name, const char *id, uint64_t extra);

/* Note that it came so far; false when that is known already. */
bool seen_note(struct seen *seen, uint64_t key, enum seen_phase phase);

#endif
