/**
 * Managers: a spool, and the tasks of this process that listen to it.
 *
 *     struct cancel_manager *manager;
 *     struct cancel_task *task;
 *
 *     cancel_manager_open(&manager, NULL, &error);
 *     cancel_task_begin(&task, manager, "task_123", NULL, &error);
 *     while (!(stopped = cancel_task_checkpoint(task)) && work())
 *             ;
 *     cancel_task_end(task, stopped ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED, NULL, &error);
 *     cancel_manager_close(manager);
 *
 * One manager per process is normal; several are allowed, of one spool too. cancel/task.h has the tasks.
 *
 * **With a thread** (options.thread) the manager sleeps until there is something to see, cancels the tasks'
 * tokens then, and their callbacks are called by the dispatcher (cancel/dispatcher.h). A checkpoint is two loads from one cache
 * line.
 *
 * **Without** nothing happens between two calls of the library: cancel_task_checkpoint and cancel_task_wait look.
 * For programs of one thread, and for workers that are forked. Callbacks are called where it is seen.
 *
 * **How it is noticed.** Who publishes a request rings the spool's bell, a shared page that sleepers sleep on:
 * microseconds, no descriptor to watch, no inotify instance. Programs that know no bell are noticed by looking:
 * every CANCEL_ROUND_MAX_MS where a cancelwatch is about, which rings for them; else adaptively, from
 * CANCEL_ROUND_MIN_MS after something happened up to options.poll_interval_ms. The bell is never truth. Where it
 * is truncated, deleted or scribbled over, requests are noticed later, and nothing else changes.
 *
 * **fork.** In the child an inherited manager and its tasks may be closed, which frees what they hold there, but for
 * the memory of tasks that are cancelled or have a parent token, and leaves the parent's runs alone; a checkpoint answers what it knew at the fork, and whatever works with
 * a task or a key fails with -EPERM. A worker that was forked opens a manager of its own. The parent's leases are let go of
 * in the child, so that they die with the parent. This needs fork(2) of the C library: a child of clone(2) called by hand
 * keeps them until it calls exec or ends.
 */
#ifndef CANCEL_MANAGER_H
#define CANCEL_MANAGER_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* How a manager learns that it should look. */
enum cancel_notice {
	CANCEL_NOTICE_AUTO,    /* the bell; with a thread, inotify where that cannot be had; else polling */
	CANCEL_NOTICE_BELL,    /* opening fails where it cannot be had */
	CANCEL_NOTICE_INOTIFY, /* with a thread only; opening fails where it cannot be had */
	CANCEL_NOTICE_POLL,
};

/**
 * Told when the manager cannot look for a task, or a task has lost its lease and cannot have another: once for each different
 * trouble, and when there is none any more. A request that stands is not noticed while it cannot be looked for, and not
 * lost.
 *
 * @param what  What is wrong; `code` 0: all that was is over, or nothing was wrong and something is worth knowing: the
 *              spool's directory was replaced. Borrowed for the call.
 *
 * Called by the manager's thread, or from the call that looked. It may ask and list; it may not begin, get, delete or end a
 * task, nor close the manager.
 */
typedef void cancel_manager_report(void *arg, const struct cancel_error *what);

struct cancel_manager_options {
	const struct cancel_spool_options *spool; /* borrowed for the open; NULL: the defaults, and `create` */
	bool thread;
	enum cancel_notice notice;
	int64_t poll_interval_ms; /* the longest pause between two looks where nobody rings; 10 ms to 1 hour */
	cancel_manager_report *report; /* or NULL */
	void *arg;                     /* for `report` */
};

/* The spool's defaults, no thread, auto, 1 s, nobody told. */
CANCEL_API void cancel_manager_options_init(struct cancel_manager_options *options);

struct cancel_manager;
struct cancel_task;

