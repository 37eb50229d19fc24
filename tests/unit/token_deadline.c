/* Deadlines: never early, in time, stopped and set anew; by a clock that the test moves, where it can. */
#include "token_calls.h"
#include "token_counted.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MANY = 300,
};

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

static struct cancel_source source;
static struct cancel_deadline deadline;
static struct token_calls calls;
static int64_t time_ns;

static int64_t plugged_now_ns(void *arg)
{
	return *(int64_t *)arg;
}

static const struct cancel_clock plugged_clock = {plugged_now_ns, &time_ns};

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

static bool is_cancelled(const struct cancel_source *one)
{
	return cancel_token_requested(cancel_source_token(one));
}

/* Let time go on to `at_ns`; the number of deadlines that fired. */
static int time_is(int64_t at_ns)
{
	time_ns = at_ns;
	return cancel_clock_advanced();
}

static int set(struct cancel_deadline *one, int64_t delay_ns)
{
	return cancel_deadline_set(one, &source, delay_ns, NULL);
}

/* --- with a clock that is plugged in ------------------------------------------------------------------ */

static void plug(void)
{
	time_ns = 1000 * CANCEL_SECOND;
	cr_assert_eq(cancel_clock_plug(&plugged_clock), 0);
}

TestSuite(token_deadline, .init = plug, .timeout = 60);

#define START (1000 * CANCEL_SECOND)

Test(token_deadline, it_cancels_in_time_and_not_before)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(set(&deadline, 5 * CANCEL_SECOND), 0);
	cr_assert_eq(cancel_clock_advanced(), 0);
	cr_assert_eq(time_is(START + 5 * CANCEL_SECOND - 1), 0);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(time_is(START + 5 * CANCEL_SECOND), 1);
	cr_assert(is_cancelled(&source));
	EXPECT_CALLS("1", &calls);
	cr_assert(pthread_equal(calls.threads[0], pthread_self()),
		  "by the thread that says that time goes on");
	cr_assert_eq(cancel_token_cause(token_of_source()), cancel_cause_deadline());
	cr_assert_eq(cancel_token_origin(token_of_source()), &source);
	cr_assert_eq(cancel_token_error(token_of_source()), -ETIMEDOUT);
	cr_assert_eq(time_is(START + 100 * CANCEL_SECOND), 0, "once");
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_deadline, time_that_passes_fires_nothing_before_somebody_says_so)
{
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	time_ns += 10 * CANCEL_SECOND;
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), 0, "it is due");
	cr_assert_eq(cancel_clock_advanced(), 1);
	cr_assert(is_cancelled(&source));
}

Test(token_deadline, it_needs_no_thread)
{
	int threads = token_count_threads();

	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(token_count_threads(), threads);
}

Test(token_deadline, the_cause_that_is_given_is_told)
{
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, &quota), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
	cr_assert_eq(cancel_token_error(token_of_source()), -ECANCELED);
}

/* The name of the source is for who cancels without a cause; a deadline has one. */
Test(token_deadline, its_cause_stands_before_the_sources_own)
{
	cancel_source_init(&source, &quota);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_token_cause(token_of_source()), cancel_cause_deadline());
}

Test(token_deadline, one_that_comes_after_a_cancel_changes_nothing)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	(void)time_is(START + CANCEL_SECOND);
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
	EXPECT_CALLS("1", &calls);
}

Test(token_deadline, it_reaches_the_children)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, token_of_source()), 0);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), cancel_cause_deadline());
	cr_assert_eq(cancel_token_origin(cancel_source_token(&child)), &source);
	cr_assert_eq(cancel_linked_fini(&child, &link, 1), 0);
}

/* --- stopping and setting anew ------------------------------------------------------------------------ */

Test(token_deadline, one_that_is_stopped_does_not_fire)
{
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 0);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + 2 * CANCEL_SECOND), 1, "it can be set again");
}

Test(token_deadline, stopping_one_that_fired_says_so)
{
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 0);
}

