/*
 * A source's word: a cause's address and, in the bits that its alignment leaves free, what happened. Flag and
 * cause change in one step, so they never disagree. Before the cancellation it is the source's own cause.
 */
#ifndef TOKEN_WORD_H
#define TOKEN_WORD_H

#include <cancel/source.h>

#include <stdbool.h>
#include <stdint.h>

#define WORD_CANCELLED 1U
#define WORD_BY_LINK   2U /* `root` says where it came from; else from here */
#define WORD_PENDING   4U /* nobody has begun to deliver: it is in a queue, or on its way there */
#define WORD_FLAGS     (WORD_CANCELLED | WORD_BY_LINK | WORD_PENDING)

_Static_assert(_Alignof(struct cancel_cause) > WORD_FLAGS, "a cause's address leaves room for the flags");

static inline uintptr_t word_load(const struct cancel_source *source)
{
	return (uintptr_t)__atomic_load_n(&source->word, __ATOMIC_SEQ_CST);
}

static inline const struct cancel_cause *word_cause(uintptr_t word)
{
	return (const struct cancel_cause *)(word & ~(uintptr_t)WORD_FLAGS);
}

static inline bool word_is_cancelled(const struct cancel_source *source)
{
	return word_load(source) & WORD_CANCELLED;
}

/* From not cancelled to cancelled with this cause: true for the one caller who did it. Takes no lock. */
bool word_set(struct cancel_source *source, const struct cancel_cause *cause, unsigned flags);

/* Somebody has begun to deliver, and is done. */
static inline void word_clear_pending(struct cancel_source *source)
{
	uintptr_t word = word_load(source);

	if (word & WORD_PENDING)
		__atomic_store_n(&source->word,
				 (const char *)word_cause(word) + (word & WORD_FLAGS & ~WORD_PENDING),
				 __ATOMIC_RELEASE);
}

#endif
