/* The library's clocks, and a hand on them: time that passes and clocks that are stepped, without waiting. */
#ifndef UNIT_SHIFTED_CLOCK_H
#define UNIT_SHIFTED_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Let so many seconds pass: all clocks of this process, and of those it forks, go on by as much. The kernel's times of
 * files stay behind, as they do when time really passes. */
void time_passes(int64_t seconds);

/* Step the wall clock alone. */
void clock_steps_ms(int64_t milliseconds);

/* From now on time passes by `time_passes` only, so that an edge can be met exactly. `at`: the wall clock has stopped
 * at this time of a file, and was not stepped before; NULL: now. Nothing that waits may run out of time then. */
void time_stops(const struct timespec *at);

#endif
