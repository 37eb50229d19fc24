#include "dispatcher.h"

#include "futex.h"
#include "queue.h"
#include "timer.h"
#include "waiting.h"

#include <cancel/clock.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER; /* of `thread`; held to start one */
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;  /* held by who stops it */

static struct queue queue;
static pthread_t thread;
static bool running;     /* atomic */
static bool stopping;    /* atomic */
static uint32_t verdict; /* on stopping: 0 until there is one; atomic */
static uint32_t bell;    /* goes up when there is something to do; atomic */
static _Thread_local bool is_this_thread;

enum verdict { VERDICT_ENDS = 1, VERDICT_STAYS };

/* --- the thread --------------------------------------------------------------------------------------- */

static bool is_running(void)
{
	return __atomic_load_n(&running, __ATOMIC_SEQ_CST);
}

static void say(enum verdict is)
{
	__atomic_store_n(&verdict, is, __ATOMIC_RELEASE);
	futex_wake_all(&verdict);
}

/* False: somebody has started another dispatcher meanwhile. */
static bool go_on(void)
{
	bool replaced;

	(void)pthread_mutex_lock(&start_lock);
	replaced = is_running();
	__atomic_store_n(&running, true, __ATOMIC_SEQ_CST);
	(void)pthread_mutex_unlock(&start_lock);
	return !replaced;
}

/* `running` goes down before looking whether anything is left to do. Whoever queues or arms something looks
 * at it afterwards, and starts another dispatcher: one of both sees the other. */
static bool may_end(void)
{
	if (!__atomic_exchange_n(&stopping, false, __ATOMIC_SEQ_CST))
		return false;
	__atomic_store_n(&running, false, __ATOMIC_SEQ_CST);
	if ((queue_is_empty(&queue) && timer_is_idle()) || !go_on()) {
		say(VERDICT_ENDS);
		return true;
	}
	if (timer_is_idle())
		__atomic_store_n(&stopping, true, __ATOMIC_SEQ_CST); /* when that is done too */
	else
		say(VERDICT_STAYS);
	return false;
}

/* The bell is read before looking, so what comes while it looks ends the sleep at once. One source, then the
 * deadlines again: these must not wait for more callbacks than needs be. */
static void *run(void *unused)
{
	is_this_thread = true;
	(void)pthread_setname_np(pthread_self(), "cancel-dispatch");
	for (;;) {
		uint32_t rung = __atomic_load_n(&bell, __ATOMIC_SEQ_CST);
		int64_t next_ns = timer_fire(NULL, &queue, NULL);
		struct timespec until;

		if (queue_deliver(&queue))
			continue;
		if (may_end())
			return unused;
		/* Nobody rings for a deadline that was stopped while it thought of ending. */
		if (!__atomic_load_n(&stopping, __ATOMIC_SEQ_CST))
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
	return -error;
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

void dispatcher_take(struct cancel_source *source)
{
	dispatcher_push(source);
	/* Stopped in between, and no other thread to be had: rather here than never. */
	while (cancel_dispatcher_start() < 0 && dispatcher_deliver()) {
	}
}

bool dispatcher_deliver(void)
{
	return queue_deliver(&queue);
}

/* --- its life ----------------------------------------------------------------------------------------- */

int cancel_dispatcher_start(void)
{
	int result = 0;

	if (is_running())
		return 0;
	(void)pthread_mutex_lock(&start_lock);
	if (!is_running()) {
		result = create();
		__atomic_store_n(&running, result == 0, __ATOMIC_SEQ_CST);
	}
	(void)pthread_mutex_unlock(&start_lock);
	return result;
}

/* No cancellation point here either. The thread has said that it ends, so this is short. */
static void join(pthread_t ending)
{
	int cancelability;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelability);
	(void)pthread_join(ending, NULL);
	(void)pthread_setcancelstate(cancelability, NULL);
}

static int stop(void)
{
	pthread_t ending;

	if (!dispatcher_thread(&ending))
		return 0;
	if (!timer_is_idle())
		return -EBUSY;
	__atomic_store_n(&verdict, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&stopping, true, __ATOMIC_SEQ_CST);
	dispatcher_ring();
	while (!__atomic_load_n(&verdict, __ATOMIC_ACQUIRE)) {
		int result = waiting_sleep(&verdict, 0, &ending, NULL);

		/* Unless it has taken notice in the meantime, and the verdict is near. */
		if (result < 0 && __atomic_exchange_n(&stopping, false, __ATOMIC_SEQ_CST))
			return result;
	}
	if (verdict == VERDICT_STAYS)
		return -EBUSY;
	join(ending);
	return 0;
}

int cancel_dispatcher_stop(void)
{
	int result;

	if (is_this_thread)
		return -EDEADLK;
	if (pthread_mutex_trylock(&stop_lock))
		return -EBUSY;
	result = stop();
	(void)pthread_mutex_unlock(&stop_lock);
	/* What a signal handler pushed after its last look. */
	while (result == 0 && !is_running() && dispatcher_deliver()) {
	}
	return result;
}

bool dispatcher_thread(pthread_t *found)
{
	bool is;

	(void)pthread_mutex_lock(&start_lock);
	is = is_running();
	if (is)
		*found = thread;
	(void)pthread_mutex_unlock(&start_lock);
	return is;
}

bool dispatcher_needs_me(void)
{
	return is_this_thread || !is_running();
}

/* --- fork --------------------------------------------------------------------------------------------- */

static uint32_t forks; /* written where there is one thread only */

uint32_t dispatcher_forks(void)
{
	return forks;
}

static void after_fork_in_parent(void)
{
	timer_after_fork(false);
}

/* The thread is not here, and what was queued is the parent's to deliver. */
static void after_fork_in_child(void)
{
	queue = (struct queue){0};
	forks++;
	running = false;
	stopping = false;
	is_this_thread = false;
	timer_after_fork(true);
	waiting_forget();
	(void)pthread_mutex_init(&start_lock, NULL);
	(void)pthread_mutex_init(&stop_lock, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(timer_before_fork, after_fork_in_parent, after_fork_in_child);
}
