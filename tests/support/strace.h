/* The system calls that a program makes, by strace. */
#ifndef SUPPORT_STRACE_H
#define SUPPORT_STRACE_H

#include "process.h"

/* The `number`th call of that name since the program was started. */
struct strace_call {
	char name[24];
	int number;
};

enum {
	STRACE_CALLS_MAX = 1024,
};

/**
 * Run a program and list the calls that it makes, in order: all of them, or those after its getppid if it
 * makes that call.
 *
 * @param only  A space-separated list of calls, or NULL for all but those that end the program.
 *
 * @return How many, or -1 when strace cannot run here.
 */
int strace_list(struct process *process, const char *const *arguments, const char *const *environment,
		const char *only, struct strace_call calls[STRACE_CALLS_MAX]);

#endif
