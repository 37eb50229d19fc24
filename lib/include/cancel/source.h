/**
 * Sources: what cancels.
 *
 * A source is 40 bytes of the caller's memory. It is cancelled at most once, with a cause, and never goes
 * back. Tokens (cancel/token.h) ask it, registrations (cancel/registration.h) are called by it, links
 * (cancel/link.h) make one source follow others, a deadline (cancel/deadline.h) cancels it in time.
 *
 *     struct cancel_source source = CANCEL_SOURCE_INIT;
 *
 *     start_worker(cancel_source_token(&source));
 *     ...
 *     cancel_source_cancel(&source, NULL);
 *     join_worker();
 *     cancel_source_fini(&source);
 *
 * A zeroed source is a source that nobody has cancelled.
 *
 * What a cancellation does, in this order:
 *   1. **mark**: the source, and every source linked below it at that moment, reads cancelled, with one
 *      cause and one origin;
 *   2. **wake**: whoever waits for one of them, in cancel_token_wait and its kin or on a descriptor;
 *   3. **notify**: the callbacks are called, the latest registered first and a child's at the place of its
 *      link, with no lock of the library held.
 * What happened before the call that cancelled is visible to everybody who sees the source cancelled.
 *
 * **Lifetime.** A source must outlive the use of its tokens, the removal of its registrations, and every
 * call on it. cancel_source_fini waits for a cancellation that is being delivered, so "I saw it cancelled,
 * I end it" is safe. A linked parent never keeps a child alive. For work that outlives its starter there is
 * the counted source on the heap, cancel_source_new.
 *
 * **Callbacks may do everything**: cancel, register, remove, wait for other things, end the source that
 * calls them, free their own node. Only they must return: not leave by longjmp, by pthread_exit, because of
 * pthread_cancel, or in C++ by an exception.
 *
 * **Signals.** In a handler cancel_source_cancel_from_signal may be called, and what asks without waiting:
 * each function says so. The rest takes a lock that the interrupted code may hold.
 *
 * **fork.** The child has copies of the sources. There, asking a token is right, and so is
 * cancel_source_init on the same memory, which makes a fresh source of it. Anything else on an inherited
 * source is right only if no other thread, the dispatcher included, was in a call on that source at the time
 * of the fork, and nothing of it was waiting for the dispatcher. The dispatcher's thread does not exist in
 * the child, and no deadline is armed there; both can be begun anew. Do not fork in a signal handler that may
 * interrupt a call on a deadline.
 * A child that is forked in a callback must not return from it, but call exec or _exit. Close an inherited
 * cancel_fd with close(2) only. A child that calls exec need not care.
 *
 * **pthread_cancel.** No function here is a cancellation point of pthread_cancel(3), and none may be ended by
 * it: a thread that calls the library must not be asynchronously cancelable, and a callback that calls
 * cancellation points switches them off first, with pthread_setcancelstate(3).
 *
 * Nothing here allocates memory, but cancel_source_new. No system call is made to init, register, remove,
 * link, or to cancel where nobody waits.
 */
#ifndef CANCEL_SOURCE_H
#define CANCEL_SOURCE_H

#include <cancel/cause.h>
#include <cancel/export.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

struct cancel_deadline;
struct cancel_registration;

/* All fields are the library's. */
struct cancel_source {
	const char *word;                  /* the default cause; once cancelled the actual one, and flags */
	const struct cancel_source *root;  /* where the cancellation came from, if by a link */
	struct cancel_registration *first; /* the latest registration */
	void *delivery;                    /* of the callbacks, while it lasts */
	uint8_t locked;
	uint8_t rank;    /* how deep it is linked, and whether it has children */
	uint8_t waited;  /* somebody sleeps on `wakes`, or did and gave up */
	uint8_t special; /* links or descriptors are, or were, registered, and how far marking has come */
	uint32_t wakes;  /* goes up when sleepers should look again */
};

/* A source that nobody has cancelled. */
/* clang-format off */
#define CANCEL_SOURCE_INIT {0, 0, 0, 0, 0, 0, 0, 0, 0}
/* The same with a cause of its own, the address of a static one, for whoever cancels it without giving one. */
#define CANCEL_SOURCE_INIT_CAUSE(cause) {(const char *)(cause), 0, 0, 0, 0, 0, 0, 0, 0}
/* A source that is cancelled from the start, with the address of a static cause. It may be const, if nobody cancels it
 * again or ends it, and needs no end. */
#define CANCEL_SOURCE_CANCELLED(cause) {(const char *)(cause) + 1, 0, 0, 0, 0, 0, 0, 0, 0}
/* clang-format on */

/* Asks a source: a value, copied freely. {0} is the token that is never cancelled. See cancel/token.h. */
struct cancel_token {
	const struct cancel_source *source;
};

/**
 * Make a source, whatever was in its memory before.
 *
 * @param cause  For whoever cancels it without giving one: the source's own name. Borrowed until
 *               cancel_source_fini; counted causes are held only once it is cancelled. NULL:
 *               cancel_cause_requested().
 *
 * Does not block. One thread, before others know of the source.
 */
CANCEL_API void cancel_source_init(struct cancel_source *source, const struct cancel_cause *cause);

