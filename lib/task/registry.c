/*
 * The child of a fork has a copy of each manager, with the parent's leases in it, which would keep a dead run
 * of the parent alive: they are let go of at once. The rest is left for the child to close.
 */
#include "registry.h"

#include "hints.h"
#include "task.h"

/* Held for writing by who forks, who must not wait for ever while others begin tasks. */
#define FORKS_INITIALIZER PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
static pthread_rwlock_t forks = FORKS_INITIALIZER;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cancel_manager *all;
static int installed; /* what pthread_atfork said */

void registry_hold_forks(void)
{
	(void)pthread_rwlock_rdlock(&forks);
}

void registry_allow_forks(void)
{
	(void)pthread_rwlock_unlock(&forks);
}

/* No thread is in the middle of a change then. */
static void before_fork(void)
{
	(void)pthread_rwlock_wrlock(&forks);
	(void)pthread_mutex_lock(&all_lock);
	for (struct cancel_manager *at = all; at; at = at->next_in_process)
		manager_lock(at);
}

static void in_parent(void)
{
	for (struct cancel_manager *at = all; at; at = at->next_in_process)
		manager_unlock(at);
	(void)pthread_mutex_unlock(&all_lock);
	(void)pthread_rwlock_unlock(&forks);
}

static void disinherit(struct cancel_manager *manager)
{
	manager->is_inherited = true;
	hints_disinherit(manager);
	for (struct task *task = manager->alive; task; task = task->next_alive) {
		lease_let_go(&task->lease);
		task->users = task_uses_here(task); /* the other threads do not exist here */
	}
	/* Such a one may have held it, or waited. */
	(void)pthread_mutex_init(&manager->leases, NULL);
	(void)pthread_mutex_init(&manager->keys, NULL);
	(void)pthread_cond_init(&manager->unused, NULL);
	manager_unlock(manager);
}

static void in_child(void)
{
	for (struct cancel_manager *at = all; at; at = at->next_in_process)
		disinherit(at);
	(void)pthread_mutex_unlock(&all_lock);
	forks = (pthread_rwlock_t)FORKS_INITIALIZER; /* its writer was another thread, as far as it knows */
}

static void install(void)
{
	installed = -pthread_atfork(before_fork, in_parent, in_child);
}

int registry_add(struct cancel_manager *manager)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, install);
	if (installed < 0)
		return installed;
	(void)pthread_mutex_lock(&all_lock);
	manager->next_in_process = all;
	all = manager;
	(void)pthread_mutex_unlock(&all_lock);
	return 0;
}

void registry_remove(struct cancel_manager *manager)
{
	struct cancel_manager **at = &all;

	(void)pthread_mutex_lock(&all_lock);
	while (*at && *at != manager)
		at = &(*at)->next_in_process;
	if (*at)
		*at = manager->next_in_process;
	(void)pthread_mutex_unlock(&all_lock);
}
