/**
 * A scheduler: threads that run functions as tasks, each with its token.
 *
 *     static int thumbnail(void *arg, const struct cancel_try *now)
 *     {
 *             while (next_picture(arg))
 *                     if (cancel_token_requested(now->token))
 *                             return cancel_token_error(now->token);
 *             return 0;
 *     }
 *
 *     cancel_manager_options_init(&manager_options);
 *     manager_options.thread = true;
 *     cancel_manager_open(&manager, &manager_options, &error);
 *     cancel_scheduler_open(&scheduler, manager, NULL, &error);
 *     cancel_scheduler_submit(scheduler, "task_123", thumbnail, album, NULL, &error);
 *     ...
 *     cancel_scheduler_drain(scheduler, CANCEL_FOREVER);
 *     cancel_scheduler_close(scheduler);
 *     cancel_manager_close(manager);
 *
 * **A task** is queued, runs, and ends as one of four: succeeded, failed, cancelled, timed out. Who has ended stays
 * as it ended. It listens to its id, its run's and its further ids from when it is submitted, so that a request
 * ends it at once while it waits, whether for its turn or for another try; it then never runs, or not again.
 *
 * **A try** is one call of the function. It gets a token that is cancelled by whatever cancels the task, and when
 * the try's time is over, with a cause of CANCEL_KIND_DEADLINE. What the function returns decides:
 *
 *     was the task cancelled meanwhile?   yes: cancelled, whatever it returned. The request is decided as finished if
 *                                         that was 0 (all was done before it was noticed), else as stopped
 *     it returned 0                       succeeded, even if its time was over
 *     its time was over                   timed out, or another try
 *     it returned something else          failed, or another try
 *
 * No thread is ever ended by force: a function that does not ask its token runs until it returns. This is judged once,
 * when it has returned. What would cancel the task after that comes too late, and a request is decided as the task ended.
 *
 * **The end** is told when the request is decided; until then the task reads queued or running. Where that fails, on a
 * full disk say, it is tried again four times, with pauses of 1.5 s together, after which the task is let go of: it ends as it was to end, a
 * request stays pending, and a line at error says so.
 *
 * **Log lines**, for options.log, at info: `task task_123: cancel request received, processing stops: REASON`;
 * `task task_123: cancel signal sent`; `task task_123: cancel signal received, execution stopped`. A task that does
 * not run has the first and the last only. Retries, failures and timeouts are told too, at warning.
 *
 * **The lease** of a task, by which others see that it runs, is taken when its first try begins: a queue holds no
 * descriptors. Where none can be had the manager's report tells, the task runs, and one is taken as soon as that works.
 *
 * **fork.** In the child everything is refused with -EPERM, but cancel_scheduler_close, which frees what it can. A child
 * that is forked in a function or in `ended` must not return from it, but call exec or _exit.
 */
#ifndef CANCEL_SCHEDULER_H
#define CANCEL_SCHEDULER_H

#include <cancel/clock.h>
#include <cancel/config.h>
#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/manager.h>
#include <cancel/task.h>
#include <cancel/token.h>
#include <cancel/tries.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* One call of a task's function. Borrowed for the call. */
struct cancel_try {
	const char *task_id;
	const char *run;            /* or NULL */
	unsigned number;            /* 1: the first */
	struct cancel_token token;  /* the task's, and this try's deadline; gone when the function has returned */
	struct cancel_task *task;   /* for cancel_task_why; not to be ended */
};

/**
 * What a task does. Called by one of the scheduler's threads.
 *
 * @return 0: all is done; anything else: it is not (a negative errno, as a rule; cancel_token_error(now->token) for who
 *         stopped because of the token).
 */
typedef int cancel_scheduler_function(void *arg, const struct cancel_try *now);

enum cancel_scheduled_status {
	CANCEL_SCHEDULED_QUEUED,    /* waits for a thread, or for the pause before another try to end */
	CANCEL_SCHEDULED_RUNNING,
	CANCEL_SCHEDULED_SUCCEEDED,
	CANCEL_SCHEDULED_FAILED,
	CANCEL_SCHEDULED_CANCELLED,
	CANCEL_SCHEDULED_TIMED_OUT,
};