Test(token_deadline, a_zeroed_one_is_not_armed)
{
	struct cancel_deadline zeroed, initialised = CANCEL_DEADLINE_INIT;

	memset(&zeroed, 0, sizeof(zeroed));
	cr_assert_eq(cancel_deadline_stop(&zeroed), 0);
	cr_assert_eq(cancel_deadline_stop(&initialised), 0);
	cr_assert_eq(cancel_deadline_remaining_ns(&zeroed), CANCEL_FOREVER);
	cr_assert_eq(cancel_deadline_at_ns(&zeroed), CANCEL_FOREVER);
}

Test(token_deadline, one_that_is_set_anew_forgets_its_old_time)
{
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(set(&deadline, 3 * CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + 2 * CANCEL_SECOND), 0);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(set(&deadline, CANCEL_MILLISECOND), 0);
	cr_assert_eq(time_is(START + 2 * CANCEL_SECOND + CANCEL_MILLISECOND), 1);
	cr_assert(is_cancelled(&source));
	cr_assert_eq(time_is(START + 4 * CANCEL_SECOND), 0);
}

Test(token_deadline, one_that_is_set_anew_may_have_another_source_and_cause)
{
	struct cancel_source other = CANCEL_SOURCE_INIT;

	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_deadline_set(&deadline, &other, CANCEL_SECOND, &quota), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(cancel_token_cause(cancel_source_token(&other)), &quota);
}

Test(token_deadline, for_ever_only_stops_it)
{
	cr_assert_eq(set(&deadline, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_deadline_stop(&deadline), 0);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(set(&deadline, CANCEL_FOREVER), 0);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), CANCEL_FOREVER);
	cr_assert_eq(cancel_deadline_at_ns(&deadline), CANCEL_FOREVER);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_deadline_set_at(&deadline, &source, CANCEL_FOREVER, NULL), 0);
	cr_assert_eq(time_is(INT64_MAX), 0);
	cr_assert(!is_cancelled(&source));
}

/* The sum with the time that it is must not run over. */
Test(token_deadline, a_very_long_time_is_not_a_short_one)
{
	static const int64_t delays_ns[] = {CANCEL_FOREVER - 1, CANCEL_FOREVER - 1000 * CANCEL_SECOND,
					    CANCEL_FOREVER / 2};

	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		cr_assert_eq(set(&deadline, delays_ns[i]), 0);
		cr_assert_eq(time_is(START + 3600 * CANCEL_SECOND), 0);
		cr_assert(!is_cancelled(&source));
		cr_assert_gt(cancel_deadline_remaining_ns(&deadline), 3600 * CANCEL_SECOND);
		time_ns = START;
		(void)cancel_deadline_stop(&deadline);
	}
}

static void expect_marked_now(int64_t delay_ns)
{
	struct cancel_source late = CANCEL_SOURCE_INIT;
	struct cancel_deadline at_once = CANCEL_DEADLINE_INIT;
	struct token_callee callee;

	atomic_store(&calls.count, 0);
	(void)token_callee_add(&callee, cancel_source_token(&late), &calls, 1);
	cr_assert_eq(cancel_deadline_set(&at_once, &late, delay_ns, NULL), 0);
	cr_assert(is_cancelled(&late), "a delay of %lld ns", (long long)delay_ns);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&late)), cancel_cause_deadline());
	cr_assert_eq(cancel_deadline_remaining_ns(&at_once), 0);
	(void)cancel_clock_advanced();
	cr_assert_eq(cancel_source_quiesce(&late, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_deadline_stop(&at_once), 0);
	cr_assert_eq(cancel_source_fini(&late), 0);
}

Test(token_deadline, no_time_is_here_and_now)
{
	expect_marked_now(0);
	expect_marked_now(-1);
	expect_marked_now(INT64_MIN);
}

/* What was armed for later does not fire any more. */
Test(token_deadline, no_time_sets_an_armed_one_anew)
{
	struct cancel_source other = CANCEL_SOURCE_INIT;

	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_deadline_set(&deadline, &other, 0, NULL), 0);
	cr_assert(is_cancelled(&other));
	cr_assert_eq(cancel_deadline_stop(&deadline), 0, "it has fired");
	(void)time_is(START + 10 * CANCEL_SECOND);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(cancel_source_fini(&other), 0);
}

