#include <cancel/link.h>

#include "delivery.h"
#include "latch.h"
#include "registration.h"
#include "word.h"

#include <cancel/token.h>

#include <errno.h>
#include <stddef.h>

/* --- callbacks ---------------------------------------------------------------------------------------- */

void link_idle(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

void link_tell(void *arg, struct cancel_token token)
{
	struct cancel_source *child = arg;

	(void)token;
	latch_lock(&child->locked);
	delivery_run(child);
}

/* --- how deep ----------------------------------------------------------------------------------------- */

/*
 * `rank` is the depth below the furthest root, and whether there are children. A source with children cannot
 * change its depth any more, so a child is always deeper than its parents: there are no circles, the locks of
 * a parent and its child are always taken in that order, and marking recurses CANCEL_LINK_DEPTH_MAX times at
 * most.
 */
#define RANK_PARENT 128U
#define RANK_DEPTH  127U

_Static_assert(CANCEL_LINK_DEPTH_MAX < RANK_DEPTH, "a depth has room beside the flag");

static unsigned fix_depth(struct cancel_source *parent)
{
	unsigned rank = __atomic_load_n(&parent->rank, __ATOMIC_ACQUIRE);

	if (!(rank & RANK_PARENT))
		rank = __atomic_fetch_or(&parent->rank, RANK_PARENT, __ATOMIC_ACQ_REL);
	return rank & RANK_DEPTH;
}

static bool sink_to(struct cancel_source *child, unsigned depth)
{
	uint8_t rank = __atomic_load_n(&child->rank, __ATOMIC_ACQUIRE);

	while ((rank & RANK_DEPTH) < depth) {
		if ((rank & RANK_PARENT) || depth > CANCEL_LINK_DEPTH_MAX)
			return false;
		if (__atomic_compare_exchange_n(&child->rank, &rank, (uint8_t)depth, true, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
	}
	return true;
}

/* --- linking ------------------------------------------------------------------------------------------ */

/* The parent was cancelled before it could be listed. */
static void cancel_at_once(struct cancel_registration *link, struct cancel_source *child,
			   struct cancel_token parent)
{
	link->callback = link_tell;
	registration_called(link);
	if (!delivery_cancel(child, cancel_token_cause(parent), cancel_token_origin(parent)))
		link->callback = link_idle;
}

static int follow(struct cancel_link *link, struct cancel_source *child, struct cancel_token parent)
{
	struct cancel_registration *registration = &link->registration;

	*registration = (struct cancel_registration){.callback = link_idle, .arg = child};
	if (registration_list(registration, (struct cancel_source *)parent.source, true))
		cancel_at_once(registration, child, parent);
	return word_is_cancelled(child);
}

int cancel_link_add(struct cancel_link *link, struct cancel_source *child, struct cancel_token parent)
{
	if (parent.source && !sink_to(child, fix_depth((struct cancel_source *)parent.source) + 1))
		return -ELOOP;
	return follow(link, child, parent);
}

int cancel_linked_init(struct cancel_source *child, const struct cancel_cause *cause,
		       struct cancel_link *links, const struct cancel_token *parents, size_t count)
{
	unsigned depth = 0;
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned below =
			parents[i].source ? fix_depth((struct cancel_source *)parents[i].source) + 1 : 0;

		depth = below > depth ? below : depth;
	}
	cancel_source_init(child, cause);
	if (!sink_to(child, depth))
		return -ELOOP;
	for (size_t i = 0; i < count; i++)
		result = follow(&links[i], child, parents[i]);
	return result;
}

/* --- unlinking ---------------------------------------------------------------------------------------- */

/* As registration_remove; whether the child was marked by this link and not told. */
static int unlink_from(struct cancel_link *link, bool *untold)
{
	struct cancel_registration *registration = &link->registration;
	bool listed = registration->source != NULL;
	int removal = registration_remove(registration, true);

	*untold = listed && removal == CANCEL_REMOVED && registration->callback == link_tell;
	if (*untold)
		registration_called(registration);
	return removal;
}

int cancel_link_remove(struct cancel_link *link)
{
	struct cancel_source *child = link->registration.arg;
	bool untold;
	int removal = unlink_from(link, &untold);

	if (untold)
		link_tell(child, (struct cancel_token)CANCEL_TOKEN_NONE);
	return removal;
}

int cancel_linked_fini(struct cancel_source *child, struct cancel_link *links, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool untold;
		int removal = unlink_from(&links[i], &untold);

		if (removal < 0)
			return removal;
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
