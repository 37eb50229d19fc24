/* How often to look where nobody rings: soon after something began, then ever more seldom. */
#ifndef TASK_PACE_H
#define TASK_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	int64_t round_ns; /* when to look at everything, by CLOCK_MONOTONIC; 0: now */
	int64_t pause_ns; /* between the last round and that one */
	int64_t took_ns;  /* what the last round took */
};

/* The round that is due is being made: when shall the next one be? `is_complete`: somebody rings for all. */
void pace_next(struct pace *pace, int64_t now_ns, int64_t longest_pause_ms, bool is_complete);

/* That round is done. */
void pace_note(struct pace *pace, int64_t took_ns);

/* Something began: look again soon. */
void pace_hurry(struct pace *pace, int64_t now_ns);

/* Something could not be looked at: do so at the next round, which must not be far. */
void pace_try_again(struct pace *pace, int64_t now_ns, int64_t longest_pause_ms);

#endif
