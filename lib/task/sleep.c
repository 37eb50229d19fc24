#include "sleep.h"

#include "clock.h"
#include "futex.h"

#include <cancel/limits.h>

#include <errno.h>

bool sleep_add(struct sleep_set *set, const uint32_t *word, uint32_t value, bool is_shared)
{
	if (set->count == FUTEX_WAITV_MAX)
		return false;
	set->words[set->count++] = (struct futex_waitv){
		.val = value,
		.uaddr = (uintptr_t)word,
		.flags = FUTEX_32 | (is_shared ? 0 : FUTEX_PRIVATE_FLAG),
	};
	return true;
}

static const struct timespec *time_at(struct timespec *time, int64_t at_ns)
{
	if (at_ns == CANCEL_FOREVER)
		return NULL;
	*time = (struct timespec){at_ns / NS_PER_S, at_ns % NS_PER_S};
	return time;
}

/* Before Linux 5.16, in a sandbox that knows nothing newer, and where the bell was cut short: on the first
 * word, which is always one of this process. */
static void sleep_a_turn(const struct sleep_set *set, int64_t until_ns)
{
	int64_t turn_ns = clock_monotonic_ns() + CANCEL_ROUND_MIN_MS * NS_PER_MS;
	struct timespec time;

	futex_sleep((const uint32_t *)(uintptr_t)set->words[0].uaddr, (uint32_t)set->words[0].val,
		    time_at(&time, turn_ns < until_ns ? turn_ns : until_ns));
}

void sleep_until(const struct sleep_set *set, int64_t until_ns)
{
	struct timespec time;

	if (syscall(SYS_futex_waitv, set->words, set->count, 0, time_at(&time, until_ns), CLOCK_MONOTONIC) >=
		    0 ||
	    errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT)
		return;
	sleep_a_turn(set, until_ns);
}
