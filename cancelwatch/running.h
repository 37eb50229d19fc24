/* How many runs are alive, as their leases say. A run that took none is not seen. */
#ifndef CANCELWATCH_RUNNING_H
#define CANCELWATCH_RUNNING_H

#include <cancel/error.h>
#include <cancel/spool.h>

#include <stdint.h>

struct running {
	int64_t runs;
	int64_t tasks; /* different ones */
};

/* Count them. Memory grows with the runs that are alive. Returns 0 or a negative errno. */
int running_count(struct running *running, struct cancel_spool *spool, struct cancel_error *error);

#endif
