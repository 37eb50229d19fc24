/**
 * Tasks: a token that a file can cancel.
 *
 * A task begins with an id, asks at its checkpoints, and ends with an outcome:
 *
 *     cancel_task_begin(&task, manager, "task_123", NULL, &error);
 *     while (!(stopped = cancel_task_checkpoint(task)) && next_block(&block))
 *             hash(&block);
 *     cancel_task_end(task, stopped ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED, NULL, &error);
 *
 * **What cancels it.** A request for its id, for its run, or for one of the further ids that it listens to (a job, a
 * tenant, "all"), when it has taken effect; a decision by somebody else of such a request, made after the task began,
 * that was no withdrawal and no expiry; its deadline; its parent token; the program itself. A request that was decided
 * before the task began never does, in the spool in which it began: another one that is put in that one's place, with
 * older decisions of the same name in it, is believed anew. Once cancelled it stays cancelled.
 *
 * **No request is lost at the start**: what was decided is remembered first, then the bell is listened to, and only then
 * is pending looked at for the first time. A request made before the start stops the task at its start.
 *
 * A task is used by any number of threads, and ended once, by one, when no other uses it.
 */
#ifndef CANCEL_TASK_H
#define CANCEL_TASK_H

#include <cancel/clock.h>
#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/manager.h>
#include <cancel/request.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* The part that a checkpoint reads. Tasks are made by cancel_task_begin only; all fields are the library's, and more
 * follow. */
struct cancel_task {
	struct cancel_source source;
	bool looks; /* no thread looks for it */
};

struct cancel_task_options {
	const char *run;         /* this run's id, so that it can be cancelled alone; NULL: it has none */
	const char *const *also; /* further ids that cancel it */
	size_t also_count;       /* at most CANCEL_TASK_ALSO_MAX */
	/* From now; CANCEL_FOREVER: none. Never early. Without a thread, late by up to a tick of the coarse clock. */
	int64_t timeout_ns;
	struct cancel_token parent; /* cancels it too; outlives the task. {0}: none */
	/* Take no lease: nobody sees that it runs, and a run of the same task that finishes may decide a request that was
	 * meant for this one too. It saves a descriptor, and a file. */
	bool no_lease;
};

/* No run id, no further ids, no deadline, no parent, a lease. */
CANCEL_API void cancel_task_options_init(struct cancel_task_options *options);

/**
 * Begin a task: one run of it.
 *
 * @param task     Set on success; left alone on failure. To be ended by cancel_task_end or cancel_manager_close.
 * @param manager  Outlives the task.
 * @param task_id  1 to CANCEL_TASK_ID_MAX bytes of UTF-8. Borrowed for the call.
 * @param options  Borrowed for the call. NULL: the defaults.
 * @param error    Where to describe a failure, or NULL.
 *
 * @return 0: it has begun; 1: it has begun and is cancelled already; or
 *         -EINVAL, -EILSEQ, -ENAMETOOLONG  an id, too many of them, or a timeout under 0;
 *         -EPERM    the manager was inherited by fork;
 *         -ELOOP    the parent is at depth CANCEL_LINK_DEPTH_MAX;
 *         -EMFILE, -ENFILE, -ENOMEM  for the lease: raise the limit, or begin it without one. Any other failure of the
 *                   lease, such as a full disk, is told to options.report, and it is taken as soon as that works;
 *         -EAGAIN   as cancel_deadline_set;
 *         others    as cancel_spool_mark, cancel_spool_check and the system say. What stands in a request's place and
 *                   is none (-EBADMSG) cancels nobody: it is told to options.report and the task begins.
 *
 * Blocks on the filesystem. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_task_begin(struct cancel_task **task, struct cancel_manager *manager, const char *task_id,
				 const struct cancel_task_options *options, struct cancel_error *error);

/* What cancel_task_checkpoint does when there is no thread: see there. */
CANCEL_API bool cancel_task_look_if_due(struct cancel_task *task);

/**
 * The checkpoint: must the task stop?
 *
 * With a manager's thread: two loads from one cache line. Without: the coarse clock is read, and with each of its ticks (1 to 10 ms) the
 * bell is asked; if it has rung for this task, or CANCEL_CHECKPOINT_LOOK_MS have passed, the spool is looked at, and if
 * there is a request the task is cancelled here, callbacks included. So it sees a request within a tick of its being
 * published, and one by a program that rings no bell within CANCEL_CHECKPOINT_LOOK_MS.
 *
 * If the spool cannot be looked at the answer is what is known; the manager's report tells, and cancel_task_check does.
 *
 * Does not block, or without a thread on the filesystem and as the callbacks do. Any thread; not in a signal handler.
 */
static inline bool cancel_task_checkpoint(struct cancel_task *task)
{
	return cancel_token_requested(cancel_source_token(&task->source)) ||
	       (task->looks && cancel_task_look_if_due(task));
}

