#include "dispatcher.h"

#include "futex.h"
#include "queue.h"
#include "timer.h"
#include "waiting.h"

#include <cancel/clock.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* Starting and stopping are one at a time. */
static pthread_mutex_t life_lock = PTHREAD_MUTEX_INITIALIZER;

static struct queue queue;
static pthread_t thread;
static bool running;  /* atomic */
static bool stopping; /* atomic */
static uint32_t bell; /* goes up when there is something to do; atomic */

/* --- the thread --------------------------------------------------------------------------------------- */

static int64_t fire(void)
{
	return timer_is_plugged() ? CANCEL_FOREVER : timer_fire(&queue, NULL);
}

/* The bell is read before looking, so what comes while it looks ends the sleep at once. One source, then the
 * deadlines again: these must not wait for more callbacks than needs be. */
static void *run(void *unused)
{
	for (;;) {
		uint32_t rung = __atomic_load_n(&bell, __ATOMIC_SEQ_CST);
		int64_t next_ns = fire();
		struct timespec until;

		if (queue_deliver(&queue))
			continue;
		if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
			return unused;
		futex_sleep(&bell, rung, waiting_until_at(&until, next_ns));
	}
}

static int create(void)
{
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, run, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	(void)pthread_setname_np(thread, "cancel-dispatch");
	return 0;
}

/* --- what it is given --------------------------------------------------------------------------------- */

void dispatcher_ring(void)
{
	(void)__atomic_add_fetch(&bell, 1, __ATOMIC_SEQ_CST);
	futex_wake_all(&bell);
}

void dispatcher_push(struct cancel_source *source)
{
	queue_push(&queue, source);
	dispatcher_ring();
}

bool dispatcher_deliver(void)
{
	bool any = false;

	while (queue_deliver(&queue))
		any = true;
	return any;
}

/* --- its life ----------------------------------------------------------------------------------------- */

static bool is_running(void)
{
	return __atomic_load_n(&running, __ATOMIC_ACQUIRE);
}

int cancel_dispatcher_start(void)
{
	int result = 0;

	if (is_running())
		return 0;
	(void)pthread_mutex_lock(&life_lock);
	if (!is_running()) {
		__atomic_store_n(&stopping, false, __ATOMIC_RELAXED);
		result = create();
		__atomic_store_n(&running, result == 0, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&life_lock);
	return result;
}

static void stop(void)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	dispatcher_ring();
	(void)pthread_join(thread, NULL);
	__atomic_store_n(&running, false, __ATOMIC_RELEASE);
	/* What a signal handler pushed after its last look. */
	(void)dispatcher_deliver();
}

int cancel_dispatcher_stop(void)
{
	int result = 0;

	if (is_running() && pthread_equal(thread, pthread_self()))
		return -EDEADLK;
	(void)pthread_mutex_lock(&life_lock);
	if (is_running()) {
		if (timer_is_plugged() || timer_is_idle())
			stop();
		else
			result = -EBUSY;
	}
	(void)pthread_mutex_unlock(&life_lock);
	return result;
}

const pthread_t *dispatcher_thread(void)
{
	return is_running() ? &thread : NULL;
}

bool dispatcher_needs_me(void)
{
	const pthread_t *dispatcher = dispatcher_thread();

	return !dispatcher || pthread_equal(*dispatcher, pthread_self());
}

/* --- fork --------------------------------------------------------------------------------------------- */

/* `life_lock` is not taken: a callback that forks would wait for who stops the dispatcher, who waits for it.
 */
static void before_fork(void)
{
	timer_before_fork();
}

static void after_fork_in_parent(void)
{
	timer_after_fork(false);
}

/* The thread is not here, and what was queued is the parent's to deliver. */
static void after_fork_in_child(void)
{
	queue = (struct queue){0};
	running = false;
	timer_after_fork(true);
	waiting_forget();
	(void)pthread_mutex_init(&life_lock, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
