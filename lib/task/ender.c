/* The thread that ends tasks which are cancelled while they wait: that touches files and calls the program,
 * and may take long. So it is neither the keeper's nor a worker's, whom others wait for. */
#include "pool.h"

static struct job *next_doomed(struct cancel_scheduler *pool)
{
	struct job *job;

	pool_lock(pool);
	while (!(job = job_take_doomed(pool)) && !pool->closes)
		(void)pthread_cond_wait(&pool->ends, &pool->lock);
	pool_unlock(pool);
	return job;
}

void *ender_run(void *arg)
{
	struct cancel_scheduler *pool = arg;
	struct job *job;

	(void)pthread_setname_np(pthread_self(), "cancel-ender");
	while ((job = next_doomed(pool)))
		job_settle(job);
	return NULL;
}
