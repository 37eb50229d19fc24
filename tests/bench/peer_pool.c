#include "peer_pool.h"

#include "harness.h"

#include <stdlib.h>
#include <string.h>

struct peer_pool_work {
	struct peer_pool_work *next;
	void (*function)(void *arg);
	void *arg;
};

/* With the lock. NULL: the pool is closed, and nothing is left. */
static struct peer_pool_work *take(struct peer_pool *pool)
{
	struct peer_pool_work *work;

	while (!pool->first && !pool->stops)
		(void)pthread_cond_wait(&pool->has_work, &pool->lock);
	work = pool->first;
	if (work)
		pool->first = work->next;
	if (!pool->first)
		pool->end = &pool->first;
	return work;
}

static void *run(void *arg)
{
	struct peer_pool *pool = arg;
	struct peer_pool_work *work;

	(void)pthread_mutex_lock(&pool->lock);
	while ((work = take(pool))) {
		pool->working++;
		(void)pthread_mutex_unlock(&pool->lock);
		work->function(work->arg);
		free(work);
		(void)pthread_mutex_lock(&pool->lock);
		if (--pool->working == 0 && !pool->first)
			(void)pthread_cond_broadcast(&pool->is_idle);
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void peer_pool_open(struct peer_pool *pool, unsigned threads)
{
	*pool = (struct peer_pool){.threads = threads};
	pool->end = &pool->first;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->has_work, NULL);
	(void)pthread_cond_init(&pool->is_idle, NULL);
	for (unsigned i = 0; i < threads; i++) {
		int code = pthread_create(&pool->thread[i], NULL, run, pool);

		if (code)
			bench_fail("cannot start a thread: %s", strerror(code));
	}
}

void peer_pool_submit(struct peer_pool *pool, void (*function)(void *arg), void *arg)
{
	struct peer_pool_work *work = malloc(sizeof *work);

	if (!work)
		bench_fail("out of memory");
	*work = (struct peer_pool_work){.function = function, .arg = arg};
	(void)pthread_mutex_lock(&pool->lock);
	*pool->end = work;
	pool->end = &work->next;
	(void)pthread_cond_signal(&pool->has_work);
	(void)pthread_mutex_unlock(&pool->lock);
}

void peer_pool_drain(struct peer_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	while (pool->first || pool->working)
		(void)pthread_cond_wait(&pool->is_idle, &pool->lock);
	(void)pthread_mutex_unlock(&pool->lock);
}

void peer_pool_close(struct peer_pool *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->stops = true;
	(void)pthread_cond_broadcast(&pool->has_work);
	(void)pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->threads; i++)
		(void)pthread_join(pool->thread[i], NULL);
	(void)pthread_cond_destroy(&pool->has_work);
	(void)pthread_cond_destroy(&pool->is_idle);
	(void)pthread_mutex_destroy(&pool->lock);
}
