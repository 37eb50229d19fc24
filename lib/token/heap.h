/*
 * The armed deadlines, the earliest first: a pairing heap, threaded through the deadlines themselves. Putting
 * one in is constant; taking one out is too when nothing is due after it, and logarithmic in the long run.
 */
#ifndef TOKEN_HEAP_H
#define TOKEN_HEAP_H

#include <cancel/deadline.h>

#include <stdbool.h>

struct heap {
	struct cancel_deadline *first; /* the earliest; NULL: empty */
};

static inline bool heap_holds(const struct cancel_deadline *deadline)
{
	return deadline->link != 0;
}

void heap_insert(struct heap *heap, struct cancel_deadline *deadline);
void heap_remove(struct heap *heap, struct cancel_deadline *deadline);

#endif
