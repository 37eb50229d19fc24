#include "heap.h"

#include <stddef.h>

/* `at` points to `deadline`, which knows it. */
static void hang(struct cancel_deadline **at, struct cancel_deadline *deadline)
{
	*at = deadline;
	if (deadline)
		deadline->link = at;
}

static void add_child(struct cancel_deadline *parent, struct cancel_deadline *child)
{
	hang(&child->next, parent->child);
	hang(&parent->child, child);
}

/* Two heaps into one. Neither has siblings; either may be none. */
static struct cancel_deadline *merge(struct cancel_deadline *a, struct cancel_deadline *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->at_ns < a->at_ns) {
		add_child(b, a);
		return b;
	}
	add_child(a, b);
	return a;
}

/* The siblings from `first` on into one heap: by pairs, then the pairs from the last to the first. In one
 * pass each, without recursion, for there may be a million of them. */
static struct cancel_deadline *merge_siblings(struct cancel_deadline *first)
{
	struct cancel_deadline *pairs = NULL, *merged = NULL, *next;

	while (first) {
		struct cancel_deadline *a = first, *b = first->next;

		next = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = merge(a, b);
		a->next = pairs;
		pairs = a;
		first = next;
	}
	for (; pairs; pairs = next) {
		next = pairs->next;
		pairs->next = NULL;
		merged = merge(merged, pairs);
	}
	return merged;
}

void heap_insert(struct heap *heap, struct cancel_deadline *deadline)
{
	deadline->child = NULL;
	deadline->next = NULL;
	hang(&heap->first, merge(heap->first, deadline));
}

void heap_remove(struct heap *heap, struct cancel_deadline *deadline)
{
	struct cancel_deadline *below = merge_siblings(deadline->child);

	hang(deadline->link, deadline->next);
	deadline->link = NULL;
	hang(&heap->first, merge(heap->first, below));
}
