#include "queue.h"

#include "delivery.h"
#include "latch.h"

#include <stddef.h>

/* As numbers: of a pointer that is NULL a compiler may believe that nothing was added to it. */
static void set_next(struct cancel_source *source, struct cancel_source *next)
{
	__atomic_store_n(&source->delivery, (void *)((uintptr_t)next + 1), __ATOMIC_RELAXED);
}

static struct cancel_source *get_next(const struct cancel_source *source)
{
	return (struct cancel_source *)((uintptr_t)__atomic_load_n(&source->delivery, __ATOMIC_RELAXED) - 1);
}

void queue_push(struct queue *queue, struct cancel_source *source)
{
	struct cancel_source *next = __atomic_load_n(&queue->pushed, __ATOMIC_RELAXED);

	do {
		set_next(source, next);
	} while (!__atomic_compare_exchange_n(&queue->pushed, &next, source, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

static struct cancel_source *take_in_order(struct queue *queue)
{
	struct cancel_source *pushed = __atomic_exchange_n(&queue->pushed, NULL, __ATOMIC_ACQUIRE);
	struct cancel_source *ready = NULL;

	while (pushed) {
		struct cancel_source *next = get_next(pushed);

		set_next(pushed, ready);
		ready = pushed;
		pushed = next;
	}
	return ready;
}

static struct cancel_source *pop(struct queue *queue)
{
	struct cancel_source *source;

	latch_lock(&queue->locked);
	if (!queue->ready)
		queue->ready = take_in_order(queue);
	source = queue->ready;
	if (source)
		queue->ready = get_next(source);
	latch_unlock(&queue->locked);
	return source;
}

bool queue_deliver(struct queue *queue)
{
	struct cancel_source *source = pop(queue);

	if (!source)
		return false;
	latch_lock(&source->locked);
	delivery_run(source);
	return true;
}

bool queue_is_empty(struct queue *queue)
{
	bool empty;

	latch_lock(&queue->locked);
	empty = !queue->ready && !__atomic_load_n(&queue->pushed, __ATOMIC_ACQUIRE);
	latch_unlock(&queue->locked);
	return empty;
}