Test(token_deadline, it_can_be_set_at_a_point_in_time)
{
	cr_assert_eq(cancel_deadline_set_at(&deadline, &source, START + CANCEL_SECOND, &quota), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND - 1), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
}

Test(token_deadline, a_point_in_the_past_is_due_at_once)
{
	static const int64_t past_ns[] = {START, START - 1, 0, INT64_MIN};

	for (size_t i = 0; i < sizeof(past_ns) / sizeof(past_ns[0]); i++) {
		cancel_source_init(&source, NULL);
		cr_assert_eq(cancel_deadline_set_at(&deadline, &source, past_ns[i], NULL), 0);
		cr_assert_eq(cancel_deadline_remaining_ns(&deadline), 0);
		cr_assert_eq(cancel_clock_advanced(), 1);
		cr_assert(is_cancelled(&source), "at %lld ns", (long long)past_ns[i]);
		cr_assert_eq(cancel_source_fini(&source), 0);
	}
}

Test(token_deadline, it_says_how_much_time_is_left)
{
	cr_assert_eq(set(&deadline, 5 * CANCEL_SECOND), 0);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), 5 * CANCEL_SECOND);
	cr_assert_eq(cancel_deadline_at_ns(&deadline), START + 5 * CANCEL_SECOND);
	(void)time_is(START + 2 * CANCEL_SECOND);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), 3 * CANCEL_SECOND);
	cr_assert_eq(cancel_deadline_at_ns(&deadline), START + 5 * CANCEL_SECOND);
	(void)time_is(START + 5 * CANCEL_SECOND);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), 0);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	(void)cancel_deadline_stop(&deadline);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), CANCEL_FOREVER);
	cr_assert_eq(cancel_deadline_at_ns(&deadline), CANCEL_FOREVER);
}

/* --- a counted cause --------------------------------------------------------------------------------- */

Test(token_deadline, it_holds_a_counted_cause_while_it_is_armed)
{
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, &counted.cause), 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(counted.released, 0);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
	cr_assert_eq(counted.released, 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 0);
	token_counted_make(&counted);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, &counted.cause), 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, NULL), 0);
	cr_assert_eq(counted.released, 1, "set anew, with another");
	token_counted_make(&counted);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, &counted.cause), 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_FOREVER, NULL), 0);
	cr_assert_eq(counted.released, 1, "only stopped");
}

Test(token_deadline, it_hands_a_counted_cause_on_to_the_source)
{
	static const int64_t delays_ns[] = {CANCEL_SECOND, 0};

	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		struct token_counted counted;

		token_counted_make(&counted);
		cancel_source_init(&source, NULL);
		cr_assert_eq(cancel_deadline_set(&deadline, &source, delays_ns[i], &counted.cause), 0);
		cancel_cause_drop(&counted.cause);
		(void)time_is(time_ns + 2 * CANCEL_SECOND);
		cr_assert_eq(cancel_token_cause(token_of_source()), &counted.cause);
		cr_assert_eq(counted.released, 0);
		cr_assert_eq(cancel_deadline_stop(&deadline), 0);
		cr_assert_eq(counted.released, 0);
		cr_assert_eq(cancel_source_fini(&source), 0);
		cr_assert_eq(counted.released, 1);
	}
}

Test(token_deadline, one_that_comes_after_a_cancel_drops_its_counted_cause)
{
	struct token_counted counted;

	token_counted_make(&counted);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_SECOND, &counted.cause), 0);
	cancel_cause_drop(&counted.cause);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(counted.released, 0);
	(void)time_is(START + CANCEL_SECOND);
	cr_assert_eq(counted.released, 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(counted.released, 1);
}

/* --- many --------------------------------------------------------------------------------------------- */

struct timed {
	struct cancel_source source;
	struct cancel_deadline deadline;
	int64_t at_ns; /* INT64_MAX: not armed */
};

static struct timed many[MANY];

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

