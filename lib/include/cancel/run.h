/**
 * Runs that are alive: who runs what, since when.
 *
 * A run holds a **lease**: a file in runs/ that its process keeps locked until the run ends. The kernel lets go
 * of the lock when the process dies, however it dies, so a lease that is locked belongs to a run that is
 * alive; no process id is compared. cancel_task_begin (cancel/task.h) takes one; a worker in another language
 * may, cancel-spool(5) says how.
 */
#ifndef CANCEL_RUN_H
#define CANCEL_RUN_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* What a lease says. All of it is its holder's word, but for `uid`, which is that of the file's owner. */
struct cancel_run {
	const char *task_id;
	const char *run;                         /* NULL: it has no id */
	const char *also[CANCEL_TASK_ALSO_MAX];  /* the further ids that it listens to */
	size_t also_count;
	int64_t started_at_us;                   /* wall clock; 0: not known */
	int64_t uid, pid;                        /* -1: not known */
	const char *host, *program;              /* NULL: not known */
};

/**
 * Called for each run. Borrowed for the call.
 *
 * @return 0 to go on; anything else ends the listing, which returns that value.
 */
typedef int cancel_run_visit(void *arg, const struct cancel_run *run);

/**
 * Show every run that is alive to `visit`, in no order, in memory that does not grow.
 *
 * Runs that begin or end meanwhile may be shown or not. What is in runs/ and is no lease, or the lease of
 * somebody who is not trusted, is passed over.
 *
 * @return 0, what `visit` returned if that was not 0, or a negative errno: as cancel_spool_open where runs/ is missing and
 *         must be made, else as the system says.
 *
 * Blocks on the filesystem. Any thread. `visit` may call anything with the same spool.
 */
CANCEL_API int cancel_spool_runs(struct cancel_spool *spool, cancel_run_visit *visit, void *arg,
				 struct cancel_error *error);

/**
 * Whether a request for `task_id` (and `run`, if that is not NULL) would reach this run: it is its task, or one
 * of the further ids that it listens to.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API bool cancel_run_listens(const struct cancel_run *listener, const char *task_id, const char *run);

CANCEL_END_DECLS

#endif
