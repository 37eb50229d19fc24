/* Opening and closing. */
#include "error.h"
#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUE_DEFAULT 1024
#define ENDED_DEFAULT 1024

static const char *const status_texts[STATUSES] = {
	[CANCEL_SCHEDULED_QUEUED] = "queued",       [CANCEL_SCHEDULED_RUNNING] = "running",
	[CANCEL_SCHEDULED_SUCCEEDED] = "succeeded", [CANCEL_SCHEDULED_FAILED] = "failed",
	[CANCEL_SCHEDULED_CANCELLED] = "cancelled", [CANCEL_SCHEDULED_TIMED_OUT] = "timed-out",
};

const char *cancel_scheduled_text(enum cancel_scheduled_status status)
{
	return (size_t)status < STATUSES ? status_texts[status] : "unknown";
}

/* --- options ------------------------------------------------------------------------------------------ */

int cancel_scheduler_options_init(struct cancel_scheduler_options *options, struct cancel_error *error)
{
	*options = (struct cancel_scheduler_options){.queue_max = QUEUE_DEFAULT, .ended_max = ENDED_DEFAULT};
	cancel_tries_init(&options->tries);
	return cancel_tries_load(&options->tries, error);
}

static int check_options(const struct cancel_scheduler_options *options, struct cancel_error *error)
{
	if (options->threads > CANCEL_SCHEDULER_THREADS_MAX)
		return error_set(error, -EINVAL, "scheduler option 'threads': expected at most %d",
				 CANCEL_SCHEDULER_THREADS_MAX);
	if (options->queue_max < 1 || options->queue_max > CANCEL_SCHEDULER_QUEUE_MAX)
		return error_set(error, -EINVAL, "scheduler option 'queue_max': expected 1 to %d",
				 CANCEL_SCHEDULER_QUEUE_MAX);
	if (options->ended_max > CANCEL_SCHEDULER_QUEUE_MAX)
		return error_set(error, -EINVAL, "scheduler option 'ended_max': expected at most %d",
				 CANCEL_SCHEDULER_QUEUE_MAX);
	return tries_check(&options->tries, error);
}

static int check_manager(const struct cancel_manager *manager, struct cancel_error *error)
{
	int code = manager_refuse_inherited(manager, error);

	if (code == 0 && !manager->options.thread)
		return error_set(error, -EINVAL, "a scheduler needs a manager with a thread");
	return code;
}

/* More of them than the set holds are as good as none. */
static size_t count_processors(void)
{
	cpu_set_t set;
	long online =
		sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);

	if (online < 1)
		return 1;
	return online < CANCEL_SCHEDULER_THREADS_MAX ? (size_t)online : CANCEL_SCHEDULER_THREADS_MAX;
}

/* --- its memory --------------------------------------------------------------------------------------- */

