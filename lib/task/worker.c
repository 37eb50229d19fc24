/* The threads that call the functions, and end what they have called. */
#include "clock.h"
#include "pool.h"

#include <errno.h>

static const struct cancel_cause time_is_over =
	CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "the try's time is over");

/* --- one try ------------------------------------------------------------------------------------------ */

/* What cancels a try: the task, and its time. */
struct bounds {
	struct cancel_source source;
	struct cancel_link link;
	struct cancel_deadline deadline;
};

static void set_bounds(struct bounds *bounds, const struct job *job)
{
	int code;

	*bounds = (struct bounds){.deadline = CANCEL_DEADLINE_INIT};
	cancel_source_init(&bounds->source, NULL);
	(void)cancel_link_add(&bounds->link, &bounds->source, cancel_task_token(job->task));
	code = cancel_deadline_set(&bounds->deadline, &bounds->source, job->tries.timeout_ns, &time_is_over);
	if (code < 0)
		line_unlimited(job, code);
}

/* Returns whether its time was over. */
static bool lift_bounds(struct bounds *bounds)
{
	bool is_over;

	(void)cancel_deadline_stop(&bounds->deadline);
	is_over = cancel_token_cause(cancel_source_token(&bounds->source)) == &time_is_over;
	(void)cancel_linked_fini(&bounds->source, &bounds->link, 1);
	return is_over;
}

static int call(const struct job *job, bool *timed_out)
{
	struct bounds bounds;
	struct cancel_try now = {
		.task_id = job->account->id,
		.run = task_of(job->task)->run,
		.number = job->account->state.tries,
		.token = cancel_source_token(&bounds.source),
		.task = job->task,
	};
	int result;

	set_bounds(&bounds, job);
	result = job->function(job->arg, &now);
	*timed_out = lift_bounds(&bounds);
	return result;
}

/* --- before and after --------------------------------------------------------------------------------- */

static void get_ready(struct job *job)
{
	if (job->has_lease || job_is_cancelled(job))
		return;
	job->has_lease = true;
	task_take_lease(task_of(job->task));
}

/* False: it is cancelled, or about to be, by a shutdown that has not come to it; it is not to run. */
static bool enter(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;
	struct cancel_scheduled *state = &job->account->state;
	bool is_cancelled;

	pool_lock(pool);
	is_cancelled = job_is_cancelled(job) || pool->shuts;
	if (is_cancelled) {
		job_judge(job, CANCEL_SCHEDULED_CANCELLED);
		job->phase = PHASE_ENDING;
	} else {
		account_set_status(pool, job->account, CANCEL_SCHEDULED_RUNNING);
		job->phase = PHASE_RUNNING;
		pool->retried += state->tries++ > 0;
		if (!state->started_at_us)
			state->started_at_us = clock_realtime_us();
	}
	pool_unlock(pool);
	return !is_cancelled;
}

static void try_again(struct job *job, int64_t at_ns)
{
	account_set_status(job->pool, job->account, CANCEL_SCHEDULED_QUEUED);
	if (at_ns)
		job_pause(job, PHASE_PAUSED, at_ns);
	else
		job_queue(job);
}

static enum cancel_scheduled_status verdict_of(bool timed_out, int result)
{
	if (result == 0)
		return CANCEL_SCHEDULED_SUCCEEDED;
	return timed_out ? CANCEL_SCHEDULED_TIMED_OUT : CANCEL_SCHEDULED_FAILED;
}

/* When the next try is due; CANCEL_FOREVER: there is none. The line comes first: once the job waits it is not
 * this thread's. */
static int64_t plan_next(const struct job *job, bool timed_out, int result)
{
	unsigned tries = job->account->state.tries;
	int64_t pause_ns = tries <= job->tries.retries ? cancel_tries_pause_ns(&job->tries, tries) : -1;
	int64_t now_ns = clock_monotonic_ns(), at_ns;

	if (result == 0 || job_is_cancelled(job))
		return CANCEL_FOREVER;
	line_failed(job, timed_out, result, pause_ns);
	if (pause_ns <= 0)
		return pause_ns == 0 ? 0 : CANCEL_FOREVER;
	/* What is never due is not "no other try". */
	return __builtin_add_overflow(now_ns, pause_ns, &at_ns) ? CANCEL_FOREVER - 1 : at_ns;
}

/* Whether it was cancelled is asked once, here, with the lock; nothing later counts. True: it ends. */
static bool leave(struct job *job, bool timed_out, int result)
{
	int64_t next_ns = plan_next(job, timed_out, result);
	struct cancel_scheduler *pool = job->pool;
	bool ends;

	pool_lock(pool);
	job_await_holders(job);
	job->account->state.result = result;
	ends = job_is_cancelled(job) || next_ns == CANCEL_FOREVER;
	if (ends) {
		job_judge(job,
			  job_is_cancelled(job) ? CANCEL_SCHEDULED_CANCELLED : verdict_of(timed_out, result));
		job->phase = PHASE_ENDING;
	} else {
		try_again(job, next_ns);
	}
	pool_unlock(pool);
	return ends;
}

static void attempt(struct job *job)
{
	bool timed_out = false;
	int result;

	get_ready(job);
	if (!enter(job)) {
		job_settle(job);
		return;
	}
	result = call(job, &timed_out);
	if (leave(job, timed_out, result))
		job_settle(job);
}

/* --- the thread --------------------------------------------------------------------------------------- */

static struct job *next_job(struct cancel_scheduler *pool)
{
	struct job *job;

	pool_lock(pool);
	while (!(job = job_take_turn(pool)) && !pool->closes)
		(void)pthread_cond_wait(&pool->work, &pool->lock);
	pool_unlock(pool);
	return job;
}

void *worker_run(void *arg)
{
	struct cancel_scheduler *pool = arg;
	struct job *job;

	(void)pthread_setname_np(pthread_self(), "cancel-worker");
	while ((job = next_job(pool)))
		attempt(job);
	return NULL;
}
