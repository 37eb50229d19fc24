/* How jobs come and go. Each is in one place at a time, as its phase says. */
#include "clock.h"
#include "pool.h"

#include <stdlib.h>

/* --- memory ------------------------------------------------------------------------------------------- */

struct job *job_new(struct cancel_scheduler *pool, const char *task_id)
{
	struct job *job = calloc(1, sizeof *job);

	if (!job)
		return NULL;
	job->pool = pool;
	job->account = account_new(pool, task_id);
	if (job->account) {
		job->account->job = job;
		return job;
	}
	free(job);
	return NULL;
}

void job_free(struct job *job)
{
	if (job->account)
		account_drop(job->account);
	free(job);
}

/* --- coming ------------------------------------------------------------------------------------------- */

static void enlist(struct cancel_scheduler *pool, struct job *job)
{
	job->link = pool->last;
	*pool->last = job;
	pool->last = &job->next;
}

static void delist(struct cancel_scheduler *pool, struct job *job)
{
	*job->link = job->next;
	*(job->next ? &job->next->link : &pool->last) = job->link;
	if (pool->cursor == job)
		pool->cursor = job->next;
}

static void doom_cancelled(struct job *job)
{
	job_judge(job, CANCEL_SCHEDULED_CANCELLED);
	job_doom(job);
}

void job_accept(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;

	account_supersede(pool, job->account);
	enlist(pool, job);
	job->sequence = pool->sequence++;
	job->account->state.submitted_at_us = clock_realtime_us();
	pool->beginning--;
	pool->total++;
	pool->counts[CANCEL_SCHEDULED_QUEUED]++;
	if (job_is_cancelled(job))
		doom_cancelled(job);
	else
		job_queue(job);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

/* The greater priority first, without turning the smallest around. */
void job_queue(struct job *job)
{
	job->phase = PHASE_QUEUED;
	ranking_insert(&job->pool->turns, job, (struct rank){-(int64_t)job->priority, job->sequence});
	(void)pthread_cond_signal(&job->pool->work);
}

void job_pause(struct job *job, enum phase phase, int64_t at_ns)
{
	struct cancel_scheduler *pool = job->pool;

	job->phase = phase;
	ranking_insert(&pool->pauses, job, (struct rank){at_ns, job->sequence});
	if (job->rank_at == 0)
		(void)pthread_cond_signal(&pool->time);
}

void job_doom(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;

	job->phase = PHASE_DOOMED;
	job->next_doomed = NULL;
	*pool->doomed.last = job;
	pool->doomed.last = &job->next_doomed;
	(void)pthread_cond_signal(&pool->ends);
}

struct job *job_take_doomed(struct cancel_scheduler *pool)
{
	struct job *job = pool->doomed.first;

	if (!job)
		return NULL;
	pool->doomed.first = job->next_doomed;
	if (!pool->doomed.first)
		pool->doomed.last = &pool->doomed.first;
	job->phase = PHASE_ENDING;
	return job;
}

/* A shutdown comes to all that wait. */
struct job *job_take_turn(struct cancel_scheduler *pool)
{
	const struct ranked *first = ranking_first(&pool->turns);
	struct job *job = first ? first->job : NULL;

	if (!job || pool->shuts)
		return NULL;
	ranking_remove(&pool->turns, job);
	job->phase = PHASE_STARTING;
	return job;
}

/* --- being cancelled ---------------------------------------------------------------------------------- */

bool job_is_cancelled(const struct job *job)
{
	return cancel_token_requested(cancel_task_token(job->task));
}

bool job_is_open(const struct job *job)
{
	return job->phase > PHASE_BEGINNING && job->phase < PHASE_DOOMED;
}

void job_judge(struct job *job, enum cancel_scheduled_status verdict)
{
	job->verdict = verdict;
	job->account->state.is_cancelled = verdict == CANCEL_SCHEDULED_CANCELLED;
}

void job_hold(struct job *job)
{
	job->cancels++;
}

void job_let_go(struct job *job)
{
	if (--job->cancels == 0)
		(void)pthread_cond_broadcast(&job->pool->freed);
}

void job_await_holders(struct job *job)
{
	while (job->cancels)
		(void)pthread_cond_wait(&job->pool->freed, &job->pool->lock);
}

/* The keeper tells of it, because who calls this has no time. */
static void make_news(struct cancel_scheduler *pool, struct account *account, const struct cancel_cause *why)
{
	if (!pool->options.log)
		return;
	account->why = why;
	account->holders++;
	account->next_news = NULL;
	*pool->news.last = account;
	pool->news.last = &account->next_news;
	(void)pthread_cond_signal(&pool->time);
}

static void doom_waiting(struct ranking *ranking, struct job *job)
{
	ranking_remove(ranking, job);
	doom_cancelled(job);
}

void job_notice(void *arg, struct cancel_token token)
{
	struct job *job = arg;
	struct cancel_scheduler *pool = job->pool;

	pool_lock(pool);
	if (job->phase == PHASE_QUEUED)
		doom_waiting(&pool->turns, job);
	else if (job->phase == PHASE_PAUSED)
		doom_waiting(&pool->pauses, job);
	else if (job->phase == PHASE_RUNNING)
		make_news(pool, job->account, cancel_token_cause(token));
	pool_unlock(pool);
}

/* --- going -------------------------------------------------------------------------------------------- */

void job_leave(struct job *job)
{
	struct cancel_scheduler *pool = job->pool;

	pool_lock(pool);
	delist(pool, job);
	account_retire(pool, job->account);
	if (--pool->alive == 0)
		(void)pthread_cond_broadcast(&pool->idle);
	pool_unlock(pool);
	free(job);
}
