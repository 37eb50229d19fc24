/* The end of a run, seen from the spool. */
#ifndef SPOOL_ENDING_H
#define SPOOL_ENDING_H

#include "lease.h"

#include <cancel/request.h>

struct ending {
	const char *task_id, *run; /* run may be NULL */
	enum cancel_outcome outcome;
	const char *detail;
	struct lease *lease; /* the run's own, which ends with it; NULL: it has none */
	/* What cancelled it, where that is a request for another id that it listens to; else NULL. */
	const struct cancel_request *group;
};

/* Decide what is pending for the run's own names, or tell that it stopped for a group. As
 * cancel_spool_acknowledge; `decided` may be NULL. After a failure the run may have lost its lease all the
 * same. */
int ending_tell(struct cancel_spool *spool, const struct ending *ending, struct cancel_request decided[2],
		struct cancel_error *error);

#endif
