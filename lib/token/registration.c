#include <cancel/registration.h>

#include "delivery.h"
#include "fence.h"
#include "registration.h"
#include "waiting.h"
#include "word.h"

#include <cancel/token.h>

#include <errno.h>
#include <stddef.h>

struct cancel_registration *registration_was_called;

/* --- adding ------------------------------------------------------------------------------------------- */

int cancel_registration_try_add(struct cancel_registration *registration, struct cancel_token token,
				cancel_callback *callback, void *arg)
{
	return registration_list(registration, token, callback, arg, false);
}

int cancel_registration_add(struct cancel_registration *registration, struct cancel_token token,
			    cancel_callback *callback, void *arg)
{
	if (!registration_list(registration, token, callback, arg, false))
		return 0;
	registration_called(registration);
	callback(arg, token);
	return 1;
}

struct cancel_token cancel_registration_token(const struct cancel_registration *registration)
{
	return cancel_source_token(__atomic_load_n(&registration->source, __ATOMIC_ACQUIRE));
}

/* --- removing ----------------------------------------------------------------------------------------- */

/* With the lock held. Whether the callback at `index` has returned, runs, or is still to come, exactly; it
 * will not change before the lock is let go, but for running ones that return. delivery.h says why. */
static int look(struct delivery *delivery, unsigned index)
{
	bool mine = delivery_is_mine(delivery), exact = true;
	unsigned cursor;

	if (!mine) {
		__atomic_store_n(&delivery->attention, ATTENTION_ASKED, __ATOMIC_RELAXED);
		exact = fence_all_threads() || delivery->count == 1;
	}
	cursor = __atomic_load_n(&delivery->cursor, __ATOMIC_ACQUIRE);
	if (cursor > index)
		return CANCEL_FINISHED;
	/* Where it cannot be known, it is about to be called. */
	return cursor < index && exact ? CANCEL_REMOVED : CANCEL_INSIDE;
}

/* With the lock held; lets go of it to wait. */
__attribute__((noinline)) static int remove_claimed(struct cancel_registration *registration,
						    struct cancel_source *source, bool wait)
{
	for (;;) {
		struct delivery *delivery = delivery_of(source);
		int index = delivery ? delivery_find(delivery, registration) : -1;
		int removal = index < 0 ? CANCEL_FINISHED : look(delivery, (unsigned)index), result;
		pthread_t on;
		uint32_t wakes;

		if (removal == CANCEL_REMOVED) {
			delivery->slots[index].registration = NULL;
			registration->source = NULL;
		}
		if (removal != CANCEL_INSIDE || !wait || delivery_is_mine(delivery)) {
			latch_unlock(&source->locked);
			return removal;
		}
		on = delivery->thread;
		wakes = waiting_begin(source);
		latch_unlock(&source->locked);
		result = waiting_sleep(&source->wakes, wakes, &on, NULL);
		if (result < 0)
			return result;
		latch_lock(&source->locked);
	}
}

/* Of one that no source knows. */
static int what_became_of(const struct cancel_registration *registration)
{
	return registration->link == &registration_was_called ? CANCEL_FINISHED : CANCEL_REMOVED;
}

int registration_remove(struct cancel_registration *registration, bool wait)
{
	struct cancel_source *source = __atomic_load_n(&registration->source, __ATOMIC_ACQUIRE);

	if (!source)
		return what_became_of(registration);
	latch_lock(&source->locked);
	if (!registration->link)
		return remove_claimed(registration, source, wait);
	if (registration->link == &registration_was_called) {
		latch_unlock(&source->locked);
		return CANCEL_FINISHED;
	}
	list_take(registration);
	latch_unlock(&source->locked);
	registration->source = NULL;
	return CANCEL_REMOVED;
}

int cancel_registration_remove(struct cancel_registration *registration)
{
	return registration_remove(registration, true);
}

int cancel_registration_remove_nowait(struct cancel_registration *registration)
{
	return registration_remove(registration, false) == CANCEL_REMOVED;
}