/* In steps of time: what is due has fired, and nothing else. */
static void expect_all_in_time(uint32_t *random, int64_t end_ns)
{
	while (time_ns < end_ns) {
		int fired, expected = 0;

		time_ns += next_random(random) % 40;
		for (int i = 0; i < MANY; i++)
			expected += many[i].at_ns <= time_ns && !is_cancelled(&many[i].source);
		fired = cancel_clock_advanced();
		cr_assert_eq(fired, expected, "%d fired instead of %d", fired, expected);
		for (int i = 0; i < MANY; i++)
			cr_assert_eq(is_cancelled(&many[i].source), many[i].at_ns <= time_ns);
	}
}

/* Set, stopped and set anew in any order. */
Test(token_deadline, many_fire_each_in_its_time)
{
	for (uint32_t seed = 1; seed <= 20; seed++) {
		uint32_t random = seed;

		time_ns = START;
		memset(many, 0, sizeof(many));
		for (int i = 0; i < MANY; i++)
			many[i].at_ns = INT64_MAX;
		for (int turn = 0; turn < 4 * MANY; turn++) {
			struct timed *one = &many[next_random(&random) % MANY];
			bool is_armed = one->at_ns != INT64_MAX;

			if (next_random(&random) % 4 == 0) {
				cr_assert_eq(cancel_deadline_stop(&one->deadline), is_armed);
				one->at_ns = INT64_MAX;
			} else {
				one->at_ns = START + 1 + next_random(&random) % 1000;
				cr_assert_eq(cancel_deadline_set_at(&one->deadline, &one->source, one->at_ns,
								    NULL),
					     0);
			}
		}
		expect_all_in_time(&random, START + 1000);
		for (int i = 0; i < MANY; i++) {
			cr_assert_eq(cancel_deadline_stop(&many[i].deadline), 0);
			cr_assert_eq(cancel_source_fini(&many[i].source), 0);
		}
	}
}

Test(token_deadline, a_source_may_have_several)
{
	struct cancel_deadline first = CANCEL_DEADLINE_INIT, second = CANCEL_DEADLINE_INIT;

	cr_assert_eq(cancel_deadline_set(&second, &source, 2 * CANCEL_SECOND, NULL), 0);
	cr_assert_eq(cancel_deadline_set(&first, &source, CANCEL_SECOND, &quota), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
	cr_assert_eq(cancel_deadline_stop(&second), 1);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* --- callbacks ---------------------------------------------------------------------------------------- */

static void look_at_all(struct token_callee *callee)
{
	for (int i = 0; i < 10; i++)
		callee->result +=
			is_cancelled(&many[i].source) && cancel_deadline_stop(&many[i].deadline) == 0;
}

Test(token_deadline, all_that_is_due_is_marked_before_the_first_callback)
{
	struct token_callee callees[10];

	for (int i = 0; i < 10; i++) {
		(void)token_callee_add_act(&callees[i], cancel_source_token(&many[i].source), &calls, i,
					   look_at_all, NULL);
		cr_assert_eq(cancel_deadline_set(&many[i].deadline, &many[i].source, CANCEL_SECOND + i, NULL),
			     0);
	}
	cr_assert_eq(time_is(START + 2 * CANCEL_SECOND), 10);
	cr_assert_eq(atomic_load(&calls.count), 10);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(callees[i].result, 10, "callback %d saw %d", i, callees[i].result);
}

static void set_on_another(struct token_callee *callee)
{
	callee->result = cancel_deadline_set(&deadline, &many[0].source, CANCEL_SECOND, NULL);
}

Test(token_deadline, a_callback_can_set_its_deadline_on_another_source)
{
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, set_on_another, NULL);
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(time_is(START + CANCEL_SECOND), 1);
	cr_assert_eq(callee.result, 0);
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), CANCEL_SECOND);
	cr_assert_eq(time_is(START + 2 * CANCEL_SECOND), 1);
	cr_assert(is_cancelled(&many[0].source));
}

struct heap_timed {
	struct cancel_source source;
	struct cancel_deadline deadline;
	struct token_callee callee;
};

static void end_and_free(struct token_callee *callee)
{
	struct heap_timed *timed = callee->arg;

	(void)cancel_deadline_stop(&timed->deadline);
	if (!cancel_source_fini(&timed->source))
		free(timed);
}

