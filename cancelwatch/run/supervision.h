/* A command that is run as a task, as the files share it that supervise it. Data flows down: supervisor.c
 * begins and ends, attempts.c tries, attempt.c tries once, stopping.c stops. */
#ifndef CANCELWATCH_SUPERVISION_H
#define CANCELWATCH_SUPERVISION_H

#include "custody.h"
#include "listener.h"
#include "run_options.h"
#include "verdict.h"

#include <cancel/cancel.h>

#include <stdbool.h>
#include <stdint.h>

struct supervision {
	const struct run_options *options;
	struct custody custody;
	struct cancel_manager *manager;
	struct cancel_task *task;
	struct cancel_fd stop;
	struct listener listener;
	bool asks; /* there is none */
	struct verdict verdict; /* of the latest try */
	int report_fd;
	unsigned tries;
	int64_t started_at_us;
	int64_t started_ns;
};

/* When a time from now will be over; CANCEL_FOREVER: never. */
static inline int64_t supervision_after(int64_t time_ns)
{
	return time_ns == CANCEL_FOREVER ? CANCEL_FOREVER : cancel_clock_now_ns() + time_ns;
}

/* Whether the task was asked to stop, and that was noticed. Before the listener has stopped. */
bool supervision_is_cancelled(const struct supervision *supervision);

/* saying.c: one line on standard error, in one write: about the task, unless that is not wanted; about it, in any case;
 * about ourselves. What came from outside must have been escaped. */
void say(const struct supervision *supervision, const char *format, ...) CANCEL_PRINTF(2, 3);
void say_failure(const struct supervision *supervision, const char *format, ...) CANCEL_PRINTF(2, 3);
void say_always(const char *format, ...) CANCEL_PRINTF(1, 2);

/* attempts.c: try until there is a verdict to keep. */
void attempts_make(struct supervision *supervision);

/* attempt.c: try once. */
void attempt_make(struct supervision *supervision);
/* From now on requests are noticed: by the listener, or, where that cannot be had, in attempt_wait, which is
 * custody_wait. */
void attempt_listen(struct supervision *supervision);
enum custody_event attempt_wait(struct supervision *supervision, int64_t until_ns);

/* stopping.c: end all of the command, and judge what became of it. */
void stop_for_request(struct supervision *supervision);
void stop_for_time(struct supervision *supervision);
void stop_for_signal(struct supervision *supervision);
void stop_orphaned(struct supervision *supervision);
/* End what a try has left, without a verdict but that it cannot be ended. Returns whether nothing is left. */
bool stop_leftovers(struct supervision *supervision);
/* A request was noticed while nothing runs. */
void stop_nothing(struct supervision *supervision, const char *detail);

#endif
