/* The clocks, and which boot this is. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <cancel/limits.h>

#include <stdint.h>
#include <time.h>

#define US_PER_S  1000000LL
#define NS_PER_S  1000000000LL
#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define US_PER_MS 1000LL

int64_t clock_realtime_us(void);
int64_t clock_boottime_ns(void);
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
/* CLOCK_MONOTONIC as of the last tick: a fifth of the cost, and behind by up to 10 ms, never ahead. */
int64_t clock_coarse_ns(void);

/* How far the wall clock is ahead of CLOCK_BOOTTIME. Constant in one boot unless somebody steps the clock:
 * both are slewed alike, and CLOCK_BOOTTIME counts suspended time too. */
int64_t clock_offset_ms(void);

/* The kernel's boot id, read once; "" where /proc cannot be read. */
const char *clock_boot_id(void);

int64_t timespec_us(const struct timespec *time);
int64_t timespec_ns(const struct timespec *time);

#endif
