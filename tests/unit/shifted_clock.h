/* The library's clocks, and a hand on them: time that passes and clocks that are stepped, without waiting. */
#ifndef UNIT_SHIFTED_CLOCK_H
#define UNIT_SHIFTED_CLOCK_H

#include <stdint.h>

/* Let so many seconds pass: all clocks of this process, and of those it forks, go on by as much. The kernel's times of
 * files stay behind, as they do when time really passes. */
void time_passes(int64_t seconds);

/* Step the wall clock alone. */
void clock_steps_ms(int64_t milliseconds);

#endif