Test(token_deadline, a_callback_can_free_source_and_deadline)
{
	for (int i = 0; i < 20; i++) {
		struct heap_timed *timed = calloc(1, sizeof(*timed));

		(void)token_callee_add_act(&timed->callee, cancel_source_token(&timed->source), &calls, i,
					   end_and_free, timed);
		cr_assert_eq(cancel_deadline_set(&timed->deadline, &timed->source, CANCEL_SECOND, NULL), 0);
	}
	cr_assert_eq(time_is(START + CANCEL_SECOND), 20);
	cr_assert_eq(atomic_load(&calls.count), 20);
}

/* --- the clock ---------------------------------------------------------------------------------------- */

Test(token_deadline, the_clock_is_the_one_that_is_plugged_in)
{
	cr_assert_eq(cancel_clock_now_ns(), START);
	time_ns = 7;
	cr_assert_eq(cancel_clock_now_ns(), 7);
}

Test(token_deadline, the_clock_is_not_changed_while_a_deadline_is_armed)
{
	cr_assert_eq(set(&deadline, CANCEL_SECOND), 0);
	cr_assert_eq(cancel_clock_plug(NULL), -EBUSY);
	cr_assert_eq(cancel_clock_plug(&plugged_clock), -EBUSY);
	cr_assert_eq(cancel_clock_now_ns(), START);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
	cr_assert_eq(cancel_clock_plug(NULL), 0);
	cr_assert_eq(cancel_clock_plug(NULL), 0);
	cr_assert_eq(cancel_clock_advanced(), 0, "it goes on by itself");
}

/* What was marked here and now must not be lost with the clock. */
Test(token_deadline, the_clock_is_not_changed_while_something_waits_for_it)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(set(&deadline, 0), 0);
	cr_assert_eq(cancel_clock_plug(NULL), -EBUSY);
	(void)cancel_clock_advanced();
	EXPECT_CALLS("1", &calls);
	cr_assert_eq(cancel_clock_plug(NULL), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* Waits are by the real clock always. */
Test(token_deadline, the_clock_that_is_plugged_in_is_not_that_of_waits)
{
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_MILLISECOND), 0);
}

Test(token_deadline, what_a_signal_handler_cancelled_is_delivered_with_the_clock)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(cancel_source_cancel_from_signal(&source, NULL), 1);
	EXPECT_CALLS("", &calls);
	(void)cancel_clock_advanced();
	EXPECT_CALLS("1", &calls);
}

/* --- in real time ------------------------------------------------------------------------------------- */

TestSuite(token_deadline_real, .timeout = 60);

static int64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CANCEL_SECOND + now.tv_nsec;
}

Test(token_deadline_real, the_clock_is_the_monotonic_one)
{
	int64_t before_ns = monotonic_ns(), now_ns = cancel_clock_now_ns();

	cr_assert(before_ns <= now_ns && now_ns <= monotonic_ns());
	cr_assert_eq(cancel_clock_advanced(), 0);
}

static void note_time(struct token_callee *callee)
{
	*(int64_t *)callee->arg = monotonic_ns();
}

/* DESIGN.md, invariant 32 */
Test(token_deadline_real, it_is_never_early)
{
	static const int64_t delays_ns[] = {
		30 * CANCEL_MILLISECOND, 1,         999, 1500000, 777777, 20 * CANCEL_MILLISECOND,
		CANCEL_MILLISECOND,      100 * 1000};
	enum { COUNT = sizeof(delays_ns) / sizeof(delays_ns[0]) };
	struct token_callee callees[COUNT];
	int64_t begun_ns[COUNT], fired_ns[COUNT];

	for (int i = 0; i < COUNT; i++) {
		(void)token_callee_add_act(&callees[i], cancel_source_token(&many[i].source), &calls, i,
					   note_time, &fired_ns[i]);
		begun_ns[i] = monotonic_ns();
		cr_assert_eq(cancel_deadline_set(&many[i].deadline, &many[i].source, delays_ns[i], NULL), 0);
	}
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(cancel_token_wait(cancel_source_token(&many[i].source), CANCEL_FOREVER), 1);
		cr_assert_geq(monotonic_ns() - begun_ns[i], delays_ns[i]);
		cr_assert_eq(cancel_source_quiesce(&many[i].source, CANCEL_FOREVER), 0);
		cr_assert_geq(fired_ns[i] - begun_ns[i], delays_ns[i], "deadline %d came early", i);
		cr_assert_eq(cancel_deadline_stop(&many[i].deadline), 0);
		cr_assert_eq(cancel_source_fini(&many[i].source), 0);
	}
	for (int i = 0; i < COUNT; i++)
		cr_assert(!pthread_equal(calls.threads[i], pthread_self()), "the dispatcher calls");
}

