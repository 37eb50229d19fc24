/* What the last sweep knew of the clock: the file `swept`. */
#ifndef SPOOL_CLOCK_STATE_H
#define SPOOL_CLOCK_STATE_H

#include "store.h"

#include <stdbool.h>

struct clock_state {
	char boot_id[CANCEL_BOOT_ID_LENGTH + 1];
	int64_t offset_ms;    /* the wall clock ahead of CLOCK_BOOTTIME, when `since_us` was */
	int64_t since_us;     /* what the wall clock stamped after this has not seen a step */
	int64_t stepped_us;   /* the same, or 0 while no step has been seen in this boot */
	int64_t swept_at_us;  /* the end of the last pass */
};

/* 0, or -ENOENT when no sweep ever ended (or its word cannot be read). */
int clock_state_read(const struct cancel_spool *spool, struct clock_state *state);
int clock_state_write(const struct cancel_spool *spool, const struct clock_state *state);

/* Compare the clock with what the last pass knew, and bring `state` up to now. Returns the step in
 * milliseconds, 0 when there was none of more than CANCEL_CLOCK_STEP_MS, or it cannot be known. */
int64_t clock_state_advance(const struct cancel_spool *spool, struct clock_state *state);

#endif
