/* Which errors a system call can plausibly give, by what it is asked for. */
#ifndef FAULTS_CALL_H
#define FAULTS_CALL_H

#include "tracer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	FAULTS_ERRORS_MAX = 16,
};

struct faults_call {
	const char *name; /* "open to create" */
	long number;
	/* Of the arguments of that number: (argument & mask) == bits. The first entry that fits counts. */
	int argument;
	uint64_t mask, bits;
	int errors[FAULTS_ERRORS_MAX]; /* 0 ends them */
	bool needs_room;               /* fails on a full disk */
	bool makes_descriptor;
	bool takes_memory; /* from the system: brk and mmap */
	bool has_size;     /* the third argument is how many bytes: it can be cut short */
	bool is_sync;      /* who fails here must say so */
	bool removes;      /* who fails here leaves what it would have removed */
	bool is_made;      /* it has its effect even when it fails: close(2) */
	bool may_lie;      /* ENOENT and EEXIST are answers, and are given here though they are not true */
};

/* NULL: it is not made to fail. */
const struct faults_call *faults_call_of(const struct tracer_call *call);

/* Whether it may go on for ever: who is interrupted, or told that another holds a lock, rightly tries again.
 */
bool faults_error_lasts(const struct faults_call *call, int error);

#endif
