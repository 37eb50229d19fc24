/* Handing in a task: its place first, then the files, then it counts. */
#include "error.h"
#include "pool.h"

#include <errno.h>

void cancel_submission_init(struct cancel_submission *submission, const struct cancel_scheduler *scheduler)
{
	*submission = (struct cancel_submission){.tries = scheduler->options.tries};
}

/* With the lock. */
static int check_place(struct cancel_scheduler *pool, const struct job *job, struct cancel_error *error)
{
	const char *id = job->account->id;

	if (pool->drains)
		return error_set(error, -ESHUTDOWN, "task '%s' comes too late: the scheduler ends",
				 QUOTE(id));
	if (account_find_alive(pool, id))
		return error_set(error, -EEXIST, "a task '%s' is queued or runs already", QUOTE(id));
	if (pool->counts[CANCEL_SCHEDULED_QUEUED] + pool->beginning >= pool->options.queue_max)
		return error_set(error, -EAGAIN, "no room for task '%s': %zu tasks wait already", QUOTE(id),
				 pool->options.queue_max);
	if (!ranking_reserve(&pool->turns, pool->alive + 1) ||
	    !ranking_reserve(&pool->pauses, pool->alive + 1))
		return error_system(error, -ENOMEM, "cannot queue task '%s'", QUOTE(id));
	return 0;
}

static int reserve_place(struct job *job, struct cancel_error *error)
{
	struct cancel_scheduler *pool = job->pool;
	int code;

	pool_lock(pool);
	code = check_place(pool, job, error);
	if (code == 0) {
		account_insert(pool, job->account);
		pool->alive++;
		pool->beginning++;
	}
	pool_unlock(pool);
	return code;
}

static void give_up_place(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;

	pool_lock(pool);
	account_remove(pool, job->account);
	job->account = NULL;
	pool->beginning--;
	if (--pool->alive == 0)
		(void)pthread_cond_broadcast(&pool->idle);
	pool_unlock(pool);
}

/* One without a lease: a queue of thousands holds no descriptors. */
static int begin(struct job *job, const struct cancel_submission *submission, struct cancel_error *error)
{
	struct cancel_task_options options;
	int code;

	cancel_task_options_init(&options);
	options.run = submission->run;
	options.also = submission->also;
	options.also_count = submission->also_count;
	options.no_lease = true;
	code = cancel_task_begin(&job->task, job->pool->manager, job->account->id, &options, error);
	return code < 0 ? code : 0;
}

/* Who is cancelled by now was told of it too early, or will not be: that is seen with the lock. */
static void accept(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;
	int is_cancelled = cancel_registration_try_add(&job->registration, cancel_task_token(job->task),
						       job_notice, job);

	pool_lock(pool);
	while (pool->shuts && !is_cancelled) {
		pool_unlock(pool);
		is_cancelled = cancel_task_cancel(job->task, &stopping_cause) >= 0;
		pool_lock(pool);
	}
	job_accept(job);
	pool_unlock(pool);
}

static int hand_in(struct job *job, const struct cancel_submission *submission, struct cancel_error *error)
{
	int code = reserve_place(job, error);

	if (code < 0)
		return code;
	code = begin(job, submission, error);
	if (code < 0)
		give_up_place(job);
	else
		accept(job);
	return code;
}

int cancel_scheduler_submit(struct cancel_scheduler *scheduler, const char *task_id,
			    cancel_scheduler_function *function, void *arg,
			    const struct cancel_submission *submission, struct cancel_error *error)
{
	int code = manager_refuse_inherited(scheduler->manager, error);
	struct cancel_submission defaults;
	struct job *job;

	cancel_submission_init(&defaults, scheduler);
	if (!submission)
		submission = &defaults;
	if (code == 0)
		code = name_check_id(task_id, CANCEL_TASK_ID_MAX, "task id", error);
	if (code == 0)
		code = tries_check(&submission->tries, error);
	if (code < 0)
		return code;
	job = job_new(scheduler, task_id);
	if (!job)
		return error_system(error, -ENOMEM, "cannot queue task '%s'", QUOTE(task_id));
	job->function = function;
	job->arg = arg;
	job->ended = submission->ended;
	job->tries = submission->tries;
	job->priority = submission->priority;
	code = hand_in(job, submission, error);
	if (code < 0)
		job_free(job);
	return code;
}
