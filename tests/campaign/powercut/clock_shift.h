/* The wall clock and CLOCK_BOOTTIME of this process, some seconds ahead: for the hours that the power is
 * gone, and for records that grow old. */
#ifndef POWERCUT_CLOCK_SHIFT_H
#define POWERCUT_CLOCK_SHIFT_H

#include <stdint.h>

void clock_shift(int64_t seconds);

#endif
