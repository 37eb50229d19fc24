/* One way in which an operation is broken: at which of its calls, how, and for how long. */
#ifndef FAULTS_FAULT_H
#define FAULTS_FAULT_H

#include "faults_call.h"
#include "tracer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	FAULTS_CALLS_MAX = 2000,
	FAULTS_WHERE_SIZE = 200,
	FAULTS_COMMANDS_MAX = 64,
};

enum faults_kind {
	FAULTS_NONE,      /* unbroken: which calls there are */
	FAULTS_ONCE,      /* that call fails */
	FAULTS_ON,        /* and all of its kind after it */
	FAULTS_FULL,      /* from there on the disk is full */
	FAULTS_STARVED,   /* from there on there are no descriptors */
	FAULTS_EXHAUSTED, /* from there on the system gives no memory */
	FAULTS_CUT,       /* it reads or writes one byte */
	FAULTS_CUT_ON,    /* from there on all read and write half of what they are asked to, rounded up */
};

struct faults_fault {
	enum faults_kind kind;
	int at;                         /* of the calls between the marks, or after a program's start */
	int error;                      /* which of the call's */
	const struct faults_call *call; /* which it is in an unbroken run */
};

/* The playing of it: while the operation is traced. */
struct faults_play {
	struct faults_fault fault;
	bool is_program;
	bool is_armed;
	pid_t commands[FAULTS_COMMANDS_MAX]; /* that a program became: not ours to break */
	int command_count;
	int seen;                         /* calls so far */
	const struct faults_call *broken; /* what it met; NULL: nothing yet */
	int failed_with;                  /* an errno; 0 for one that was cut */
	int hits;
	bool has_failed_removal;
	bool has_lied;
	/* Unbroken: what there is to break. */
	const struct faults_call *calls[FAULTS_CALLS_MAX];
};

struct tracer_order faults_entering(void *play, const struct tracer_call *call);

/* "EIO once at link 23". */
const char *faults_where(const struct faults_play *play, const char *scenario, char text[FAULTS_WHERE_SIZE]);

#endif