/**
 * Open a spool, making it if it is missing (unless options.spool says otherwise), and be ready for tasks.
 *
 * @param manager  Set on success; left alone on failure.
 * @param options  Borrowed for the call. NULL: the defaults.
 * @param error    Where to describe a failure, or NULL.
 *
 * @return 0, or
 *         -EINVAL   an option out of its range, or CANCEL_NOTICE_INOTIFY without a thread;
 *         -ENOTSUP  the way of noticing that was asked for cannot be had here;
 *         -EAGAIN   a thread could not be started;
 *         others    as cancel_spool_open says.
 *
 * Blocks on the filesystem. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_manager_open(struct cancel_manager **manager,
				   const struct cancel_manager_options *options,
				   struct cancel_error *error);

/**
 * End the tasks that are left, as cancel_task_end with CANCEL_OUTCOME_NONE does, stop the thread, and free it all.
 * NULL is fine. No other thread may be using the manager or its tasks.
 *
 * @return 0, or the first failure of ending a task: its request is pending still.
 *
 * Blocks as cancel_task_end. Not in a callback of one of its tasks, and not in a signal handler.
 */
CANCEL_API int cancel_manager_close(struct cancel_manager *manager);

/**
 * The manager's spool, for everything that is done with one: ask, decide, list, sweep. It belongs to the manager.
 * After fork it is not to be used in the child.
 *
 * Any thread.
 */
CANCEL_API struct cancel_spool *cancel_manager_spool(struct cancel_manager *manager);

/**
 * Which way of noticing works now: BELL, INOTIFY or POLL.
 *
 * @param why  Set to one sentence: why it is not the one that was asked for; NULL when it is. Static. May be NULL.
 *
 * Does not block. Any thread.
 */
CANCEL_API enum cancel_notice cancel_manager_notice(struct cancel_manager *manager, const char **why);

/**
 * What is wrong, as options.report is told.
 *
 * @param trouble  Set when the result is negative: the latest that was told since nothing was wrong. May be NULL.
 *
 * @return 0: nothing; or the trouble's negative errno.
 *
 * Does not block. Any thread.
 */
CANCEL_API int cancel_manager_trouble(struct cancel_manager *manager, struct cancel_error *trouble);

/**
 * The task of that id in this manager, begun now if there is none: for programs that know tasks by a key. Only tasks
 * without a run id are found. One owner ends it.
 *
 * @param task  Set on success.
 *
 * @return 0: it was there, or has begun; 1: and it is cancelled; or as cancel_task_begin.
 *
 * Blocks as cancel_task_begin, where it begins. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_manager_get(struct cancel_manager *manager, const char *task_id,
				  struct cancel_task **task, struct cancel_error *error);

/**
 * Ask that a task be cancelled, in every process of the spool: cancel_spool_request. The tasks of this manager that
 * listen to it read cancelled when this returns, unless the spool cannot be looked at; then as soon as it can.
 *
 * @param reason  UTF-8, or NULL.
 *
 * @return As cancel_spool_request, or -EPERM: the manager was inherited by fork.
 *
 * Blocks as cancel_spool_request, and, without a thread, as the callbacks do, which are called here: two of them that end each
 * other's tasks wait for ever. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_manager_cancel(struct cancel_manager *manager, const char *task_id, const char *reason,
				     struct cancel_error *error);

/**
 * Is a task cancelled? For one of this manager without a run id what its token says, after a look; for any other whether a
 * request stands.
 *
 * @return 1: yes; 0: no; or a negative errno as cancel_spool_check: not known; -EPERM: the manager was inherited by fork.
 *
 * Blocks on the filesystem. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_manager_is_cancelled(struct cancel_manager *manager, const char *task_id,
					   struct cancel_error *error);

/**
 * Forget a task: end that of this manager without a run id, if there is one, as cancel_task_end with CANCEL_OUTCOME_NONE, and make its
 * name fresh: cancel_spool_reset.
 *
 * @return 1: there was something; 0: there was nothing; or a negative errno of those; -EPERM: the manager was inherited by
 *         fork.
 *
 * Blocks as those. Any thread that nobody else uses the task in; not in a signal handler.
 */
CANCEL_API int cancel_manager_delete(struct cancel_manager *manager, const char *task_id,
				     struct cancel_error *error);

/**
 * The word for a way of noticing, as programs write it; "unknown" outside the enumeration.
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_notice_text(enum cancel_notice notice);

CANCEL_END_DECLS

#endif
