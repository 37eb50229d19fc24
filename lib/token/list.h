/* A source's registrations, the latest first. With the source's lock held. */
#ifndef TOKEN_LIST_H
#define TOKEN_LIST_H

#include <cancel/registration.h>
#include <cancel/source.h>

/* `special` of a source: whether links or descriptors are, or were, listed, and how far marking has come with
 * them. */
enum special { SPECIAL_NONE, SPECIAL_LISTED, SPECIAL_MARKED, SPECIAL_WOKEN };

static inline void list_push(struct cancel_source *source, struct cancel_registration *registration)
{
	struct cancel_registration *next = source->first;

	registration->source = source;
	registration->next = next;
	registration->link = &source->first;
	if (next)
		next->link = &registration->next;
	source->first = registration;
}

/* Its `link` stays as it was: whoever takes it out says by `source` what became of it. */
static inline void list_take(const struct cancel_registration *registration)
{
	struct cancel_registration *next = registration->next;

	*registration->link = next;
	if (next)
		next->link = registration->link;
}

#endif
