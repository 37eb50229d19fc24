/* What links and descriptors do as registrations. */
#ifndef TOKEN_REGISTRATION_H
#define TOKEN_REGISTRATION_H

#include "latch.h"
#include "list.h"
#include "word.h"

#include <cancel/registration.h>
#include <cancel/token.h>

#include <stdbool.h>

/* List a registration. `special`: it is a link's or a descriptor's. 0, or 1: the source is
 * cancelled, and nothing was listed.
 *
 * Inline, with as few stores as can be before the lock, which waits for them: the time that a registration
 * takes is that of two locked instructions and of the stores between them. */
static inline int registration_list(struct cancel_registration *registration, struct cancel_token token,
				    cancel_callback *callback, void *arg, bool special)
{
	struct cancel_source *source = (struct cancel_source *)token.source;
	bool late = cancel_token_requested(token); /* then it may be const: not even its lock is touched */

	if (source && !late) {
		latch_lock(&source->locked);
		late = word_is_cancelled(source);
		if (!late) {
			registration->callback = callback;
			registration->arg = arg;
			if (special)
				source->special = SPECIAL_LISTED;
			list_push(source, registration);
		}
		latch_unlock(&source->locked);
	}
	if (!source || late)
		*registration = (struct cancel_registration){.callback = callback, .arg = arg};
	return late;
}

/* What `link` says of a registration that is not listed any more, because its callback was called, or need
 * not be. */
extern struct cancel_registration *registration_was_called;

/* With the source's lock held, or before the source knows of it: nothing more is to come of it, and the
 * source may end before it is removed. */
static inline void registration_called(struct cancel_registration *registration)
{
	registration->link = &registration_was_called;
	__atomic_store_n(&registration->source, (struct cancel_source *)0, __ATOMIC_RELEASE);
}

/* enum cancel_removal, or -EDEADLK. Without `wait` CANCEL_INSIDE means that it is being called, by whomever;
 * links and descriptors are never called, so there is nothing to wait for.
 */
int registration_remove(struct cancel_registration *registration, bool wait);

#endif
