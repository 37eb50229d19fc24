/* What cancelwatch needs to hold a spool. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "place.h"

#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"

/* Its largest resident set, in KiB, after it has reported all that is pending and has gone over it again. */
double memory_of_watcher(const struct place *place, const char *spool, long pending);

#endif
