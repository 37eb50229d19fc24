/* A source that can be cancelled in every way there is. */
#ifndef SUPPORT_STRESS_TARGET_H
#define SUPPORT_STRESS_TARGET_H

#include <cancel/cancel.h>

#include <stdbool.h>

struct stress_target {
	struct cancel_source source, parent;
	struct cancel_link link; /* of the one to the other */
	struct cancel_deadline deadline;
};

/* The first three may race with each other. Each of the others is for one thread: it uses more than the
 * source. */
enum {
	STRESS_WAY_HERE,
	STRESS_WAY_DEFERRED,
	STRESS_WAY_FROM_SIGNAL,
	STRESS_WAYS_SHARED,
	STRESS_WAY_PARENT = STRESS_WAYS_SHARED,
	STRESS_WAY_OVERDUE, /* a deadline that is set when it is over */
	STRESS_WAYS,
};

void stress_target_begin(struct stress_target *target);
/* Nobody uses it any more; what is being delivered is waited for. */
void stress_target_end(struct stress_target *target);

const char *stress_way_name(unsigned way);

/* What the call returned. Afterwards the target may be gone. */
int stress_cancel(struct stress_target *target, unsigned way, const struct cancel_cause *cause);
/* Whether the call that returned this was the one that cancelled the source. */
bool stress_won(const struct stress_target *target, unsigned way, int code, const struct cancel_cause *cause);

#endif
