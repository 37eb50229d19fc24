#include <cancel/link.h>

#include "delivery.h"
#include "latch.h"
#include "rank.h"
#include "registration.h"
#include "word.h"

#include <cancel/token.h>

#include <errno.h>
#include <stddef.h>

/* --- what a link's callback says ---------------------------------------------------------------------- */

void link_idle(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

void link_tell(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

/* --- how deep ----------------------------------------------------------------------------------------- */

/*
 * A rank (rank.h) is the depth below the furthest root, and whether there are children. A source with
 * children cannot change its depth any more, so a child is always deeper than its parents: there are no
 * circles, the locks of a parent and its child are always taken in that order, and marking recurses
 * CANCEL_LINK_DEPTH_MAX times at most.
 */
_Static_assert(CANCEL_LINK_DEPTH_MAX < RANK_DEPTH, "a depth has room beside the flag");

static unsigned fix_depth(struct cancel_source *parent)
{
	unsigned rank = __atomic_load_n(&parent->rank, __ATOMIC_ACQUIRE);

	if (!(rank & RANK_PARENT))
		rank = __atomic_fetch_or(&parent->rank, RANK_PARENT, __ATOMIC_ACQ_REL);
	return rank & RANK_DEPTH;
}

static bool can_sink_to(unsigned rank, unsigned depth)
{
	return (rank & RANK_DEPTH) >= depth || (!(rank & RANK_PARENT) && depth <= CANCEL_LINK_DEPTH_MAX);
}

static bool sink_to(struct cancel_source *child, unsigned depth)
{
	uint8_t rank = __atomic_load_n(&child->rank, __ATOMIC_ACQUIRE);

	do {
		if (!can_sink_to(rank, depth))
			return false;
		if ((rank & RANK_DEPTH) >= depth)
			return true;
	} while (!__atomic_compare_exchange_n(&child->rank, &rank, (uint8_t)depth, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return true;
}

/* A parent that is cancelled gets no children any more, and may be const. */
static bool gets_children(struct cancel_token parent)
{
	return parent.source && !cancel_token_requested(parent);
}

static bool make_deeper(struct cancel_source *child, struct cancel_token parent)
{
	struct cancel_source *source = (struct cancel_source *)parent.source;
	unsigned depth;

	if (!gets_children(parent))
		return true;
	/* A first look, so that a parent is not fixed for a child that it cannot have. */
	depth = (__atomic_load_n(&source->rank, __ATOMIC_ACQUIRE) & RANK_DEPTH) + 1;
	return source != child && can_sink_to(__atomic_load_n(&child->rank, __ATOMIC_ACQUIRE), depth) &&
	       sink_to(child, fix_depth(source) + 1);
}

/* --- linking ------------------------------------------------------------------------------------------ */

/* True: the child is cancelled, by this or before. */
static bool follow(struct cancel_link *link, struct cancel_source *child, struct cancel_token parent)
{
	struct cancel_registration *registration = &link->registration;
	bool before = word_is_cancelled(child);

	if (!registration_list(registration, parent, link_idle, child, true))
		return before;
	registration_called(registration);
	delivery_cancel_through(registration, cancel_token_cause(parent), cancel_token_origin(parent));
	return true;
}

int cancel_link_add(struct cancel_link *link, struct cancel_source *child, struct cancel_token parent)
{
	if (make_deeper(child, parent))
		return follow(link, child, parent);
	link->registration = (struct cancel_registration){.callback = link_idle, .arg = child};
	return -ELOOP;
}

int cancel_linked_init(struct cancel_source *child, const struct cancel_cause *cause,
		       struct cancel_link *links, const struct cancel_token *parents, size_t count)
{
	unsigned depth = 0;
	bool cancelled = false;

	for (size_t i = 0; i < count; i++) {
		struct cancel_source *parent = (struct cancel_source *)parents[i].source;
		unsigned below = gets_children(parents[i]) ? fix_depth(parent) + 1 : 0;

		depth = below > depth ? below : depth;
	}
	cancel_source_init(child, cause);
	if (!sink_to(child, depth))
		return -ELOOP;
	for (size_t i = 0; i < count; i++)
		cancelled = follow(&links[i], child, parents[i]);
	return cancelled;
}

/* --- unlinking ---------------------------------------------------------------------------------------- */

/* As registration_remove; *untold: the child was marked through this link, and is to be delivered. */
static int unlink_from(struct cancel_link *link, bool *untold)
{
	struct cancel_registration *registration = &link->registration;
	bool known = cancel_registration_token(registration).source != NULL;
	int removal = registration_remove(registration, false);

	*untold = known && removal == CANCEL_REMOVED && registration->callback == link_tell;
	if (*untold)
		registration_called(registration);
	return removal;
}

int cancel_link_remove(struct cancel_link *link)
{
	struct cancel_source *child = link->registration.arg;
	bool untold;
	int removal = unlink_from(link, &untold);

	if (untold) {
		latch_lock(&child->locked);
		delivery_run(child);
	}
	return removal;
}

int cancel_linked_fini(struct cancel_source *child, struct cancel_link *links, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool untold;

		(void)unlink_from(&links[i], &untold);
	}
	return cancel_source_fini(child);
}

/* --- which -------------------------------------------------------------------------------------------- */

bool cancel_link_fired(const struct cancel_link *link)
{
	const struct cancel_source *child = link->registration.arg;

	return child && (word_load(child) & WORD_BY_LINK) &&
	       __atomic_load_n(&link->registration.callback, __ATOMIC_RELAXED) == link_tell;
}

int cancel_linked_which(const struct cancel_link *links, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (cancel_link_fired(&links[i]))
			return (int)i;
	return -1;
}
