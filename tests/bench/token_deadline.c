/* Deadlines that are set and stopped again, as most are. */
#include "peer_program.h"
#include "token_loop.h"

#include <cancel/clock.h>
#include <cancel/deadline.h>
#include <cancel/dispatcher.h>
#include <cancel/source.h>

#define OPERATIONS       100000
#define OPERATIONS_BRIEF 5000
#define DELAY_NS         (30 * CANCEL_SECOND)
#define STANDING         10000

static struct cancel_source source = CANCEL_SOURCE_INIT;

static void must(int code)
{
	if (code < 0)
		bench_fail("cannot set a deadline: %d", code);
}

static void set(long count)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	for (long i = 0; i < count; i++) {
		must(cancel_deadline_set(&deadline, &source, DELAY_NS, NULL));
		(void)cancel_deadline_stop(&deadline);
	}
}

static void set_at(long count)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	int64_t at_ns = cancel_clock_now_ns() + DELAY_NS;

	for (long i = 0; i < count; i++) {
		must(cancel_deadline_set_at(&deadline, &source, at_ns + i, NULL));
		(void)cancel_deadline_stop(&deadline);
	}
}

TOKEN_SIDE(set_ours, set, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(set_clock, token_loop_clock, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(set_at_ours, set_at, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(set_at_bare, token_loop_atomic_add, OPERATIONS, OPERATIONS_BRIEF)

static double set_go(const struct place *place)
{
	(void)place;
	return peer_program_ns(PEER_GO, "timeout");
}

static void tear_down(void)
{
	if (cancel_dispatcher_stop() < 0)
		bench_fail("a deadline is still armed");
}

static const struct bench rows[] = {
	{.name = "token: deadline, set + stop (clock)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "clock_gettime",
	 .budget = {VALUE(40)},
	 .ours = set_ours,
	 .theirs = set_clock},
	{.name = "token: deadline, set + stop (Go)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "context.WithTimeout, cancel",
	 .lacks = peer_program_lacks_go,
	 .ours = set_ours,
	 .theirs = set_go},
	{.name = "token: deadline, set at + stop (bare)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "one atomic add",
	 .budget = {VALUE(40)},
	 .ours = set_at_ours,
	 .theirs = set_at_bare},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .set_up = token_loop_threaded, .tear_down = tear_down};
BENCH_GROUP(group)

/* --- many that stand ---------------------------------------------------------------------------------- */

static struct cancel_deadline standing[STANDING];

static void set_up_many(const struct place *place)
{
	int64_t at_ns = cancel_clock_now_ns() + DELAY_NS;

	token_loop_threaded(place);
	for (long i = 0; i < STANDING; i++)
		must(cancel_deadline_set_at(&standing[i], &source, at_ns + i, NULL));
}

static void tear_down_many(void)
{
	for (long i = 0; i < STANDING; i++)
		(void)cancel_deadline_stop(&standing[i]);
	tear_down();
}

/* Always the one that is due next, as time-outs of connections are put off. */
static void put_off(long count)
{
	static long next;

	for (long i = 0; i < count; i++, next = (next + 1) % STANDING)
		must(cancel_deadline_set(&standing[next], &source, DELAY_NS, NULL));
}

TOKEN_SIDE(put_off_ours, put_off, OPERATIONS, OPERATIONS_BRIEF)

static const struct bench many_rows[] = {
	{.name = "token: deadline, set + stop, 10,000 stand (clock)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "clock_gettime",
	 .ours = set_ours,
	 .theirs = set_clock},
	{.name = "token: deadline, first of 10,000 put off (clock)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "clock_gettime",
	 .ours = put_off_ours,
	 .theirs = set_clock},
};
static struct bench_group many = {
	.rows = many_rows, .count = COUNT(many_rows), .set_up = set_up_many, .tear_down = tear_down_many};
BENCH_GROUP(many)
