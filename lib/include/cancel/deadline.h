/**
 * Deadlines: a source that is cancelled in time.
 *
 *     struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
 *
 *     cancel_deadline_set(&deadline, &source, 30 * CANCEL_SECOND, NULL);
 *     work(cancel_source_token(&source));
 *     cancel_deadline_stop(&deadline);
 *
 * One thread serves all deadlines of the process: the dispatcher (cancel/dispatcher.h), started by the
 * first deadline. It marks what is due, then calls the callbacks, so a callback that takes long delays the
 * deadlines after it: hand long work on.
 *
 * A deadline never fires early. It is not counted while the machine is suspended (CLOCK_MONOTONIC). It
 * allocates nothing; setting and stopping one costs about as much again as reading the clock, and a system
 * call only when it is the next that is due.
 *
 * Cancelling the source does not stop its deadlines. A deadline borrows its source: stop it before
 * cancel_source_fini, which does not know of it. One deadline is used by one thread at a
 * time; a source may have several.
 */
#ifndef CANCEL_DEADLINE_H
#define CANCEL_DEADLINE_H

#include <cancel/clock.h>
#include <cancel/export.h>
#include <cancel/source.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

/* All fields are the library's. A zeroed one is one that is not armed. */
struct cancel_deadline {
	struct cancel_deadline *child, *next, **link; /* its place in the heap; link is NULL when not armed */
	struct cancel_source *source;
	const struct cancel_cause *cause;
	int64_t at_ns;
};

/* clang-format off */
#define CANCEL_DEADLINE_INIT {0, 0, 0, 0, 0, 0}
/* clang-format on */

/**
 * Cancel `source` after a time, unless it is stopped or set anew before. An armed deadline is set anew.
 *
 * @param deadline  Borrowed until it has fired or was stopped.
 * @param delay_ns  From now. 0 or less: the source is marked here and now; its callbacks are called by the
 *                  dispatcher, or with a plugged clock by cancel_clock_advanced. CANCEL_FOREVER: only stop
 * what was armed.
 * @param cause     Borrowed as in cancel_source_cancel, and until then; a counted one is held. NULL:
 *                  cancel_cause_deadline().
 *
 * @return 0, or -EAGAIN, -ENOMEM  the dispatcher could not be started. Nothing has changed, unless somebody
 * stopped it meanwhile: then the deadline is not armed.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_deadline_set(struct cancel_deadline *deadline, struct cancel_source *source,
				   int64_t delay_ns, const struct cancel_cause *cause);

/**
 * The same at a point in time, by cancel_clock_now_ns: for a deadline that was handed on, and for whoever
 * sets many and reads the clock once. The clock is not read here, so a time that has passed is found by the
 * dispatcher, at once, and not before this returns. CANCEL_FOREVER: only stop what was armed.
 *
 * @return As cancel_deadline_set.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_deadline_set_at(struct cancel_deadline *deadline, struct cancel_source *source,
				      int64_t at_ns, const struct cancel_cause *cause);

/**
 * Stop a deadline.
 *
 * @return 1: it will not fire; 0: it has fired, or was not armed. After 0 the source may still be being
 *         delivered: cancel_source_fini and cancel_source_quiesce wait for that.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_deadline_stop(struct cancel_deadline *deadline);

/**
 * The time left.
 *
 * @return Nanoseconds; 0: it has fired, or is due; CANCEL_FOREVER: never set, or stopped.
 *
 * Does not block. Whoever owns the deadline.
 */
CANCEL_API int64_t cancel_deadline_remaining_ns(const struct cancel_deadline *deadline);

/**
 * The point in time, by cancel_clock_now_ns, to be handed on; CANCEL_FOREVER if never set, or stopped.
 *
 * Does not block. Whoever owns the deadline.
 */
CANCEL_API int64_t cancel_deadline_at_ns(const struct cancel_deadline *deadline);

CANCEL_END_DECLS

#endif
