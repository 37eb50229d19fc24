#include <cancel/source.h>

#include "delivery.h"
#include "dispatcher.h"
#include "latch.h"
#include "rank.h"
#include "timer.h"
#include "waiting.h"
#include "word.h"

#include <cancel/clock.h>
#include <cancel/deadline.h>
#include <cancel/token.h>

#include <errno.h>
#include <stddef.h>

#define PENDING_LOOK_NS CANCEL_MILLISECOND

_Static_assert(sizeof(struct cancel_source) <= 40, "a source is 40 bytes");
_Static_assert(sizeof(struct cancel_token) <= 8, "a token is 8 bytes");
_Static_assert(sizeof(struct cancel_registration) <= 40, "a registration is 40 bytes");

void cancel_source_init(struct cancel_source *source, const struct cancel_cause *cause)
{
	*source = (struct cancel_source)CANCEL_SOURCE_INIT_CAUSE(cause);
}

/* --- cancelling --------------------------------------------------------------------------------------- */

int cancel_source_cancel(struct cancel_source *source, const struct cancel_cause *cause)
{
	return delivery_cancel(source, cause);
}

int cancel_source_cancel_deferred(struct cancel_source *source, const struct cancel_cause *cause)
{
	int result = cancel_dispatcher_start();

	if (result < 0)
		return result;
	if (!delivery_mark_pending(source, cause))
		return 0;
	dispatcher_take(source);
	return 1;
}

/* Without any lock: the interrupted code may hold it. From the flag on, WORD_PENDING keeps the source from
 * being ended. */
int cancel_source_cancel_from_signal(struct cancel_source *source, const struct cancel_cause *cause)
{
	int saved = errno;

	if (!word_set(source, cause, WORD_PENDING))
		return 0;
	delivery_wake(source);
	dispatcher_push(source);
	errno = saved;
	return 1;
}

/* --- waiting until it is delivered -------------------------------------------------------------------- */

/* The order of the loads matters. Whoever sees the source cancelled sees it locked, or with a delivery, or
 * both done: the delivery is set before the lock is first let go, and cleared before it is last let go. */
static bool is_settled(const struct cancel_source *source)
{
	return !(word_load(source) & WORD_PENDING) && !latch_is_locked(&source->locked) &&
	       !__atomic_load_n(&source->delivery, __ATOMIC_ACQUIRE) && !latch_is_locked(&source->locked);
}

/* Deliver here what nobody else would. */
static bool help(void)
{
	return queue_deliver(&timer_queue) || (dispatcher_needs_me() && dispatcher_deliver());
}

/* Sleep until the delivery goes on, or the pending source is taken up. */
static int sleep_a_turn(struct cancel_source *source, uint32_t wakes, const pthread_t *deliverer,
			const struct timespec *until)
{
	struct timespec soon;
	pthread_t dispatcher;

	if (deliverer)
		return waiting_sleep(&source->wakes, wakes, deliverer, until);
	/* It may be on its way into the queue, in a signal handler, and nobody there to take it out. */
	return waiting_sleep(&source->wakes, wakes, dispatcher_thread(&dispatcher) ? &dispatcher : NULL,
			     waiting_until(&soon, PENDING_LOOK_NS));
}

/* Wait until nothing is being delivered, or it is on this thread. Returns with the lock held, or a negative
 * errno without it. */
static int settle(struct cancel_source *source, const struct timespec *until)
{
	for (;;) {
		struct delivery *delivery;
		pthread_t deliverer;
		uint32_t wakes;
		int result;

		latch_lock(&source->locked);
		delivery = delivery_of(source);
		if (delivery ? delivery_is_mine(delivery) : !(word_load(source) & WORD_PENDING))
			return 0;
		if (delivery)
			deliverer = delivery->thread;
		wakes = waiting_begin(source);
		latch_unlock(&source->locked);
		if (until && waiting_is_over(until))
			return -ETIMEDOUT;
		if (!delivery && help())
			continue;
		result = sleep_a_turn(source, wakes, delivery ? &deliverer : NULL, until);
		if (result < 0)
			return result;
	}
}

int cancel_source_quiesce(struct cancel_source *source, int64_t timeout_ns)
{
	struct timespec end;
	int result;

	if (is_settled(source))
		return 0;
	result = settle(source, waiting_until(&end, timeout_ns));
	if (result < 0)
		return result;
	result = delivery_of(source) ? -EDEADLK : 0;
	latch_unlock(&source->locked);
	return result;
}

/* --- ending ------------------------------------------------------------------------------------------- */

static void drop_cause(const struct cancel_source *source)
{
	const struct cancel_cause *cause = cancel_token_cause(cancel_source_token(source));

	if (cause)
		cancel_cause_drop(cause);
}

int cancel_source_fini(struct cancel_source *source)
{
	int result;

	if (!is_settled(source) || source->first) {
		result = settle(source, NULL);
		if (result < 0)
			return result;
		delivery_end(source);
	}
	drop_cause(source);
	return 0;
}

int cancel_source_try_reset(struct cancel_source *source, struct cancel_deadline *deadline)
{
	if (deadline)
		(void)cancel_deadline_stop(deadline);
	if (word_is_cancelled(source))
		return 0;
	if (source->first)
		return -EBUSY;
	source->rank &= RANK_DEPTH;
	return 1;
}
