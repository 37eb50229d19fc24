#include <cancel/deadline.h>

#include "delivery.h"
#include "dispatcher.h"
#include "heap.h"
#include "latch.h"
#include "timer.h"
#include "waiting.h"

#include <errno.h>
#include <stddef.h>

struct queue timer_queue;

/* All under `locked`. A source's lock may be taken under it, never the other way round. */
static struct {
	struct heap heap;
	const struct cancel_clock *plugged; /* NULL: CLOCK_MONOTONIC; atomic */
	int64_t asleep_until_ns;            /* when the dispatcher looks next, unless it is woken */
	uint8_t locked;
} timer = {.asleep_until_ns = CANCEL_FOREVER};

/* --- the clock ---------------------------------------------------------------------------------------- */

static const struct cancel_clock *plugged(void)
{
	return __atomic_load_n(&timer.plugged, __ATOMIC_ACQUIRE);
}

bool timer_is_plugged(void)
{
	return plugged() != NULL;
}

int64_t cancel_clock_now_ns(void)
{
	const struct cancel_clock *clock = plugged();

	return clock ? clock->now_ns(clock->arg) : waiting_now_ns();
}

int cancel_clock_plug(const struct cancel_clock *clock)
{
	int result = 0;

	latch_lock(&timer.locked);
	if (timer.heap.first) {
		result = -EBUSY;
	} else {
		__atomic_store_n(&timer.plugged, clock, __ATOMIC_RELEASE);
		/* In the other clock's time it means nothing: the next deadline wakes the dispatcher. */
		timer.asleep_until_ns = CANCEL_FOREVER;
	}
	latch_unlock(&timer.locked);
	return result;
}

int cancel_clock_advanced(void)
{
	int fired = 0;

	if (!timer_is_plugged())
		return 0;
	(void)timer_fire(&timer_queue, &fired);
	while (queue_deliver(&timer_queue)) {
	}
	if (!dispatcher_thread())
		dispatcher_deliver();
	return fired;
}

/* --- arming ------------------------------------------------------------------------------------------- */

static int need_somebody_to_fire(void)
{
	return timer_is_plugged() ? 0 : cancel_dispatcher_start();
}

static void arm(struct cancel_deadline *deadline, struct cancel_source *source, int64_t at_ns,
		const struct cancel_cause *cause)
{
	bool earlier;

	latch_lock(&timer.locked);
	if (heap_holds(deadline))
		heap_remove(&timer.heap, deadline);
	deadline->source = source;
	deadline->cause = cause ? cause : cancel_cause_deadline();
	deadline->at_ns = at_ns;
	heap_insert(&timer.heap, deadline);
	earlier = at_ns < timer.asleep_until_ns;
	if (earlier)
		timer.asleep_until_ns = at_ns;
	latch_unlock(&timer.locked);
	if (earlier)
		dispatcher_ring();
}

int cancel_deadline_set_at(struct cancel_deadline *deadline, struct cancel_source *source, int64_t at_ns,
			   const struct cancel_cause *cause)
{
	int result;

	if (at_ns == CANCEL_FOREVER) {
		(void)cancel_deadline_stop(deadline);
		deadline->at_ns = CANCEL_FOREVER;
		return 0;
	}
	result = need_somebody_to_fire();
	if (result < 0)
		return result;
	arm(deadline, source, at_ns, cause);
	return 0;
}

/* The source is marked now, not when the dispatcher comes to it. */
static int fire_now(struct cancel_deadline *deadline, struct cancel_source *source,
		    const struct cancel_cause *cause)
{
	int result = need_somebody_to_fire();

	if (result < 0)
		return result;
	(void)cancel_deadline_stop(deadline);
	deadline->source = source;
	deadline->at_ns = cancel_clock_now_ns();
	if (!delivery_mark_pending(source, cause ? cause : cancel_cause_deadline()))
		return 0;
	if (timer_is_plugged())
		queue_push(&timer_queue, source);
	else
		dispatcher_push(source);
	return 0;
}

int cancel_deadline_set(struct cancel_deadline *deadline, struct cancel_source *source, int64_t delay_ns,
			const struct cancel_cause *cause)
{
	int64_t at_ns;

	if (delay_ns <= 0)
		return fire_now(deadline, source, cause);
	if (delay_ns == CANCEL_FOREVER || __builtin_add_overflow(cancel_clock_now_ns(), delay_ns, &at_ns))
		at_ns = CANCEL_FOREVER;
	return cancel_deadline_set_at(deadline, source, at_ns, cause);
}

int cancel_deadline_stop(struct cancel_deadline *deadline)
{
	bool stopped;

	latch_lock(&timer.locked);
	stopped = heap_holds(deadline);
	if (stopped) {
		heap_remove(&timer.heap, deadline);
		deadline->at_ns = CANCEL_FOREVER;
	}
	latch_unlock(&timer.locked);
	return stopped;
}

int64_t cancel_deadline_at_ns(const struct cancel_deadline *deadline)
{
	return deadline->source ? deadline->at_ns : CANCEL_FOREVER;
}

int64_t cancel_deadline_remaining_ns(const struct cancel_deadline *deadline)
{
	int64_t at_ns = cancel_deadline_at_ns(deadline), now_ns;

	if (at_ns == CANCEL_FOREVER)
		return CANCEL_FOREVER;
	now_ns = cancel_clock_now_ns();
	return at_ns > now_ns ? at_ns - now_ns : 0;
}

/* --- firing ------------------------------------------------------------------------------------------- */

/* Marked under the lock, so that a stop that comes too late finds the source cancelled, and nothing of the
 * deadline or its source is used after the stop; what is pending in the queue cancel_source_fini waits for.
 */
int64_t timer_fire(struct queue *queue, int *fired)
{
	struct cancel_deadline *first;
	int64_t now_ns = cancel_clock_now_ns(), next_ns;

	latch_lock(&timer.locked);
	while ((first = timer.heap.first) && first->at_ns <= now_ns) {
		heap_remove(&timer.heap, first);
		if (delivery_mark_pending(first->source, first->cause))
			queue_push(queue, first->source);
		if (fired)
			++*fired;
	}
	next_ns = first ? first->at_ns : CANCEL_FOREVER;
	timer.asleep_until_ns = next_ns;
	latch_unlock(&timer.locked);
	return next_ns;
}

bool timer_is_idle(void)
{
	bool idle;

	latch_lock(&timer.locked);
	idle = !timer.heap.first;
	latch_unlock(&timer.locked);
	return idle;
}

/* --- fork --------------------------------------------------------------------------------------------- */

void timer_before_fork(void)
{
	latch_lock(&timer.locked);
}

static void disarm_all(void)
{
	struct cancel_deadline *first;

	while ((first = timer.heap.first)) {
		heap_remove(&timer.heap, first);
		first->at_ns = CANCEL_FOREVER;
	}
	timer.asleep_until_ns = CANCEL_FOREVER;
	timer_queue = (struct queue){0};
}

void timer_after_fork(bool child)
{
	if (child)
		disarm_all();
	latch_unlock(&timer.locked);
}
