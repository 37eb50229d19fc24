#include "word.h"

bool word_set(struct cancel_source *source, const struct cancel_cause *cause, unsigned flags)
{
	const char *before = __atomic_load_n(&source->word, __ATOMIC_RELAXED);

	if ((uintptr_t)before & WORD_CANCELLED)
		return false;
	if (!cause)
		cause = before ? word_cause((uintptr_t)before) : cancel_cause_requested();
	/* Held before it can be seen, for who sees it may end the source, which drops it. */
	cancel_cause_hold(cause);
	if (__atomic_compare_exchange_n(&source->word, &before,
					(const char *)cause + (flags | WORD_CANCELLED), false,
					__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return true;
	cancel_cause_drop(cause);
	return false;
}
