#include "latch.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_ROUNDS 8 /* each twice as long as the one before: 255 pauses, 5 us where it was measured */
#define SLEEP_NS    50000

static void pause_once(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Looks before it tries: trying takes the cache line away from the holder. */
static bool try_lock(uint8_t *latch)
{
	return !__atomic_load_n(latch, __ATOMIC_RELAXED) && !__atomic_exchange_n(latch, 1, __ATOMIC_ACQUIRE);
}

void latch_wait(uint8_t *latch)
{
	const struct timespec nap = {0, SLEEP_NS};

	for (unsigned round = 0; round < SPIN_ROUNDS; round++) {
		for (unsigned i = 0; i < 1U << round; i++)
			pause_once();
		if (try_lock(latch))
			return;
	}
	while (!try_lock(latch))
		(void)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap,
			      NULL); /* no cancellation point */
}
