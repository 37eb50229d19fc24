/* What processes need. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "place.h"

#include <sys/types.h>

#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"

/* The number after `field` in a file of /proc/PID: of memory in KiB. */
double memory_field(pid_t pid, const char *name, const char *field);

/* cancelwatch's largest resident set, in KiB, after it has reported all that is pending and has gone over it
 * again. */
double memory_of_watcher(const struct place *place, const char *spool, long pending);

#endif
