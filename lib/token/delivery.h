/*
 * Delivering a cancellation: mark the tree, wake who waits, call the callbacks.
 *
 * While callbacks are called, `delivery` of the source points to a record on the stack of the thread that
 * calls them. Callbacks are claimed from the list in batches, under the lock, and called without it. Who
 * removes a claimed one meanwhile has to know whether it has begun. Both sides announce, then look:
 *
 *     the caller, before each callback         who removes, under the lock
 *         cursor = index                           attention = 1
 *         (compiler barrier)                       fence_all_threads()
 *         attention set? take the lock             read cursor
 *
 * If the cursor is still below the index of the callback to be removed, then the caller will find `attention`
 * set before it calls that one, will take the lock, and so see the slot emptied: removed. At the index: it
 * runs, or is about to, and nothing will stop it. Above: it has returned. One locked instruction per
 * callback, on either the lock or the slot, would say the same, and is what the peers do; it costs three
 * times as much as all the rest (DESIGN.md).
 */
#ifndef TOKEN_DELIVERY_H
#define TOKEN_DELIVERY_H

#include <cancel/registration.h>
#include <cancel/source.h>

#include <pthread.h>
#include <stdbool.h>

#define BATCH_MAX 8

enum attention {
	ATTENTION_NONE,
	ATTENTION_ASKED, /* somebody removed a claimed callback, or waits for one */
	ATTENTION_ENDED, /* a callback has ended the source: touch it no more */
};

struct delivery {
	pthread_t thread;
	unsigned count;
	unsigned cursor;    /* atomic */
	unsigned attention; /* atomic */
	struct slot {
		struct cancel_registration *registration; /* NULL: removed */
		cancel_callback *callback;
		void *arg;
	} slots[BATCH_MAX];
};

/* --- with the source's lock held ---------------------------------------------------------------------- */

/* The record of the thread that is delivering, or NULL. */
struct delivery *delivery_of(const struct cancel_source *source);

bool delivery_is_mine(const struct delivery *delivery);

/* Where `registration` is among those claimed, or -1. */
int delivery_find(const struct delivery *delivery, const struct cancel_registration *registration);

/* Mark what is linked below a source that is marked, and wake who waits for any of them. */
void delivery_mark_below(struct cancel_source *source);

/* Mark what is below and wake who waits, if that was not done; call all callbacks, deliver the children that
 * were marked through their links, and let go of the lock. Afterwards the source may be gone. */
void delivery_run(struct cancel_source *source);

/* Forget what is registered, but tell the children that are marked and were not told; let go of the lock. If
 * one of the source's callbacks runs on this thread, whoever called it does not touch the source any more. */
void delivery_end(struct cancel_source *source);

/* --- without it --------------------------------------------------------------------------------------- */

/* Bump `wakes`, if somebody sleeps on it. In a signal handler too. */
void delivery_wake(struct cancel_source *source);

/* Cancel, and deliver here. */
bool delivery_cancel(struct cancel_source *source, const struct cancel_cause *cause);

/* Cancel the child of a link that is not listed, because its parent is cancelled. Afterwards the child and
 * the link may be gone. */
void delivery_cancel_through(struct cancel_registration *link, const struct cancel_cause *cause,
			     const struct cancel_source *root);

/* Mark the tree, leaving its delivery pending: the caller queues the source. */
bool delivery_mark_pending(struct cancel_source *source, const struct cancel_cause *cause);

/* --- callbacks that marking knows --------------------------------------------------------------------- */

/* They are never called: a link's says whether its child, the registration's `arg`, was marked through it,
 * and so is to be delivered when its turn comes. */
cancel_callback link_idle, link_tell;

/* A descriptor, which marking makes readable; when its turn comes there is nothing left to do. The
 * registration is the first member of a struct cancel_fd. */
cancel_callback fd_done;
void fd_ring(const struct cancel_registration *registration);

#endif
