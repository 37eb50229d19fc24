#include <cancel/deadline.h>

#include "clock.h"
#include "delivery.h"
#include "dispatcher.h"
#include "heap.h"
#include "latch.h"
#include "timer.h"

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

static int64_t time_of(const struct cancel_clock *clock)
{
	return clock ? clock->now_ns(clock->arg) : clock_monotonic_ns();
}

int64_t cancel_clock_now_ns(void)
{
	return time_of(plugged());
}

int cancel_clock_plug(const struct cancel_clock *clock)
{
	int result = 0;

	latch_lock(&timer.locked);
	if (timer.heap.first || !queue_is_empty(&timer_queue)) {
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
	const struct cancel_clock *clock = plugged();
	int fired = 0;

	if (!clock)
		return 0;
	(void)timer_fire(clock, &timer_queue, &fired);
	while (queue_deliver(&timer_queue)) {
	}
	while (dispatcher_needs_me() && dispatcher_deliver()) {
	}
	return fired;
}

/* --- arming ------------------------------------------------------------------------------------------- */

static int need_somebody_to_fire(void)
{
	return plugged() ? 0 : cancel_dispatcher_start();
}

/* With the lock held. The cause is not held any more: the caller drops it, without the lock. */
static bool disarm(struct cancel_deadline *deadline, const struct cancel_cause **cause)
{
	if (!heap_holds(deadline))
		return false;
	heap_remove(&timer.heap, deadline);
	*cause = deadline->cause;
	return true;
}

static void drop(const struct cancel_cause *cause)
{
	if (cause)
		cancel_cause_drop(cause);
}

static void arm(struct cancel_deadline *deadline, struct cancel_source *source, int64_t at_ns,
		const struct cancel_cause *cause)
{
	const struct cancel_cause *before = NULL;
	bool earlier;

	cancel_cause_hold(cause);
	latch_lock(&timer.locked);
	(void)disarm(deadline, &before);
	deadline->source = source;
	deadline->cause = cause;
	deadline->at_ns = at_ns;
	heap_insert(&timer.heap, deadline);
	earlier = at_ns < timer.asleep_until_ns;
	if (earlier)
		timer.asleep_until_ns = at_ns;
	latch_unlock(&timer.locked);
	drop(before);
	if (earlier)
		dispatcher_ring();
}

/* The dispatcher is looked for before, so that nothing changes where none can be had, and after: it may have
 * been stopped in between, not having seen this one. */
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
	arm(deadline, source, at_ns, cause ? cause : cancel_cause_deadline());
	result = need_somebody_to_fire();
	if (result < 0)
		(void)cancel_deadline_stop(deadline);
	return result;
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
	if (plugged())
		queue_push(&timer_queue, source);
	else
		dispatcher_take(source);
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
	const struct cancel_cause *cause = NULL;
	bool stopped;

	latch_lock(&timer.locked);
	stopped = disarm(deadline, &cause);
	if (stopped)
		deadline->at_ns = CANCEL_FOREVER;
	latch_unlock(&timer.locked);
	drop(cause);
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

/* With the lock held. Marked under it, so that a stop that comes too late finds the source cancelled. Once it
 * is marked the deadline may be gone, or armed anew; the source waits in the queue, and cancel_source_fini
 * for that. */
static const struct cancel_cause *fire_first(struct queue *queue)
{
	struct cancel_source *source = timer.heap.first->source;
	const struct cancel_cause *cause = NULL;

	(void)disarm(timer.heap.first, &cause);
	if (delivery_mark_pending(source, cause))
		queue_push(queue, source);
	return cause;
}

/* With the lock held. When the next one is due by this clock. */
static int64_t look(const struct cancel_clock *clock)
{
	const struct cancel_deadline *first = timer.heap.first;

	if (plugged() != clock)
		return CANCEL_FOREVER;
	timer.asleep_until_ns = first ? first->at_ns : CANCEL_FOREVER;
	return timer.asleep_until_ns;
}

int64_t timer_fire(const struct cancel_clock *clock, struct queue *queue, int *fired)
{
	int64_t now_ns = time_of(clock);

	for (;;) {
		const struct cancel_cause *cause;
		int64_t next_ns;

		latch_lock(&timer.locked);
		next_ns = look(clock);
		if (next_ns == CANCEL_FOREVER || next_ns > now_ns) {
			latch_unlock(&timer.locked);
			return next_ns;
		}
		cause = fire_first(queue);
		latch_unlock(&timer.locked);
		drop(cause);
		if (fired)
			++*fired;
	}
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
		first->at_ns = CANCEL_FOREVER; /* what its cause was held for is the parent's affair */
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