/* One that is due earlier than what the dispatcher sleeps for wakes it. */
Test(token_deadline_real, a_later_one_does_not_hold_up_an_earlier_one)
{
	struct cancel_deadline far = CANCEL_DEADLINE_INIT;
	struct cancel_source never = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_deadline_set(&far, &never, 3600 * CANCEL_SECOND, NULL), 0);
	for (int i = 0; i < 5; i++) {
		cancel_source_init(&source, NULL);
		cr_assert_eq(set(&deadline, 2 * CANCEL_MILLISECOND), 0);
		cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1);
		cr_assert_eq(cancel_deadline_stop(&deadline), 0);
		cr_assert_eq(cancel_source_fini(&source), 0);
	}
	cr_assert(!is_cancelled(&never));
	cr_assert_eq(cancel_deadline_stop(&far), 1);
}

/* Stopped, it is not what the dispatcher wakes for; the next one is. */
Test(token_deadline_real, one_that_is_stopped_does_not_hide_the_next)
{
	struct cancel_deadline next = CANCEL_DEADLINE_INIT;
	struct cancel_source other = CANCEL_SOURCE_INIT;

	cr_assert_eq(set(&deadline, 2 * CANCEL_MILLISECOND), 0);
	cr_assert_eq(cancel_deadline_set(&next, &other, 10 * CANCEL_MILLISECOND, NULL), 0);
	if (cancel_deadline_stop(&deadline))
		cr_assert(!is_cancelled(&source));
	cr_assert_eq(cancel_token_wait(cancel_source_token(&other), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_source_fini(&other), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_deadline_real, no_time_is_here_and_now_and_called_by_the_dispatcher)
{
	struct token_callee callee;

	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	cr_assert_eq(set(&deadline, 0), 0);
	cr_assert(is_cancelled(&source));
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
	cr_assert(!pthread_equal(calls.threads[0], pthread_self()));
}

static void stop_at_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
}

/* Stopped too late: the end of the source waits for the callback that still runs. */
Test(token_deadline_real, after_a_stop_that_came_too_late_the_source_can_be_ended)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_at_gate, &gate);
	cr_assert_eq(set(&deadline, CANCEL_MILLISECOND), 0);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 0);
	memset(&deadline, 0xff, sizeof(deadline));
	cr_assert_eq(cancel_source_quiesce(&source, 0), -ETIMEDOUT);
	token_gate_open(&gate);
	cr_assert_eq(cancel_source_fini(&source), 0);
	memset(&source, 0xff, sizeof(source));
	EXPECT_CALLS("1", &calls);
}

Test(token_deadline_real, it_wakes_who_waits_without_any_callback)
{
	for (int i = 0; i < 10; i++) {
		cancel_source_init(&source, NULL);
		cr_assert_eq(set(&deadline, 100 * 1000), 0);
		cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1);
		cr_assert_eq(cancel_source_fini(&source), 0);
	}
}

/* The clock is not read for it: the dispatcher finds that it is past. */
Test(token_deadline_real, a_point_in_the_past_is_due_at_once)
{
	struct cancel_deadline far = CANCEL_DEADLINE_INIT;
	struct cancel_source never = CANCEL_SOURCE_INIT;

	cr_assert_eq(cancel_deadline_set(&far, &never, 3600 * CANCEL_SECOND, NULL), 0);
	cr_assert_eq(cancel_deadline_set_at(&deadline, &source, cancel_clock_now_ns() - 1, &quota), 0);
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
	cr_assert_eq(cancel_deadline_stop(&far), 1);
}
