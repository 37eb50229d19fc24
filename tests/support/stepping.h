/* A program that is stopped after one of its system calls, and goes on when it is told to. */
#ifndef SUPPORT_STEPPING_H
#define SUPPORT_STEPPING_H

#include "strace.h"

#include <stdbool.h>

struct stepping {
	struct process process; /* strace, with the program's exit code */
	pid_t pid;              /* the program's */
};

/* Start a program that prints a line with "pid NUMBER", one with "beginning" before it makes that call, and
 * one with "begun" when it will not make it any more. */
void stepping_start(struct stepping *stepping, const char *const *arguments, const char *const *environment,
		    const struct strace_call *call);

/* Wait until all of its threads are stopped; false when it had not come to its beginning then (other threads
 * make it do without a call, or make one more), or has begun or ended without a stop. */
bool stepping_wait(struct stepping *stepping);

/* Let it go on, to its end; false when that does not come. */
bool stepping_finish(struct stepping *stepping);

#endif
