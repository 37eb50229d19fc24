/* The suite is linked with this compilation of lib/base/clock.c in place of the archive's: the same code, but
 * clock_gettime can be shifted and stopped. The archive's member is not pulled in, because every name of it is defined
 * here. */
#include "shifted_clock.h"

#include "clock.h"

#include <stdbool.h>
#include <stddef.h>

static int64_t passed_ns, stepped_ns;
static struct timespec stopped[CLOCK_BOOTTIME + 1];
static bool has_stopped;

static int shifted_gettime(clockid_t clock, struct timespec *now)
{
	int64_t shifted_ns;

	if (has_stopped)
		*now = stopped[clock];
	else if (clock_gettime(clock, now) < 0)
		return -1;
	shifted_ns = timespec_ns(now) + passed_ns + (clock == CLOCK_REALTIME ? stepped_ns : 0);
	*now = (struct timespec){shifted_ns / NS_PER_S, shifted_ns % NS_PER_S};
	return 0;
}

#define clock_gettime shifted_gettime
#include "clock.c"
#undef clock_gettime

void time_passes(int64_t seconds)
{
	passed_ns += seconds * NS_PER_S;
}

void clock_steps_ms(int64_t milliseconds)
{
	stepped_ns += milliseconds * NS_PER_MS;
}

void time_stops(const struct timespec *at)
{
	for (clockid_t clock = 0; clock <= CLOCK_BOOTTIME; clock++)
		(void)clock_gettime(clock, &stopped[clock]);
	has_stopped = true;
	if (at)
		passed_ns += timespec_ns(at) - timespec_ns(&stopped[CLOCK_REALTIME]);
}
