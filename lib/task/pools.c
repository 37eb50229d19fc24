/*
 * All schedulers of the process, for fork: the child has a copy of each, without its threads, which it may
 * free. No thread is in the middle of a change when it is made.
 */
#include "pool.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cancel_scheduler *all;
static int installed; /* what pthread_atfork said */

/* Before the managers' own handler, which was installed earlier: the order in which a thread takes the locks.
 */
static void before_fork(void)
{
	(void)pthread_mutex_lock(&all_lock);
	for (struct cancel_scheduler *at = all; at; at = at->next_in_process)
		pool_lock(at);
}

static void in_parent(void)
{
	for (struct cancel_scheduler *at = all; at; at = at->next_in_process)
		pool_unlock(at);
	(void)pthread_mutex_unlock(&all_lock);
}

static void in_child(void)
{
	for (struct cancel_scheduler *at = all; at; at = at->next_in_process) {
		at->is_inherited = true;
		pool_init_locks(at);
	}
	(void)pthread_mutex_unlock(&all_lock);
}

static void install(void)
{
	installed = -pthread_atfork(before_fork, in_parent, in_child);
}

int pools_add(struct cancel_scheduler *pool)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, install);
	if (installed < 0)
		return installed;
	(void)pthread_mutex_lock(&all_lock);
	pool->next_in_process = all;
	all = pool;
	(void)pthread_mutex_unlock(&all_lock);
	return 0;
}

void pools_remove(struct cancel_scheduler *pool)
{
	struct cancel_scheduler **at = &all;

	(void)pthread_mutex_lock(&all_lock);
	while (*at && *at != pool)
		at = &(*at)->next_in_process;
	if (*at)
		*at = pool->next_in_process;
	(void)pthread_mutex_unlock(&all_lock);
}
