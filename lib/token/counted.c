/* Sources on the heap. */
#include "delivery.h"

#include <stddef.h>
#include <stdlib.h>

struct counted {
	uint32_t holds; /* atomic */
	struct cancel_source source;
};

static struct counted *counted_of(struct cancel_source *source)
{
	return (struct counted *)((char *)source - offsetof(struct counted, source));
}

struct cancel_source *cancel_source_new(const struct cancel_cause *cause)
{
	struct counted *counted = malloc(sizeof *counted);

	if (!counted)
		return NULL;
	counted->holds = 1;
	cancel_source_init(&counted->source, cause);
	return &counted->source;
}

struct cancel_source *cancel_source_hold(struct cancel_source *source)
{
	(void)__atomic_fetch_add(&counted_of(source)->holds, 1, __ATOMIC_RELAXED);
	return source;
}

int cancel_source_drop(struct cancel_source *source)
{
	struct counted *counted;
	int result;

	if (!source)
		return 0;
	counted = counted_of(source);
	if (__atomic_sub_fetch(&counted->holds, 1, __ATOMIC_ACQ_REL) > 0)
		return 0;
	result = cancel_source_fini(source);
	if (result < 0) {
		__atomic_store_n(&counted->holds, 1, __ATOMIC_RELAXED);
		return result;
	}
	free(counted);
	return 0;
}
