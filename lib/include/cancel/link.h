/**
 * Links: a source that is cancelled when any of several others is.
 *
 *     static int download(const char *url, struct cancel_token user)
 *     {
 *             struct cancel_source timeout = CANCEL_SOURCE_INIT, either;
 *             struct cancel_token parents[] = {user, cancel_source_token(&timeout)};
 *             struct cancel_link links[2];
 *
 *             cancel_linked_init(&either, NULL, links, parents, 2);
 *             ...
 *             if (cancel_linked_which(links, 2) == 1)
 *                     say("too slow");
 *             cancel_linked_fini(&either, links, 2);
 *
 * A link is a registration on the parent: 40 bytes of the caller's, unlinked in constant time, and subject
 * to the same rules. The child gets its parent's cause, and the origin of the cancellation. A child never
 * cancels its parents, and a parent does not keep a child alive.
 *
 * Parents can be added at any time, up to a depth of CANCEL_LINK_DEPTH_MAX. A source that has or had children
 * cannot be moved deeper, unless cancel_source_try_reset made it as new: link from the root downwards. That
 * is also why there can be no circle.
 *
 * A parent may end before its links are removed, though not while one is being removed: what it has not yet
 * cancelled it never will.
 *
 * Many short-lived children of one parent that many threads use (a process's shutdown token) share its lock.
 * Who only polls can ask two tokens instead (cancel_token_requested_any), or link to a child per thread.
 */
#ifndef CANCEL_LINK_H
#define CANCEL_LINK_H

#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/registration.h>
#include <cancel/source.h>

#include <stdbool.h>
#include <stddef.h>

CANCEL_BEGIN_DECLS

/* The library's. A zeroed one is one that was never added. */
struct cancel_link {
	struct cancel_registration registration;
};

/**
 * Make `child` follow `parent`, beside whatever it follows already.
 *
 * @param link    Borrowed until it is removed.
 * @param parent  If it is cancelled already, the child is cancelled here, and its callbacks are called
 *                here. The zero token: nothing will ever come of it.
 *
 * @return 0: linked; 1: the child is cancelled now, by this or before; or
 *         -ELOOP  the child would be deeper than CANCEL_LINK_DEPTH_MAX, or has or had children and is not
 *                 deeper than the parent. Nothing was linked.
 *
 * Blocks as the child's callbacks do, if the parent is cancelled. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_link_add(struct cancel_link *link, struct cancel_source *child,
			       struct cancel_token parent);

/**
 * Make the child independent of this parent again. A child that was marked by it and not yet told is told
 * here: its callbacks are called.
 *
 * @return CANCEL_REMOVED: the parent did not come to it, and never will, or only marked it, and it was told
 * here; CANCEL_FINISHED: the parent is cancelled, and has nothing more to do with the child. Its callbacks
 *         may still be running: cancel_source_quiesce, or cancel_source_fini, on the child waits for them.
 *
 * Blocks only as the child's callbacks do. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_link_remove(struct cancel_link *link);

/**
 * Was it this link that cancelled the child? At most one of a child's links says so.
 *
 * Does not block. Any thread, once the child is seen cancelled; before that whoever owns the link.
 */
CANCEL_API bool cancel_link_fired(const struct cancel_link *link);

/**
 * Make a source that follows several parents: cancel_source_init, and cancel_link_add for each.
 *
 * @param cause   As in cancel_source_init.
 * @param links   `count` of them, borrowed until cancel_linked_fini.
 *
 * @return 0: linked to all; 1: cancelled already, because a parent is; or
 *         -ELOOP  a parent is at depth CANCEL_LINK_DEPTH_MAX. Nothing is left linked, and the child needs
 *                 no end.
 *
 * Does not block. One thread, before others know of the child.
 */
CANCEL_API int cancel_linked_init(struct cancel_source *child, const struct cancel_cause *cause,
				  struct cancel_link *links, const struct cancel_token *parents,
				  size_t count);

/**
 * Which parent cancelled the child.
 *
 * @return The index in `links`; -1: none of them, so far or because the child was cancelled by itself.
 *
 * As cancel_link_fired.
 */
CANCEL_API int cancel_linked_which(const struct cancel_link *links, size_t count);

/**
 * Unlink a source from all its parents and end it: cancel_source_fini. What is still registered on it is
 * forgotten, marked or not: a source that reads cancelled may so end without its callbacks.
 *
 * @return 0, or -EDEADLK as of cancel_source_fini: then its links are removed, it is not ended, and the call
 *         can be repeated.
 *
 * Blocks while another thread tells the child. Its owner only.
 */
CANCEL_API int cancel_linked_fini(struct cancel_source *child, struct cancel_link *links, size_t count);

CANCEL_END_DECLS

#endif