/* How a task stands. */
struct cancel_scheduled {
	enum cancel_scheduled_status status;
	unsigned tries;          /* begun so far */
	int result;              /* what the latest try returned; 0 while there is none */
	bool is_cancelled;       /* its token is; a task that runs may still be at it */
	int64_t submitted_at_us; /* wall clock */
	int64_t started_at_us;   /* the first try; 0: it never ran */
	int64_t ended_at_us;     /* 0: it has not */
};

/**
 * Told once for each task that was accepted, when it has ended, its request decided, and its function will not be called
 * any more: the place to free its argument.
 *
 * Called by one of the scheduler's threads, without a lock. It may do everything but wait for tasks of the same
 * scheduler (drain, shutdown, wait) or close it; it may submit.
 */
typedef void cancel_scheduler_ended(void *arg, const char *task_id, const struct cancel_scheduled *state);

/**
 * Told each log line.
 *
 * @param line  One sentence, without a newline; what came from outside is escaped. Borrowed for the call.
 *
 * Called by any thread that works for the scheduler, and in its calls; one at a time. It may not call the scheduler.
 */
typedef void cancel_scheduler_log(void *arg, enum cancel_log_level level, const char *line);

struct cancel_scheduler_options {
	unsigned threads;    /* 1 to CANCEL_SCHEDULER_THREADS_MAX; 0: as many as processors may be used */
	/* So many tasks may wait, for their turn or for another try, and more are not accepted: 1 to CANCEL_SCHEDULER_QUEUE_MAX.
	 * One that has failed waits for another try however many do. */
	size_t queue_max;
	size_t ended_max;    /* of those that have ended the latest so many are known by their status; 0: none */
	struct cancel_tries tries; /* of tasks that do not say otherwise */
	cancel_scheduler_log *log; /* or NULL */
	void *arg;                 /* for `log` */
};

/**
 * As many threads as processors, 1,024 waiting tasks, 1,024 ended ones, no log, and tries as cancel_tries_init and then
 * cancel_tries_load say.
 *
 * @return 0, or -EINVAL as cancel_tries_load: a SCHEDULER_* variable; then `tries` are those of cancel_tries_init.
 */
CANCEL_API int cancel_scheduler_options_init(struct cancel_scheduler_options *options, struct cancel_error *error);

struct cancel_scheduler;

/**
 * Start a scheduler: its threads, one that keeps the time, and one that ends tasks which are cancelled while they wait.
 *
 * @param scheduler  Set on success; left alone on failure. To be closed by cancel_scheduler_close.
 * @param manager    With a thread (cancel_manager_options.thread). Outlives the scheduler; may have other tasks too.
 * @param options    Borrowed for the call. NULL: those of cancel_scheduler_options_init.
 * @param error      Where to describe a failure, or NULL.
 *
 * @return 0, or
 *         -EINVAL  an option out of its range, a SCHEDULER_* variable with NULL options, or a manager without a thread;
 *         -EPERM   the manager was inherited by fork;
 *         -EAGAIN, -ENOMEM  a thread, or memory, could not be had.
 *
 * Any thread; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_open(struct cancel_scheduler **scheduler, struct cancel_manager *manager,
				     const struct cancel_scheduler_options *options, struct cancel_error *error);

/* What a task may have that is its own. */
struct cancel_submission {
	const char *run;           /* as in struct cancel_task_options, like the next two */
	const char *const *also;
	size_t also_count;
	int priority;              /* higher first; of equals the one that was submitted first */
	struct cancel_tries tries;
	cancel_scheduler_ended *ended; /* or NULL; its `arg` is the function's */
};

/* No run id, no further ids, priority 0, the scheduler's tries, nobody told. Any thread. */
CANCEL_API void cancel_submission_init(struct cancel_submission *submission, const struct cancel_scheduler *scheduler);

