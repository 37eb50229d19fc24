/**
 * How often a task is tried, for how long, and with what pauses: the terms of the scheduler
 * (cancel/scheduler.h) and of `cancelwatch run`.
 *
 * A try that failed, or whose time ran out, is followed by another until the retries are used up. A task that
 * was cancelled is never tried again.
 */
#ifndef CANCEL_TRIES_H
#define CANCEL_TRIES_H

#include <cancel/clock.h>
#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>

#include <stdbool.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* Times are in seconds, or a duration as cancel_duration_parse reads it; a timeout of 0 is no limit. */
#define CANCEL_TASK_TIMEOUT_VARIABLE "SCHEDULER_TASK_TIMEOUT"
#define CANCEL_MAX_RETRIES_VARIABLE "SCHEDULER_MAX_RETRIES"
#define CANCEL_RETRY_INTERVAL_VARIABLE "SCHEDULER_RETRY_INTERVAL"

struct cancel_tries {
	int64_t timeout_ns;        /* of each try; 1 and up; CANCEL_FOREVER: no limit */
	unsigned retries;          /* further tries after the first: 0 to CANCEL_RETRIES_MAX */
	int64_t retry_interval_ns; /* the pause before a further try; 0 and up */
	bool backs_off;            /* each pause is twice the one before, up to CANCEL_RETRY_PAUSE_MAX_S */
};

/* 300 s, 3 retries, 60 s between them, all pauses alike. */
CANCEL_API void cancel_tries_init(struct cancel_tries *tries);

/**
 * Lay over `tries` what the environment says: SCHEDULER_TASK_TIMEOUT, SCHEDULER_MAX_RETRIES,
 * SCHEDULER_RETRY_INTERVAL. One that is not set, or empty, changes nothing; so do all in a setuid program.
 *
 * @param tries  Initialised. Left alone on failure.
 * @param error  Where to describe a failure, or NULL.
 *
 * @return 0, or -EINVAL  a variable's text is not understood, or out of its range; the sentence names it.
 *
 * Does not block. Any thread, while no other sets the environment; not in a signal handler.
 */
CANCEL_API int cancel_tries_load(struct cancel_tries *tries, struct cancel_error *error);

/**
 * The pause after so many tries have failed: retry_interval_ns, doubled for each after the first if it backs off. It
 * is never longer than CANCEL_RETRY_PAUSE_MAX_S, but for an interval that is.
 *
 * @param failed  Tries so far; 1 and up.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API int64_t cancel_tries_pause_ns(const struct cancel_tries *tries, unsigned failed);

CANCEL_END_DECLS

#endif
