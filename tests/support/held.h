/* A program that is held at one of its system calls, before that is made, until it is let go. */
#ifndef SUPPORT_HELD_H
#define SUPPORT_HELD_H

#include "tracer.h"

#include <stdbool.h>

struct held {
	long number;      /* of the call: SYS_... */
	const char *path; /* of what its first argument is a descriptor of */
	int at;           /* which of those: 1 for the first */

	/* Its own. */
	int seen;
	int output_fd;
	struct tracer *tracer;
};

/* Start it, and wait until it is held; false when it has ended without. Aborts where nothing can be traced:
 * ask tracer_works() before. */
bool held_start(struct held *held, const char *const *arguments, const char *const *environment);

/* Let it go on to its end; its exit code, or -1 when that does not come. All that it wrote is in `output`. */
int held_finish(struct held *held, char *output, size_t size);

/* Kill it. A zeroed one is fine. */
void held_kill(struct held *held);

#endif
