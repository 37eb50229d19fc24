/* Cancelling one, waiting for all, and cancelling all. */
#include "error.h"
#include "pool.h"
#include "waiting.h"

#include <errno.h>

const struct cancel_cause stopping_cause =
	CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the scheduler shuts down");

/* --- one ---------------------------------------------------------------------------------------------- */

static struct job *find_open(struct cancel_scheduler *pool, const char *task_id)
{
	struct account *account;
	struct job *job = NULL;

	pool_lock(pool);
	account = account_find_alive(pool, task_id);
	if (account && job_is_open(account->job)) {
		job = account->job;
		job_hold(job);
	}
	pool_unlock(pool);
	return job;
}

/* The task does not end meanwhile, so the request is for this run of it, and is decided. */
int cancel_scheduler_cancel(struct cancel_scheduler *pool, const char *task_id, const char *reason,
			    struct cancel_error *error)
{
	int code = manager_refuse_inherited(pool->manager, error);
	struct job *job;

	if (code < 0)
		return code;
	job = find_open(pool, task_id);
	if (!job)
		return error_set(error, -ENOENT, "no task '%s' is queued or runs here", QUOTE(task_id));
	code = cancel_manager_cancel(pool->manager, task_id, reason, error);
	pool_lock(pool);
	job_let_go(job);
	pool_unlock(pool);
	return code;
}

/* --- all ---------------------------------------------------------------------------------------------- */

/* With the lock. 0, or -ETIMEDOUT. */
static int await_idle(struct cancel_scheduler *pool, const struct timespec *until)
{
	while (pool->alive) {
		if (until && waiting_is_over(until))
			return -ETIMEDOUT;
		if (until)
			(void)pthread_cond_timedwait(&pool->idle, &pool->lock, until);
		else
			(void)pthread_cond_wait(&pool->idle, &pool->lock);
	}
	return 0;
}

/* With the lock, which is let go of meanwhile. */
static void cancel_open(struct cancel_scheduler *pool, struct job *job)
{
	if (!job_is_open(job))
		return;
	job_hold(job);
	pool_unlock(pool);
	(void)cancel_task_cancel(job->task, &stopping_cause);
	pool_lock(pool);
	job_let_go(job);
}

/* With the lock. Once: who comes later is cancelled as it comes. */
static void cancel_all(struct cancel_scheduler *pool)
{
	if (pool->shuts)
		return;
	pool->shuts = true;
	pool->cursor = pool->first;
	while (pool->cursor) {
		struct job *job = pool->cursor;

		pool->cursor = job->next;
		cancel_open(pool, job);
	}
}

static int stop(struct cancel_scheduler *pool, bool shuts, int64_t timeout_ns)
{
	struct timespec time;
	const struct timespec *until = waiting_until(&time, timeout_ns);
	int code;

	if (pool->is_inherited)
		return -EPERM;
	pool_lock(pool);
	pool->drains = true;
	if (shuts)
		cancel_all(pool);
	code = await_idle(pool, until);
	pool_unlock(pool);
	return code;
}

int cancel_scheduler_drain(struct cancel_scheduler *pool, int64_t timeout_ns)
{
	return stop(pool, false, timeout_ns);
}

int cancel_scheduler_shutdown(struct cancel_scheduler *pool, int64_t timeout_ns)
{
	return stop(pool, true, timeout_ns);
}
