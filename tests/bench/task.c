/*
 * The question that a task asks at its checkpoints: one at a time, and 10^8 times in a row, as a long loop of
 * a worker asks it, in which what is done at each tick of the clock and every 50 ms has its share.
 *
 * Everything is measured in children: a manager's thread would stay.
 */
#include "calls.h"
#include "child.h"
#include "fixture.h"
#include "peer_stop_token.h"
#include "seed.h"
#include "token_loop.h"

#include <time.h>

#define CHECKS            200000
#define CHECKS_BRIEF      50000
#define CHECK_REPETITIONS 201
#define WARM_UP           1000000
#define LONG_LOOP         100000000
#define LONG_LOOP_BRIEF   1000000
#define LONG_REPETITIONS  5

static const struct place *spool_place;

static void set_up(const struct place *place)
{
	(void)place;
	place_renew(place_of(PLACE_MEMORY));
	spool_place = place_of(PLACE_MEMORY);
}

/* --- loops -------------------------------------------------------------------------------------------- */

/* The same loops as the peer's, at the same alignment. */
static __attribute__((noinline, aligned(64))) bool ask_token(struct cancel_token *token, long count)
{
	for (long i = 0; i < count; i++) {
		__asm__ volatile("" : "+m"(*token));
		if (cancel_token_requested(*token))
			return true;
	}
	return false;
}

static __attribute__((noinline, aligned(64))) bool ask_task(struct cancel_task *task, long count)
{
	for (long i = 0; i < count; i++) {
		__asm__ volatile("" : "+r"(task)::"memory");
		if (cancel_task_checkpoint(task))
			return true;
	}
	return false;
}

static __attribute__((noinline, aligned(64))) bool ask_task_token(struct cancel_task *task, long count)
{
	struct cancel_token token = cancel_task_token(task);

	return ask_token(&token, count);
}

struct asking {
	bool (*ask)(struct cancel_task *task, long count);
	bool thread;
	long count;
};

/* Its thread, if it has one, on another processor, where it would be too if this one is busy asking. */
static struct cancel_manager *open_manager(bool thread)
{
	struct cancel_manager *manager;

	bench_pin(true);
	manager = fixture_manager(spool_place, "spool", thread, CANCEL_NOTICE_AUTO, 0);
	bench_pin(false);
	return manager;
}

static double ask_ns(const struct asking *asking)
{
	struct cancel_manager *manager = open_manager(asking->thread);
	struct cancel_task *task = fixture_begin(manager, 0, true);
	int64_t start_ns;
	double ns;

	(void)asking->ask(task, WARM_UP);
	calls_mark();
	start_ns = bench_now_ns();
	if (asking->ask(task, asking->count))
		bench_fail("a task reads cancelled, and nobody cancelled it");
	ns = (double)(bench_now_ns() - start_ns) / (double)asking->count;
	calls_mark();
	fixture_end(task, CANCEL_OUTCOME_FINISHED);
	(void)cancel_manager_close(manager);
	return ns;
}

#define ASKING(side, question, with_thread, full, brief)                                              \
	static double side##_here(const struct place *place)                                          \
	{                                                                                             \
		(void)place;                                                                          \
		return ask_ns(&(struct asking){question, with_thread, bench_count((full), (brief))}); \
	}                                                                                             \
	static double side(const struct place *place)                                                 \
	{                                                                                             \
		return child_value(side##_here, place);                                               \
	}

ASKING(token_thread, ask_task_token, true, CHECKS, CHECKS_BRIEF)
ASKING(checkpoint_thread, ask_task, true, CHECKS, CHECKS_BRIEF)
ASKING(long_thread, ask_task, true, LONG_LOOP, LONG_LOOP_BRIEF)
ASKING(long_alone, ask_task, false, LONG_LOOP, LONG_LOOP_BRIEF)

TOKEN_SIDE(check_stop_token, peer_stop_token_check, CHECKS, CHECKS_BRIEF)

static void look_at_coarse_clock(long count)
{
	struct timespec now;

	for (long i = 0; i < count; i++)
		(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
}

TOKEN_SIDE(long_stop_token, peer_stop_token_check, LONG_LOOP, LONG_LOOP_BRIEF)
TOKEN_SIDE(long_clock, look_at_coarse_clock, LONG_LOOP, LONG_LOOP_BRIEF)

static double python_ns(const struct place *place)
{
	(void)place;
	return seed_python_us(spool_place, "check-pending") * 1e3;
}

/* --- system calls ------------------------------------------------------------------------------------- */

static void ask_long(const void *arg)
{
	(void)ask_ns(arg);
}

static double count_calls(bool thread)
{
	const struct asking asking = {ask_task, thread, bench_count(LONG_LOOP, LONG_LOOP_BRIEF)};

	return (double)calls_count(ask_long, &asking);
}

static double calls_thread(const struct place *place)
{
	(void)place;
	return count_calls(true);
}

static double calls_alone(const struct place *place)
{
	(void)place;
	return count_calls(false);
}

/* --- rows --------------------------------------------------------------------------------------------- */

static const struct bench rows[] = {
	{.name = "task: its token, thread (libstdc++)",
	 .unit = "ns",
	 .repetitions = CHECK_REPETITIONS,
	 .peer = "stop_requested",
	 .budget = {RATIO(1)},
	 .ours = token_thread,
	 .theirs = check_stop_token},
	{.name = "task: checkpoint, thread (libstdc++)",
	 .unit = "ns",
	 .repetitions = CHECK_REPETITIONS,
	 .peer = "stop_requested",
	 .ours = checkpoint_thread,
	 .theirs = check_stop_token},
	{.name = "task: checkpoint, thread, each of 10^8",
	 .unit = "ns",
	 .repetitions = LONG_REPETITIONS,
	 .peer = "stop_requested",
	 .ours = long_thread,
	 .theirs = long_stop_token},
	{.name = "task: checkpoint, no thread, each of 10^8",
	 .unit = "ns",
	 .repetitions = LONG_REPETITIONS,
	 .peer = "a look at the coarse clock",
	 .budget = {VALUE(10)},
	 .ours = long_alone,
	 .theirs = long_clock},
	{.name = "task: checkpoint, no thread, each (Python)",
	 .unit = "ns",
	 .repetitions = LONG_REPETITIONS,
	 .peer = "JSON file from Python",
	 .budget = {RATIO(0.005)},
	 .needs = "python3",
	 .ours = long_alone,
	 .theirs = python_ns},
	{.name = "task: 10^8 checkpoints, thread, system calls",
	 .unit = "calls",
	 .repetitions = 1,
	 .ours = calls_thread},
	{.name = "task: 10^8 checkpoints, no thread, system calls",
	 .unit = "calls",
	 .repetitions = 1,
	 .ours = calls_alone},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .set_up = set_up};
BENCH_GROUP(group)
