/*
 * The lock of a source and of a heap: one byte, held for some ten instructions, or for as long as a tree
 * takes to mark. Nothing of the user's is called under it.
 *
 * It costs one locked instruction, where an exact mutex needs two: letting go is a plain store, which does
 * not look for waiters. So who waits for long sleeps for a short time and tries again; nobody has to wake it,
 * it ends even when a real-time thread waits for one that was preempted, and the last thing that the holder
 * touches is the byte itself, so that the object may be freed by whoever finds it unlocked.
 */
#ifndef TOKEN_LATCH_H
#define TOKEN_LATCH_H

#include <stdbool.h>
#include <stdint.h>

/* The slow half of latch_lock. */
void latch_wait(uint8_t *latch);

static inline void latch_lock(uint8_t *latch)
{
	if (__atomic_exchange_n(latch, 1, __ATOMIC_ACQUIRE))
		latch_wait(latch);
}

static inline void latch_unlock(uint8_t *latch)
{
	__atomic_store_n(latch, 0, __ATOMIC_RELEASE);
}

static inline bool latch_is_locked(const uint8_t *latch)
{
	return __atomic_load_n(latch, __ATOMIC_ACQUIRE);
}

#endif
