/* What the deadlines share: the heap, and the clock that they are measured by. */
#ifndef TOKEN_TIMER_H
#define TOKEN_TIMER_H

#include "queue.h"

#include <cancel/clock.h>

#include <stdbool.h>
#include <stdint.h>

/* Mark what is due by `clock` (NULL: CLOCK_MONOTONIC), and queue it, unless another clock is plugged in by
 * now. Returns when the next one is due, CANCEL_FOREVER for never; who sleeps until then is woken when an
 * earlier one is armed. `fired`, if not NULL, is counted up. */
int64_t timer_fire(const struct cancel_clock *clock, struct queue *queue, int *fired);

/* No deadline is armed. */
bool timer_is_idle(void);

/* Around a fork; in the child nothing is armed. */
void timer_before_fork(void);
void timer_after_fork(bool child);

/* What cancel_clock_advanced has marked and not yet delivered. */
extern struct queue timer_queue;

#endif
