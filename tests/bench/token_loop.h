/* Token rows: a loop over one operation, timed as a whole, the same way for us and for every peer. */
#ifndef BENCH_TOKEN_LOOP_H
#define BENCH_TOKEN_LOOP_H

#include "harness.h"

/* Many short ones rather than the usual number of long ones: what slows the machine for some milliseconds
 * then slows both sides' medians alike. */
#define TOKEN_REPETITIONS 51

/* Do it so many times. */
typedef void token_loop(long count);

/* Nanoseconds of one of them. */
double token_loop_ns(token_loop *loop, long count);

/* One side of a row: `full` and `brief` are how many times. */
#define TOKEN_SIDE(side, loop, full, brief)                               \
	static double side(const struct place *place)                     \
	{                                                                 \
		(void)place;                                              \
		return token_loop_ns(loop, bench_count((full), (brief))); \
	}

/*
 * glibc and libstdc++ leave out some of their work in a process that has never had a second thread; we do
 * not. So a budget is against what they do alone, as their best, and the rows that say so have had a second
 * thread, as programs that need tokens have. Groups are set up with the one or the other.
 */
void token_loop_alone(const struct place *place);
void token_loop_threaded(const struct place *place);

/* For rows about membarrier(2): what is missing where the system refuses it. */
const char *token_loop_lacks_membarrier(void);

/* What the figures are made of: one locked instruction that nobody else wants, one look at the clock. */
void token_loop_atomic_add(long count);
void token_loop_clock(long count);

#endif
