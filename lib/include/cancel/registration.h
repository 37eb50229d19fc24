/**
 * Registrations: what is called when a token is cancelled.
 *
 *     static void remove_file(void *arg, struct cancel_token token)
 *     {
 *             unlink(arg);
 *     }
 *
 *     struct cancel_registration registration;
 *
 *     cancel_registration_add(&registration, token, remove_file, path);
 *     write_the_file(path);
 *     cancel_registration_remove(&registration);
 *
 * The node is the caller's, 40 bytes, and must stay where it is until it is removed or its callback begins.
 * No memory is allocated. From the moment that its callback begins the library does not touch the node, so
 * the callback may free it or use it again.
 *
 * A callback is called at most once: by the thread that cancels, by the dispatcher, by the thread that
 * registers if it comes too late, or by one that unlinks, ends, quiesces or moves a clock on, where its
 * manual says so. Against every race, it is called or it is removed, and never both.
 *
 * One node is used by one thread at a time: to add it and to remove it. Its callback may remove it too. Do
 * not add one that is registered.
 */
#ifndef CANCEL_REGISTRATION_H
#define CANCEL_REGISTRATION_H

#include <cancel/export.h>
#include <cancel/source.h>

CANCEL_BEGIN_DECLS

/**
 * @param arg    As registered.
 * @param token  The token that it was registered on, cancelled now: ask it for the cause. If the callback
 *               ends the source, the token is of no more use.
 *
 * Runs without any lock of the library; see cancel/source.h for what it may do. A callback that blocks
 * blocks whoever cancelled, and the callbacks after it.
 */
typedef void cancel_callback(void *arg, struct cancel_token token);

/* All fields are the library's. A zeroed one is one that was never added. */
struct cancel_registration {
	struct cancel_registration *next;
	struct cancel_registration **link; /* what points to this one while it is listed */
	cancel_callback *callback;
	void *arg;
	struct cancel_source *source;
};

/**
 * Have `callback` called when the token is cancelled. If it is cancelled already the callback is called
 * here, before this returns. So do not call this while holding a lock that the callback takes: there is
 * cancel_registration_try_add for that.
 *
 * @param registration  Borrowed until it is removed or its callback begins. The source must live until it is
 *                      removed, or ends with it (cancel_source_fini).
 * @param token         The zero token: the callback will never be called.
 *
 * @return 0: registered; 1: the token was cancelled, and the callback has returned.
 *
 * Blocks as the callback does. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_registration_add(struct cancel_registration *registration, struct cancel_token token,
				       cancel_callback *callback, void *arg);

/**
 * The same, but on a token that is cancelled already it only says so.
 *
 * @return 0: registered; 1: the token was cancelled, nothing was registered, nothing was called.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_registration_try_add(struct cancel_registration *registration,
					   struct cancel_token token, cancel_callback *callback, void *arg)
	__attribute__((warn_unused_result));

/* What became of a callback. */
enum cancel_removal {
	CANCEL_FINISHED = 0, /* it was called and has returned; what it did is visible */
	CANCEL_REMOVED = 1,  /* it was not called and will never be */
	CANCEL_INSIDE = 2,   /* this is that callback, or something that it called; not for one that was
				added too late, of which the source knows nothing: CANCEL_FINISHED */
};

/**
 * Take a registration back. If its callback is running on another thread, wait until it has returned.
 *
 * From within a callback of the same source it never waits, and a callback that is still to come is
 * removed.
 *
 * Do not hold a lock that the callback takes: cancel_registration_remove_nowait is for that. The library
 * knows nothing of your locks.
 *
 * @return enum cancel_removal; or
 *         -EDEADLK  the callback runs on a thread that waits, directly or through others, for a callback
 *                   that runs on this one (two callbacks that remove each other). Nothing was done; the
 *                   callback is still running.
 *
 * Removing what was removed, never added, or forgotten by cancel_source_fini gives CANCEL_REMOVED; what was
 * called while being added gives CANCEL_FINISHED.
 *
 * Any thread; not in a signal handler.
 */
CANCEL_API int cancel_registration_remove(struct cancel_registration *registration);

/**
 * Take a registration back without waiting.
 *
 * @return 1: removed, it will never be called; 0: it is being called, or was.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_registration_remove_nowait(struct cancel_registration *registration);

/**
 * The token that it is registered on; the zero token if it is not: never added, added too late, removed,
 * forgotten.
 *
 * Whoever owns the node.
 */
CANCEL_API struct cancel_token cancel_registration_token(const struct cancel_registration *registration);

CANCEL_END_DECLS

#endif
