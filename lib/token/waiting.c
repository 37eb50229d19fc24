#include "waiting.h"

#include "clock.h"
#include "futex.h"

#include <cancel/clock.h>

#include <errno.h>

/* One for each thread that waits, on its stack. */
struct waiting {
	pthread_t thread, on;
	const uint32_t *word; /* what it sleeps on, while it is `value` */
	uint32_t value;
	struct waiting *next;
};

/* Only those who wait take it, so nothing that is promised to be quick does. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiting *all;

/* --- who waits for whom ------------------------------------------------------------------------------- */

/* One that was woken, and has not yet run, waits no more. */
static bool still_waits(const struct waiting *waiting)
{
	return __atomic_load_n(waiting->word, __ATOMIC_ACQUIRE) == waiting->value;
}

static const struct waiting *find(pthread_t thread)
{
	for (const struct waiting *at = all; at; at = at->next)
		if (pthread_equal(at->thread, thread))
			return still_waits(at) ? at : NULL;
	return NULL;
}

/* Follow from `thread` to what it waits for. There is no circle without me: its last member was refused. */
static bool leads_to_me(pthread_t thread)
{
	const struct waiting *at;

	while ((at = find(thread))) {
		if (pthread_equal(at->on, pthread_self()))
			return true;
		thread = at->on;
	}
	return false;
}

static int enter(struct waiting *waiting)
{
	int result = 0;

	(void)pthread_mutex_lock(&all_lock);
	if (leads_to_me(waiting->on)) {
		result = -EDEADLK;
	} else {
		waiting->next = all;
		all = waiting;
	}
	(void)pthread_mutex_unlock(&all_lock);
	return result;
}

static void leave(const struct waiting *waiting)
{
	struct waiting **at = &all;

	(void)pthread_mutex_lock(&all_lock);
	while (*at != waiting)
		at = &(*at)->next;
	*at = waiting->next;
	(void)pthread_mutex_unlock(&all_lock);
}

void waiting_forget(void)
{
	all = NULL;
	(void)pthread_mutex_init(&all_lock, NULL);
}

/* --- sleeping ----------------------------------------------------------------------------------------- */

uint32_t waiting_begin(const struct cancel_source *source)
{
	struct cancel_source *waited = (struct cancel_source *)source;

	/* An exchange: it comes before the look that follows, whereas a plain store could come after it. */
	(void)__atomic_exchange_n(&waited->waited, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&waited->wakes, __ATOMIC_SEQ_CST);
}

int waiting_sleep(const uint32_t *word, uint32_t value, const pthread_t *on, const struct timespec *until)
{
	struct waiting waiting = {.thread = pthread_self(), .word = word, .value = value};
	int result;

	if (!on) {
		futex_sleep(word, value, until);
		return 0;
	}
	waiting.on = *on;
	result = enter(&waiting);
	if (result < 0)
		return result;
	futex_sleep(word, value, until);
	leave(&waiting);
	return 0;
}

/* --- time --------------------------------------------------------------------------------------------- */

const struct timespec *waiting_until_at(struct timespec *until, int64_t at_ns)
{
	if (at_ns == CANCEL_FOREVER)
		return NULL;
	*until = (struct timespec){at_ns / NS_PER_S, at_ns % NS_PER_S};
	return until;
}

const struct timespec *waiting_until(struct timespec *until, int64_t timeout_ns)
{
	int64_t at_ns;

	if (timeout_ns < 0)
		timeout_ns = 0;
	if (__builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &at_ns))
		at_ns = CANCEL_FOREVER;
	return waiting_until_at(until, at_ns);
}

bool waiting_is_over(const struct timespec *until)
{
	return clock_monotonic_ns() >= timespec_ns(until);
}
