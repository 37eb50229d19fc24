/* futex(2) of one process: sleep while a word has a value, and wake who sleeps on it. */
#ifndef TOKEN_FUTEX_H
#define TOKEN_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* SYS_futex takes the kernel's struct timespec; a 32-bit system whose libc has another needs another call. */
_Static_assert(sizeof(time_t) == sizeof(long) && sizeof(long) == 8, "made for 64-bit systems");

/* Returns on a wake, on a signal, when the time is `until` (of CLOCK_MONOTONIC; NULL: no limit), or at once
 * when the word is not `value`. The caller looks at what it waits for again, so which of them does not
 * matter. */
static inline void futex_sleep(const uint32_t *word, uint32_t value, const struct timespec *until)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Safe in a signal handler, but for errno. */
static inline void futex_wake_all(const uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

#endif
