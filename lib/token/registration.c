#include <cancel/registration.h>

#include "delivery.h"
#include "fence.h"
#include "latch.h"
#include "registration.h"
#include "waiting.h"
#include "word.h"

#include <cancel/token.h>

#include <errno.h>
#include <stddef.h>

/* What `link` of a registration says whose callback was called while it was being added. */
static struct cancel_registration *called_at_once;

/* --- adding ------------------------------------------------------------------------------------------- */

int registration_list(struct cancel_registration *registration, struct cancel_source *source, bool to_mark)
{
	registration->link = NULL;
	registration->source = NULL;
	if (!source)
		return 0;
	latch_lock(&source->locked);
	if (word_is_cancelled(source)) {
		latch_unlock(&source->locked);
		return 1;
	}
	if (to_mark)
		source->to_mark = 1;
	delivery_list(source, registration);
	latch_unlock(&source->locked);
	return 0;
}

void registration_called(struct cancel_registration *registration)
{
	registration->link = &called_at_once;
}

int cancel_registration_try_add(struct cancel_registration *registration, struct cancel_token token,
				cancel_callback *callback, void *arg)
{
	registration->callback = callback;
	registration->arg = arg;
	return registration_list(registration, (struct cancel_source *)token.source, false);
}

int cancel_registration_add(struct cancel_registration *registration, struct cancel_token token,
			    cancel_callback *callback, void *arg)
{
	if (!cancel_registration_try_add(registration, token, callback, arg))
		return 0;
	registration_called(registration);
	callback(arg, token);
	return 1;
}

struct cancel_token cancel_registration_token(const struct cancel_registration *registration)
{
	return cancel_source_token(registration->source);
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
static int remove_claimed(struct cancel_registration *registration, struct cancel_source *source, bool wait)
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
		result = waiting_sleep(source, wakes, &on, NULL);
		if (result < 0)
			return result;
		latch_lock(&source->locked);
	}
}

int registration_remove(struct cancel_registration *registration, bool wait)
{
	struct cancel_source *source = registration->source;

	if (!source)
		return registration->link == &called_at_once ? CANCEL_FINISHED : CANCEL_REMOVED;
	latch_lock(&source->locked);
	if (!registration->link)
		return remove_claimed(registration, source, wait);
	delivery_unlist(registration);
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
