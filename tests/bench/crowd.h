/* Many workers that wait, each for a task of its own, without a manager's thread: processes as far as memory
 * allows, and threads in them. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "place.h"

#include <stdint.h>

/* Start them on the spool `name`: those of the tasks from 0 to `waiters` - 1. Returns when all have begun. */
void crowd_start(const struct place *place, const char *name, long waiters);
void crowd_end(void);

/* When the waiter of that number had woken up, by bench_now_ns, after it alone was asked. Ends the benchmark
 * when another one wakes instead, or nobody. */
int64_t crowd_await(long number);

/* What all of them have cost since they were started, in nanoseconds on a processor. */
int64_t crowd_cpu_ns(void);

/* How many inotify instances they have. */
long crowd_inotify_instances(void);

#endif
