/* What removing a callback that is claimed already pays, so that calling callbacks need not: one fence of all
 * threads. The kernel leaves out processors on which none of them runs. */
#include "fence.h"
#include "token_loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define FENCES       20000
#define FENCES_BRIEF 1000

static void fence(long count)
{
	for (long i = 0; i < count; i++)
		if (!fence_all_threads())
			bench_fail("the system refuses membarrier(2) by now");
}

/* --- beside another thread ---------------------------------------------------------------------------- */

/* On another processor, where it runs or sleeps. */
struct companion {
	pthread_t thread;
	atomic_bool runs;
	pthread_barrier_t both; /* before the measurement, and after it */
};

static void *accompany(void *arg)
{
	struct companion *companion = arg;

	bench_pin(true);
	(void)pthread_barrier_wait(&companion->both);
	while (atomic_load_explicit(&companion->runs, memory_order_relaxed))
		continue;
	(void)pthread_barrier_wait(&companion->both);
	return NULL;
}

static double beside_ns(bool runs)
{
	struct companion companion = {.runs = runs};
	double ns;
	int code;

	(void)pthread_barrier_init(&companion.both, NULL, 2);
	code = pthread_create(&companion.thread, NULL, accompany, &companion);
	if (code)
		bench_fail("cannot start a thread: %s", strerror(code));
	(void)pthread_barrier_wait(&companion.both);
	ns = token_loop_ns(fence, bench_count(FENCES, FENCES_BRIEF));
	atomic_store(&companion.runs, false);
	(void)pthread_barrier_wait(&companion.both);
	(void)pthread_join(companion.thread, NULL);
	(void)pthread_barrier_destroy(&companion.both);
	return ns;
}

static double beside_running(const struct place *place)
{
	(void)place;
	return beside_ns(true);
}

static double beside_sleeping(const struct place *place)
{
	(void)place;
	return beside_ns(false);
}

static const struct bench rows[] = {
	{.name = "token: fence of all threads, another runs (sleeps)",
	 .unit = "ns",
	 .peer = "the same, the other sleeps",
	 .lacks = token_loop_lacks_membarrier,
	 .ours = beside_running,
	 .theirs = beside_sleeping},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows)};
BENCH_GROUP(group)
