/*
 * The thread that keeps the time: it puts tasks back into the queue when the pause before another try is
 * over, and tells of those that are cancelled while they run.
 */
#include "clock.h"
#include "pool.h"

static void wake_due(struct cancel_scheduler *pool)
{
	int64_t now_ns = pool->pauses.count ? clock_monotonic_ns() : 0;
	const struct ranked *first;

	while ((first = ranking_first(&pool->pauses)) && first->rank.first <= now_ns) {
		struct job *job = first->job;

		ranking_remove(&pool->pauses, job);
		if (job->phase == PHASE_RESTING)
			job_doom(job);
		else
			job_queue(job);
	}
}

static struct account *take_news(struct cancel_scheduler *pool)
{
	struct account *account = pool->news.first;

	if (!account)
		return NULL;
	pool->news.first = account->next_news;
	if (!pool->news.first)
		pool->news.last = &pool->news.first;
	return account;
}

static void tell(struct cancel_scheduler *pool, struct account *account)
{
	pool_unlock(pool);
	line_cancelled(pool, account, true);
	pool_lock(pool);
	account_drop(account);
}

static void sleep_until_due(struct cancel_scheduler *pool)
{
	const struct ranked *first = ranking_first(&pool->pauses);

	if (first) {
		int64_t at_ns = first->rank.first;
		struct timespec until = {at_ns / NS_PER_S, at_ns % NS_PER_S};

		(void)pthread_cond_timedwait(&pool->time, &pool->lock, &until);
	} else {
		(void)pthread_cond_wait(&pool->time, &pool->lock);
	}
}

/* False: it is the end. */
static bool keep(struct cancel_scheduler *pool)
{
	struct account *account;

	wake_due(pool);
	if ((account = take_news(pool)))
		tell(pool, account);
	else if (!pool->closes)
		sleep_until_due(pool);
	else
		return false;
	return true;
}

void *keeper_run(void *arg)
{
	struct cancel_scheduler *pool = arg;

	(void)pthread_setname_np(pthread_self(), "cancel-keeper");
	pool_lock(pool);
	while (keep(pool))
		continue;
	pool_unlock(pool);
	return NULL;
}