/**
 * End a source. Afterwards nothing touches its memory any more.
 *
 * A cancellation that is being delivered on another thread is waited for. From inside one of the source's
 * own callbacks it is ended at once: what is still registered will not be called.
 *
 * Registrations that are left, and were not called, are forgotten: they will not be, and removing them later
 * is harmless. One whose callback was called is removed before this, or not at all. Children that are marked
 * and not yet told are told here. Links to parents must have been removed (cancel_linked_fini does both), and
 * deadlines stopped.
 *
 * Once, or until it returns 0.
 *
 * @return 0, or
 *         -EDEADLK  the thread that is delivering waits, directly or through others, for a callback that
 *                   runs on this thread. Nothing was done; return from the callback and try again.
 *
 * Blocks while another thread delivers, and as the callbacks do that it calls: those of marked children, and,
 * where the source waits for a dispatcher that is this thread or does not run, what is queued before it. Its
 * owner only, never in a signal handler.
 */
CANCEL_API int cancel_source_fini(struct cancel_source *source);

/**
 * The token of a source. NULL gives the token that is never cancelled.
 *
 * Any thread, any signal handler.
 */
static inline struct cancel_token cancel_source_token(const struct cancel_source *source)
{
	struct cancel_token token;

	token.source = source;
	return token;
}

/**
 * Cancel. The first to do so wins, and calls the callbacks here.
 *
 * @param cause  Borrowed for as long as any source that it reaches, unless it is counted. NULL: the
 *               source's own.
 *
 * @return 1: this call cancelled it, and all its callbacks have returned, or the source was ended in one;
 *         0: it was cancelled before. Its callbacks may still be running, or to come: cancel_source_quiesce
 *         waits, on a source that was not cancelled through a link.
 *         Either way the token reads true now.
 *
 * Blocks as the callbacks do. Any thread; in a handler cancel_source_cancel_from_signal.
 */
CANCEL_API int cancel_source_cancel(struct cancel_source *source, const struct cancel_cause *cause);

/**
 * Cancel, and leave the callbacks to the dispatcher (cancel/dispatcher.h): for a caller that holds locks, or
 * has no time. All is marked, and everybody who waits is awake, before it returns.
 *
 * @return 1: this call cancelled it; 0: it was cancelled before; or
 *         -EAGAIN, -ENOMEM  the dispatcher could not be started, and nothing was done. That cannot happen
 *                           after a successful cancel_dispatcher_start, unless somebody stops it.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_source_cancel_deferred(struct cancel_source *source, const struct cancel_cause *cause)
	__attribute__((warn_unused_result));

/**
 * Cancel from a signal handler. The source reads cancelled and cancel_token_wait on it wakes before this
 * returns; its children, its descriptors and its callbacks follow soon after, on the dispatcher. Call
 * cancel_dispatcher_start before you install the handler: without it they follow only when it is started, or
 * when somebody ends the source or calls cancel_source_quiesce on it.
 *
 * @return 1: this call cancelled it; 0: it was cancelled before. errno is as it was.
 *
 * Does not block, takes no lock, allocates nothing. Any thread, any signal handler, whatever it interrupted.
 */
CANCEL_API int cancel_source_cancel_from_signal(struct cancel_source *source,
						const struct cancel_cause *cause);

/**
 * Wait until no cancellation of the source is being delivered, and none is waiting to be. At once if it was
 * not cancelled. A child that its parent has marked and not yet told counts as delivered: wait for the
 * parent.
 *
 * @param timeout_ns  The longest wait; 0 or less: only look; CANCEL_FOREVER: no limit.
 *
 * @return 0: the callbacks are done, and what they did is visible; or
 *         -ETIMEDOUT  not in time;
 *         -EDEADLK    called from inside one of its callbacks, or the thread that delivers waits for one on
 *                     this thread.
 *
 * May call the callbacks of what is queued, as cancel_source_fini, but not when it only looks. Any thread;
 * not in a signal handler.
 */
CANCEL_API int cancel_source_quiesce(struct cancel_source *source, int64_t timeout_ns);

/**
 * Find out whether a source can serve again, as new: for pools.
 *
 * @param deadline  The source's deadline, which is stopped first; NULL if it has none.
 *
 * Other deadlines of it, and its links to parents, are not seen: stop and remove them before. How deep it was
 * linked it stays: for that, init it anew.
 *
 * @return 1: nobody cancelled it, and nothing is registered on it or linked below it;
 *         0: it is cancelled, and stays so: end it and init it anew;
 *         -EBUSY  something is still registered on it, or a child is linked to it.
 *
 * Does not block. Only where nobody else uses the source or its tokens.
 */
CANCEL_API int cancel_source_try_reset(struct cancel_source *source, struct cancel_deadline *deadline);

/**
 * A source on the heap, counted, for work that outlives whoever started it. Its maker holds it once.
 *
 * @param cause  As in cancel_source_init.
 *
 * @return The source, or NULL where memory has run out.
 *
 * Does not block. Any thread.
 */
CANCEL_API struct cancel_source *cancel_source_new(const struct cancel_cause *cause);

/**
 * Hold a source from cancel_source_new once more. Whoever uses its token, cancels it or is registered on it
 * needs a hold of his own, or the word of somebody who has one.
 *
 * @return `source`. Does not block. Any thread.
 */
CANCEL_API struct cancel_source *cancel_source_hold(struct cancel_source *source);

/**
 * Drop a hold. The last one ends the source as cancel_source_fini does, and frees it. It may be dropped in
 * one of its own callbacks.
 *
 * @return 0, or -EDEADLK as of cancel_source_fini: then the hold was not dropped.
 *
 * NULL is fine. Blocks as cancel_source_fini does. Any thread.
 */
CANCEL_API int cancel_source_drop(struct cancel_source *source);

CANCEL_END_DECLS

#endif
