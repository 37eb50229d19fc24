/**
 * Time for deadlines: nanoseconds of CLOCK_MONOTONIC, or of a clock that a test plugs in.
 *
 *     static int64_t now_ns(void *arg) { return *(int64_t *)arg; }
 *
 *     int64_t time_ns = 0;
 *     struct cancel_clock clock = {now_ns, &time_ns};
 *
 *     cancel_clock_plug(&clock);
 *     cancel_deadline_set(&deadline, &source, 5 * CANCEL_SECOND, NULL);
 *     time_ns = 5 * CANCEL_SECOND;
 *     cancel_clock_advanced();                 // the source is cancelled now, and its callbacks are done
 *     cancel_clock_plug(NULL);
 *
 * Waits (cancel_token_wait and its kin, cancel_source_quiesce) are by CLOCK_MONOTONIC always.
 */
#ifndef CANCEL_CLOCK_H
#define CANCEL_CLOCK_H

#include <cancel/export.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

#define CANCEL_MILLISECOND INT64_C(1000000)
#define CANCEL_SECOND      INT64_C(1000000000)

/* As a timeout: no limit. As the time left: no deadline. */
#define CANCEL_FOREVER INT64_MAX

struct cancel_clock {
	int64_t (*now_ns)(void *arg); /* never goes back; called from any thread */
	void *arg;
};

/**
 * What time it is for deadlines, in nanoseconds since some time in the past.
 *
 * Does not block, if the clock does not. Any thread.
 */
CANCEL_API int64_t cancel_clock_now_ns(void);

/**
 * Measure deadlines by `clock`. With a plugged clock deadlines fire in cancel_clock_advanced, those without
 * any delay excepted, and their callbacks are called there. No thread is needed.
 *
 * @param clock  Borrowed until another is plugged. NULL: CLOCK_MONOTONIC again.
 *
 * @return 0, or -EBUSY  a deadline is armed, or has fired and waits for cancel_clock_advanced.
 *
 * Does not block. Any thread, while no other sets deadlines; not in a signal handler.
 */
CANCEL_API int cancel_clock_plug(const struct cancel_clock *clock);

/**
 * Say that the plugged clock has moved on. What is due is cancelled: all is marked first, then the
 * callbacks are called here. What was deferred or cancelled by a signal is delivered too, if there is no
 * dispatcher.
 *
 * @return The number of deadlines that fired. 0 without a plugged clock.
 *
 * Blocks as the callbacks do. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_clock_advanced(void);

CANCEL_END_DECLS

#endif