/**
 * Hand in a task. From here on it listens; a request that stands already cancels it, and it never runs.
 *
 * @param task_id     As for cancel_task_begin. Borrowed for the call, as all ids.
 * @param function    What to do.
 * @param arg         For `function` and `ended`.
 * @param submission  Borrowed for the call. NULL: as cancel_submission_init says.
 *
 * @return 0: accepted; `ended` will be called, if it was given. Or, and nothing is called:
 *         -EAGAIN     queue_max tasks wait already: submit it later, or somewhere else;
 *         -EEXIST     a task of this id is queued, runs, or is ending here: `ended` has not returned;
 *         -ESHUTDOWN  the scheduler drains, or was shut down;
 *         -EINVAL     a value of `submission.tries` out of its range;
 *         -EPERM      inherited by fork;
 *         others      as cancel_task_begin.
 *
 * Blocks on the filesystem as cancel_task_begin. Any thread, functions and `ended` included; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_submit(struct cancel_scheduler *scheduler, const char *task_id,
				       cancel_scheduler_function *function, void *arg,
				       const struct cancel_submission *submission, struct cancel_error *error);

/**
 * Cancel a task that is queued or runs here, by a request in the spool as anybody would make: cancel_manager_cancel. When
 * this returns its token reads cancelled, and it will end as cancelled, unless the spool could not be looked at; it does
 * not end before this returns. One that does not run ends at once, by the scheduler's own threads.
 *
 * @return As cancel_manager_cancel, or -ENOENT: no task of this id is queued or runs here, or it is ending. Nothing was
 *         asked then.
 *
 * Blocks as cancel_manager_cancel. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_cancel(struct cancel_scheduler *scheduler, const char *task_id, const char *reason,
				       struct cancel_error *error);

/**
 * How does a task stand: the one of this id that waits or runs, else the latest that has ended and is still known.
 *
 * @param state  Set on success.
 *
 * @return 0; -ENOENT: none is known; or -EPERM: inherited by fork.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_status(struct cancel_scheduler *scheduler, const char *task_id,
				       struct cancel_scheduled *state);

/**
 * Sleep until a task has ended and `ended` has returned.
 *
 * @param timeout_ns  The longest wait; 0 or less: only look; CANCEL_FOREVER: no limit.
 * @param state       Set when the result is 0; may be NULL.
 *
 * @return 0: it has ended; -ETIMEDOUT; -ENOENT: no task of this id is known, or it was not one of the ended_max any more
 *         when this thread came to look; or -EPERM: inherited by fork.
 *
 * Blocks. Any thread, but not in a function or `ended`, which would keep others from ending; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_wait(struct cancel_scheduler *scheduler, const char *task_id, int64_t timeout_ns,
				     struct cancel_scheduled *state);

/* Since it was opened; the last two are of now. total = succeeded + failed + cancelled + timed_out + running + queued. */
struct cancel_scheduler_statistics {
	uint64_t total; /* accepted */
	uint64_t succeeded, failed, cancelled, timed_out;
	uint64_t retried; /* tries after the first of a task */
	size_t running, queued;
};

/* All counted at one moment; all 0 in the child of a fork. Does not block. Any thread; not in a signal handler. */
CANCEL_API void cancel_scheduler_count(struct cancel_scheduler *scheduler,
				       struct cancel_scheduler_statistics *statistics);

/**
 * Accept no more tasks, and wait until all have ended, those included that wait for another try.
 *
 * @param timeout_ns  As in cancel_scheduler_wait.
 *
 * @return 0: all have ended; -ETIMEDOUT: some have not, and go on; or -EPERM: inherited by fork.
 *
 * Blocks. Any thread, but not in a function or `ended`; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_drain(struct cancel_scheduler *scheduler, int64_t timeout_ns);

/**
 * Accept no more tasks, cancel all that wait or run, with a cause of CANCEL_KIND_SHUTDOWN, and wait until they have
 * ended. Nothing is asked in the spool; a request that is pending for one of them is decided by its end, and one that
 * comes later stops the task's next run.
 *
 * @return As cancel_scheduler_drain; after -ETIMEDOUT functions that do not ask their token are still at it.
 *
 * Blocks, and as the callbacks of the tokens. Any thread, but not in a function or `ended`; not in a signal handler.
 */
CANCEL_API int cancel_scheduler_shutdown(struct cancel_scheduler *scheduler, int64_t timeout_ns);

/**
 * Shut it down, however long that takes, end its threads, and free it. NULL is fine. No other thread may be using it.
 *
 * In the child of a fork it only frees; no function and no `ended` is called.
 *
 * Blocks until every function has returned. Not in a function or `ended`, and not in a signal handler.
 */
CANCEL_API void cancel_scheduler_close(struct cancel_scheduler *scheduler);

/**
 * The word for a status: queued, running, succeeded, failed, cancelled, timed-out; "unknown" outside the enumeration.
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_scheduled_text(enum cancel_scheduled_status status);

CANCEL_END_DECLS

#endif