void pool_init_locks(struct cancel_scheduler *pool)
{
	pthread_cond_t *const conditions[] = {&pool->work, &pool->time, &pool->ends, &pool->idle,
					      &pool->freed};
	pthread_condattr_t monotonic;

	(void)pthread_mutex_init(&pool->lines, NULL);
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++)
		(void)pthread_cond_init(conditions[i], &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

static void destroy_locks(struct cancel_scheduler *pool)
{
	(void)pthread_cond_destroy(&pool->freed);
	(void)pthread_cond_destroy(&pool->idle);
	(void)pthread_cond_destroy(&pool->ends);
	(void)pthread_cond_destroy(&pool->time);
	(void)pthread_cond_destroy(&pool->work);
	(void)pthread_mutex_destroy(&pool->lock);
	(void)pthread_mutex_destroy(&pool->lines);
}

static void pool_free(struct cancel_scheduler *pool)
{
	account_close(pool);
	ranking_free(&pool->turns);
	ranking_free(&pool->pauses);
	destroy_locks(pool);
	free(pool->threads);
	free(pool);
}

static struct cancel_scheduler *pool_new(struct cancel_manager *manager,
					 const struct cancel_scheduler_options *options)
{
	struct cancel_scheduler *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	pool->manager = manager;
	pool->options = *options;
	if (!pool->options.threads)
		pool->options.threads = (unsigned)count_processors();
	pool->last = &pool->first;
	pool->doomed.last = &pool->doomed.first;
	pool->news.last = &pool->news.first;
	pool_init_locks(pool);
	pool->threads = calloc(pool->options.threads, sizeof(pthread_t));
	if (account_open(pool) && pool->threads)
		return pool;
	pool_free(pool);
	return NULL;
}

/* --- its threads -------------------------------------------------------------------------------------- */

static void close_all(struct cancel_scheduler *pool)
{
	pool_lock(pool);
	pool->closes = true;
	(void)pthread_cond_broadcast(&pool->work);
	(void)pthread_cond_signal(&pool->time);
	(void)pthread_cond_signal(&pool->ends);
	pool_unlock(pool);
}

/* The workers are counted; of the other two the first is ended here if the second cannot be had. */
static int start_others(struct cancel_scheduler *pool)
{
	int code = -pthread_create(&pool->ender, NULL, ender_run, pool);

	if (code < 0)
		return code;
	code = -pthread_create(&pool->keeper, NULL, keeper_run, pool);
	if (code < 0) {
		close_all(pool);
		(void)pthread_join(pool->ender, NULL);
	}
	return code;
}

static int start_all(struct cancel_scheduler *pool)
{
	int code = 0;

	while (code == 0 && pool->thread_count < pool->options.threads) {
		code = -pthread_create(&pool->threads[pool->thread_count], NULL, worker_run, pool);
		pool->thread_count += code == 0;
	}
	return code == 0 ? start_others(pool) : code;
}

static void end_workers(struct cancel_scheduler *pool)
{
	close_all(pool);
	for (size_t i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
}

/* No signal of the program's is handled by them. */
static int start_threads(struct cancel_scheduler *pool)
{
	sigset_t every, before;
	int code;

	(void)sigfillset(&every);
	(void)pthread_sigmask(SIG_SETMASK, &every, &before);
	code = start_all(pool);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code < 0)
		end_workers(pool);
	return code;
}

/* --- its life ----------------------------------------------------------------------------------------- */

static int start(struct cancel_scheduler *pool, struct cancel_error *error)
{
	int code = pools_add(pool);

	if (code < 0)
		return error_system(error, code, "cannot prepare for fork");
	code = start_threads(pool);
	if (code == 0)
		return 0;
	pools_remove(pool);
	return error_system(error, code, "cannot start %u threads of a scheduler", pool->options.threads);
}

static int open_checked(struct cancel_scheduler **scheduler, struct cancel_manager *manager,
			const struct cancel_scheduler_options *options, struct cancel_error *error)
{
	struct cancel_scheduler *pool = pool_new(manager, options);
	int code;

	if (!pool)
		return error_system(error, -ENOMEM, "cannot open a scheduler");
	code = start(pool, error);
	if (code < 0)
		pool_free(pool);
	else
		*scheduler = pool;
	return code;
}

int cancel_scheduler_open(struct cancel_scheduler **scheduler, struct cancel_manager *manager,
			  const struct cancel_scheduler_options *options, struct cancel_error *error)
{
	struct cancel_scheduler_options defaults;
	int code = check_manager(manager, error);

	if (code == 0 && !options) {
		code = cancel_scheduler_options_init(&defaults, error);
		options = &defaults;
	}
	if (code == 0)
		code = check_options(options, error);
	return code < 0 ? code : open_checked(scheduler, manager, options, error);
}

void cancel_scheduler_close(struct cancel_scheduler *pool)
{
	if (!pool)
		return;
	if (!pool->is_inherited) {
		(void)cancel_scheduler_shutdown(pool, CANCEL_FOREVER);
		end_workers(pool);
		(void)pthread_join(pool->ender, NULL);
		(void)pthread_join(pool->keeper, NULL);
	}
	pools_remove(pool);
	pool_free(pool);
}