/**
 * Look at the spool now, whatever the bell says.
 *
 * @return 1: it is cancelled; 0: it is not; or a negative errno as cancel_spool_check: not known; -EPERM: it was inherited by
 *         fork.
 *
 * Blocks on the filesystem, and as the callbacks do. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_task_check(struct cancel_task *task, struct cancel_error *error);

/**
 * The task's token: for what the task calls, for waits, callbacks, descriptors, links (cancel/token.h and its kin).
 * Valid until the task is ended. Its cause is a request where cancel_cause_request says so.
 *
 * Without a manager's thread somebody must call cancel_task_checkpoint or cancel_task_wait for it to become cancelled.
 *
 * Any thread, any signal handler.
 */
static inline struct cancel_token cancel_task_token(const struct cancel_task *task)
{
	return cancel_source_token(&task->source);
}

/**
 * Cancel the task from within the program: nothing is asked in the spool.
 *
 * @return As cancel_source_cancel, which this is; or -EPERM: it was inherited by fork.
 *
 * Blocks as the callbacks do. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_task_cancel(struct cancel_task *task, const struct cancel_cause *cause);

/**
 * Sleep until the task is cancelled, with a manager's thread or without.
 *
 * @param timeout_ns  The longest wait; it does not time out earlier. 0 or less: only look; CANCEL_FOREVER: no limit.
 *
 * @return 1: it is cancelled; 0: not in time; or -EPERM: it was inherited by fork.
 *
 * Blocks. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_task_wait(struct cancel_task *task, int64_t timeout_ns);

/**
 * Sleep until one of several tasks is cancelled. With managers' threads they may be of several managers, and at most
 * CANCEL_WAIT_ANY_MAX; without a thread they are of one manager, and of any number.
 *
 * @return The index of the first in the list that is cancelled; or
 *         -ETIMEDOUT  not in time;
 *         -EINVAL     none, too many, or of managers that do not go together;
 *         -EPERM      one was inherited by fork;
 *         -ELOOP      without a thread: one has a parent at depth CANCEL_LINK_DEPTH_MAX - 1;
 *         -ENOMEM.
 *
 * Blocks. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_task_wait_any(struct cancel_task *const *tasks, size_t count, int64_t timeout_ns);

/* What cancelled a task. */
enum cancel_why_kind {
	CANCEL_WHY_NOT,      /* it is not cancelled */
	CANCEL_WHY_REQUEST,  /* a request in the spool */
	CANCEL_WHY_DEADLINE, /* its own deadline */
	CANCEL_WHY_PARENT,   /* its parent token; `cause` is that one's */
	CANCEL_WHY_PROGRAM,  /* cancel_task_cancel */
};

struct cancel_why {
	enum cancel_why_kind kind;
	const char *text;                     /* the reason, for people; "" with CANCEL_WHY_NOT */
	const struct cancel_cause *cause;     /* NULL with CANCEL_WHY_NOT */
	const struct cancel_request *request; /* who asked, when, which; NULL but with CANCEL_WHY_REQUEST */
	const char *id;                       /* which of the task's ids was asked for; NULL as `request` */
};

/**
 * Why the task was cancelled.
 *
 * @param why  Set; what it points to lives until the task is ended.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API void cancel_task_why(const struct cancel_task *task, struct cancel_why *why);

/**
 * The request that a cause is of: for who has a token and not its task.
 *
 * @return NULL for every other cause, and for NULL. It lives as long as the cause.
 *
 * Any thread, any signal handler.
 */
CANCEL_API const struct cancel_request *cancel_cause_request(const struct cancel_cause *cause);

/**
 * End the task: decide what is pending for its own names, the task's and the run's, noticed or not, and let go of the
 * lease. Afterwards `task` and its token are gone.
 *
 * - With CANCEL_OUTCOME_FINISHED a request for the task (not for this run) stays pending while another run of the task
 *   holds a lease: it is meant for that one too.
 * - A request for one of the further ids is never decided. If it is what cancelled this task, and nothing was pending
 *   for its own names, a record of how this run ended is left as its latest decided one (`group` in it names the id), and
 *   watchers report it.
 *
 * @param outcome  CANCEL_OUTCOME_STOPPED, _FINISHED, _FAILED or _REFUSED; or CANCEL_OUTCOME_NONE for who does not know:
 *                 failed if it was asked to cancel.
 * @param detail   UTF-8 text up to CANCEL_DETAIL_MAX bytes for people, or NULL.
 *
 * @return How many requests were decided, 0 to 2; or a negative errno as cancel_spool_acknowledge, or
 *         -EINVAL   an outcome that a run cannot have;
 *         -EDEADLK  as cancel_source_fini: called from a callback that another thread waits for.
 *         After a failure the task has not ended and still holds its lease: what is pending stays pending, though of two
 *         requests the first may have been decided. End it again, or close the manager. What was registered on its token
 *         is forgotten then, but with -EDEADLK.
 *         A task that was inherited by fork is freed, nothing is decided, and the result is 0.
 *
 * Blocks as cancel_spool_acknowledge, and while its token's callbacks are called on another thread. One thread, while
 * no other uses the task; it may be a callback of its own token; not in a signal handler.
 */
CANCEL_API int cancel_task_end(struct cancel_task *task, enum cancel_outcome outcome, const char *detail,
			       struct cancel_error *error);

CANCEL_END_DECLS

#endif
