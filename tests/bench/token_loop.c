#include "token_loop.h"

#include "fence.h"

#include <pthread.h>
#include <string.h>
#include <sys/single_threaded.h>

double token_loop_ns(token_loop *loop, long count)
{
	int64_t start = bench_now_ns();

	loop(count);
	return (double)(bench_now_ns() - start) / (double)count;
}

static void *do_nothing(void *arg)
{
	return arg;
}

void token_loop_alone(const struct place *place)
{
	(void)place;
	if (!__libc_single_threaded)
		bench_fail("a row before this one has started a thread");
}

void token_loop_threaded(const struct place *place)
{
	pthread_t thread;
	int code = pthread_create(&thread, NULL, do_nothing, NULL);

	(void)place;
	if (code)
		bench_fail("cannot start a thread: %s", strerror(code));
	(void)pthread_join(thread, NULL);
}

const char *token_loop_lacks_membarrier(void)
{
	return fence_is_offered() ? NULL : "membarrier(2)";
}

void token_loop_atomic_add(long count)
{
	static long word;

	for (long i = 0; i < count; i++)
		(void)__atomic_fetch_add(&word, 1, __ATOMIC_ACQ_REL);
}

void token_loop_clock(long count)
{
	for (long i = 0; i < count; i++)
		(void)bench_now_ns();
}
