/*
 * A fence that one thread executes for all: membarrier(2). It lets the side that runs often (calling
 * callbacks) do without a locked instruction, at the cost of the side that runs seldom (removing one of them
 * meanwhile).
 */
#ifndef TOKEN_FENCE_H
#define TOKEN_FENCE_H

#include <stdbool.h>

/* Whether the system offers it. Where it does not, callbacks are claimed one by one, under the lock. */
bool fence_is_offered(void);

/* Whatever any other thread does from here on comes after what this thread did before. False: the system
 * refuses it by now (a sandbox), and nothing is ordered. */
bool fence_all_threads(void);

/* As if the system did not offer it, from here on. */
void fence_give_up(void);

#endif
