/* Threads that register and unregister on one source, each as fast as it can. */
#include "peer_stop_token.h"
#include "token_loop.h"

#include <cancel/registration.h>
#include <cancel/source.h>

#include <pthread.h>
#include <string.h>

#define THREADS_MAX      4
#define OPERATIONS       1000000 /* of each thread: many times what the scheduler gives one at a time */
#define OPERATIONS_BRIEF 5000

static void do_nothing(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

/* Against false sharing the node is the thread's own, on its stack, as the peer's is. */
static void enlist(void *source, long count)
{
	struct cancel_registration registration;

	for (long i = 0; i < count; i++) {
		(void)cancel_registration_add(&registration, cancel_source_token(source), do_nothing, NULL);
		(void)cancel_registration_remove(&registration);
	}
}

/* --- both sides --------------------------------------------------------------------------------------- */

struct crew {
	void (*work)(void *source, long count);
	void *source;
	long count;
	pthread_barrier_t start;
};

struct worker {
	struct crew *crew;
	unsigned number;
	pthread_t thread;
	int64_t start_ns, end_ns;
};

static void *run(void *arg)
{
	struct worker *worker = arg;

	bench_spread(worker->number);
	(void)pthread_barrier_wait(&worker->crew->start);
	worker->start_ns = bench_now_ns();
	worker->crew->work(worker->crew->source, worker->crew->count);
	worker->end_ns = bench_now_ns();
	return NULL;
}

static void start(struct worker *worker, struct crew *crew, unsigned number)
{
	int code;

	*worker = (struct worker){.crew = crew, .number = number};
	code = pthread_create(&worker->thread, NULL, run, worker);
	if (code)
		bench_fail("cannot start a thread: %s", strerror(code));
}

/* From the first one's start to the last one's end, by the number of operations of one thread. */
static double each_ns(void (*work)(void *source, long count), void *source, unsigned threads)
{
	struct crew crew = {
		.work = work, .source = source, .count = bench_count(OPERATIONS, OPERATIONS_BRIEF)};
	struct worker workers[THREADS_MAX];
	int64_t first_ns = INT64_MAX, last_ns = 0;

	(void)pthread_barrier_init(&crew.start, NULL, threads);
	for (unsigned i = 0; i < threads; i++)
		start(&workers[i], &crew, i);
	for (unsigned i = 0; i < threads; i++) {
		(void)pthread_join(workers[i].thread, NULL);
		first_ns = workers[i].start_ns < first_ns ? workers[i].start_ns : first_ns;
		last_ns = workers[i].end_ns > last_ns ? workers[i].end_ns : last_ns;
	}
	(void)pthread_barrier_destroy(&crew.start);
	return (double)(last_ns - first_ns) / (double)crew.count;
}

static double ours_ns(unsigned threads)
{
	/* A line of its own, as the heap gives the peer's. */
	static _Alignas(64) struct cancel_source source;
	double ns;

	cancel_source_init(&source, NULL);
	ns = each_ns(enlist, &source, threads);
	(void)cancel_source_fini(&source);
	return ns;
}

static double stop_token_ns(unsigned threads)
{
	void *source = peer_stop_token_new();
	double ns = each_ns(peer_stop_token_register, source, threads);

	peer_stop_token_delete(source);
	return ns;
}

/* --- rows --------------------------------------------------------------------------------------------- */

static double two_ours(const struct place *place)
{
	(void)place;
	return ours_ns(2);
}

static double two_stop_token(const struct place *place)
{
	(void)place;
	return stop_token_ns(2);
}

static double four_ours(const struct place *place)
{
	(void)place;
	return ours_ns(4);
}

static double four_stop_token(const struct place *place)
{
	(void)place;
	return stop_token_ns(4);
}

static const struct bench rows[] = {
	{.name = "token: register + unregister, 2 threads (libstdc++)",
	 .unit = "ns",
	 .peer = "stop_callback, made and dropped",
	 .budget = {RATIO(1)},
	 .ours = two_ours,
	 .theirs = two_stop_token},
	{.name = "token: register + unregister, 4 threads (libstdc++)",
	 .unit = "ns",
	 .peer = "stop_callback, made and dropped",
	 .budget = {RATIO(1)},
	 .ours = four_ours,
	 .theirs = four_stop_token},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows)};
BENCH_GROUP(group)
