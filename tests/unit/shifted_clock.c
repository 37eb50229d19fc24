/* The suite is linked with this compilation of lib/base/clock.c in place of the archive's: the same code, but
 * clock_gettime can be shifted. The archive's member is not pulled in, because every name of it is defined here. */
#include "shifted_clock.h"

#include <time.h>

static int64_t passed_s, stepped_ms;

static int shifted_gettime(clockid_t clock, struct timespec *now)
{
	int64_t shift_ms = passed_s * 1000 + (clock == CLOCK_REALTIME ? stepped_ms : 0), ns;

	if (clock_gettime(clock, now) < 0)
		return -1;
	ns = now->tv_nsec + shift_ms % 1000 * 1000000;
	now->tv_sec += shift_ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
	now->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
	return 0;
}

#define clock_gettime shifted_gettime
#include "clock.c"
#undef clock_gettime

void time_passes(int64_t seconds)
{
	passed_s += seconds;
}

void clock_steps_ms(int64_t milliseconds)
{
	stepped_ms += milliseconds;
}
