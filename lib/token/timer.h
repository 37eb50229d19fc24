/* What the deadlines share: the heap, and the clock that they are measured by. */
#ifndef TOKEN_TIMER_H
#define TOKEN_TIMER_H

#include "queue.h"

#include <stdbool.h>
#include <stdint.h>

/* Mark what is due by now, and queue it. Returns when the next one is due, CANCEL_FOREVER for never; who
 * sleeps until then is woken when an earlier one is armed. `fired`, if not NULL, is counted up. */
int64_t timer_fire(struct queue *queue, int *fired);

/* No deadline is armed. */
bool timer_is_idle(void);

/* Whether a clock is plugged in, so that only its owner fires. */
bool timer_is_plugged(void);

/* Around a fork; in the child nothing is armed. */
void timer_before_fork(void);
void timer_after_fork(bool child);

/* What cancel_clock_advanced has marked and not yet delivered. */
extern struct queue timer_queue;

#endif
