/* Cancelling, by the callback. To register them is not timed, and neither is to end what was cancelled. */
#include "fence.h"
#include "peer_stop_token.h"
#include "process.h"
#include "token_loop.h"

#include <cancel/registration.h>
#include <cancel/source.h>

#include <stdlib.h>
#include <sys/mman.h>

/* Small sources are cancelled several in a row: a look at the clock costs too. */
#define CALLBACKS_AT_ONCE 1000
#define CALLBACKS_TIMED   200000
#define CALLBACKS_BRIEF   20000

/* --- our side ----------------------------------------------------------------------------------------- */

struct crowd {
	struct cancel_source *sources;
	struct cancel_registration *registrations; /* one array */
	long source_count, count, calls;
};

/* Called through the pointer in the node: there is nothing to inline. */
static void count_call(void *arg, struct cancel_token token)
{
	(void)token;
	++*(long *)arg;
}

static void *crowd_new(long sources, long callbacks)
{
	struct crowd *crowd = calloc(1, sizeof *crowd);

	if (crowd) {
		crowd->source_count = sources;
		crowd->count = sources * callbacks;
		crowd->sources = calloc((size_t)sources, sizeof *crowd->sources);
		crowd->registrations = malloc((size_t)crowd->count * sizeof *crowd->registrations);
	}
	if (!crowd || !crowd->sources || !crowd->registrations)
		bench_fail("out of memory");
	for (long i = 0; i < crowd->count; i++)
		(void)cancel_registration_add(&crowd->registrations[i],
					      cancel_source_token(&crowd->sources[i / callbacks]), count_call,
					      &crowd->calls);
	return crowd;
}

static void crowd_cancel(void *arg)
{
	struct crowd *crowd = arg;

	for (long i = 0; i < crowd->source_count; i++)
		(void)cancel_source_cancel(&crowd->sources[i], NULL);
}

static void crowd_delete(void *arg)
{
	struct crowd *crowd = arg;

	if (crowd->calls != crowd->count)
		bench_fail("%ld of %ld callbacks were called", crowd->calls, crowd->count);
	for (long i = 0; i < crowd->source_count; i++)
		(void)cancel_source_fini(&crowd->sources[i]);
	free(crowd->registrations);
	free(crowd->sources);
	free(crowd);
}

/* --- both sides --------------------------------------------------------------------------------------- */

struct side {
	void *(*make)(long sources, long callbacks);
	void (*cancel)(void *crowd);
	void (*end)(void *crowd);
};

static int64_t cancel_once_ns(const struct side *side, long sources, long callbacks)
{
	void *crowd = side->make(sources, callbacks);
	int64_t start = bench_now_ns(), ns;

	side->cancel(crowd);
	ns = bench_now_ns() - start;
	side->end(crowd);
	return ns;
}

static double each_ns(const struct side *side, long callbacks)
{
	long sources = callbacks < CALLBACKS_AT_ONCE ? CALLBACKS_AT_ONCE / callbacks : 1;
	long wanted = bench_count(CALLBACKS_TIMED, CALLBACKS_BRIEF), done = 0;
	int64_t ns = 0;

	for (; done < wanted; done += sources * callbacks)
		ns += cancel_once_ns(side, sources, callbacks);
	return (double)ns / (double)done;
}

static double ours_ns(long callbacks)
{
	static const struct side ours = {crowd_new, crowd_cancel, crowd_delete};

	return each_ns(&ours, callbacks);
}

static double stop_token_ns(long callbacks)
{
	static const struct side theirs = {peer_stop_token_crowd_new, peer_stop_token_crowd_cancel,
					   peer_stop_token_crowd_delete};

	return each_ns(&theirs, callbacks);
}

/* --- without membarrier ------------------------------------------------------------------------------- */

static void measure_refused(const void *arg)
{
	double *const *ns = arg;

	fence_give_up();
	**ns = ours_ns(CALLBACKS_AT_ONCE);
}

/* In a child, because giving up cannot be undone. */
static double refused_ns(const struct place *place)
{
	double *shared, ns;

	(void)place;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_fail("out of memory");
	(void)process_fork_time_ns(measure_refused, &shared);
	ns = *shared;
	(void)munmap(shared, sizeof *shared);
	return ns;
}

/* --- rows --------------------------------------------------------------------------------------------- */

#define CROWD_OF(size)                                             \
	static double ours_##size(const struct place *place)       \
	{                                                          \
		(void)place;                                       \
		return ours_ns(size);                              \
	}                                                          \
	static double stop_token_##size(const struct place *place) \
	{                                                          \
		(void)place;                                       \
		return stop_token_ns(size);                        \
	}
CROWD_OF(1)
CROWD_OF(100)
CROWD_OF(1000)
CROWD_OF(1000000)

#define ROW(size, text, limit)                                                                               \
	{                                                                                                    \
		.name = "token: cancel, each of " text " (libstdc++)", .unit = "ns", .peer = "request_stop", \
		.budget = {limit}, .repetitions = (size) < CALLBACKS_TIMED ? TOKEN_REPETITIONS : 0,          \
		.ours = ours_##size, .theirs = stop_token_##size                                             \
	}
/* clang-format off */
#define NO_BUDGET {BUDGET_NONE, 0}
/* clang-format on */

static const struct bench rows[] = {
	ROW(1, "1", NO_BUDGET),
	ROW(100, "100", RATIO(0.5)),
	ROW(1000, "1,000", RATIO(0.5)),
	ROW(1000000, "1,000,000", RATIO(0.5)),
	{.name = "token: cancel, each of 1,000, no membarrier (with it)",
	 .unit = "ns",
	 .peer = "the same, with membarrier",
	 .repetitions = TOKEN_REPETITIONS,
	 .lacks = token_loop_lacks_membarrier,
	 .ours = refused_ns,
	 .theirs = ours_1000},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .set_up = token_loop_alone};
BENCH_GROUP(group)

static const struct bench threaded_rows[] = {
	ROW(1, "1, threaded", NO_BUDGET),
	ROW(1000, "1,000, threaded", NO_BUDGET),
};
static struct bench_group threaded = {
	.rows = threaded_rows, .count = COUNT(threaded_rows), .set_up = token_loop_threaded};
BENCH_GROUP(threaded)
