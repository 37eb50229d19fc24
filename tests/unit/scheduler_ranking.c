/* The order in which a scheduler's tasks are due, beside a plain list. */
#include "pool.h"

#include <criterion/criterion.h>

enum {
	JOBS = 200,
	STEPS = 20000,
};

TestSuite(scheduler_ranking, .timeout = 60);

static struct job jobs[JOBS];
static struct rank ranks[JOBS];
static bool is_in[JOBS];
static struct ranking ranking;
static unsigned random_state = 1;

static unsigned pick(unsigned count)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 16) % count;
}

static bool comes_first(size_t one, size_t other)
{
	if (ranks[one].first != ranks[other].first)
		return ranks[one].first < ranks[other].first;
	return ranks[one].second < ranks[other].second;
}

static void expect_the_first(void)
{
	const struct ranked *first = ranking_first(&ranking);
	size_t expected = JOBS;

	for (size_t i = 0; i < JOBS; i++)
		if (is_in[i] && (expected == JOBS || comes_first(i, expected)))
			expected = i;
	cr_assert_eq(first ? first->job : NULL, expected < JOBS ? &jobs[expected] : NULL);
}

Test(scheduler_ranking, the_first_is_the_first_whatever_goes_in_and_out)
{
	uint64_t sequence = 0;

	cr_assert(ranking_reserve(&ranking, JOBS));
	expect_the_first();
	for (int step = 0; step < STEPS; step++) {
		size_t i = pick(JOBS);

		if (is_in[i]) {
			ranking_remove(&ranking, &jobs[i]);
		} else {
			ranks[i] = (struct rank){(int64_t)pick(20) - 10, sequence++};
			ranking_insert(&ranking, &jobs[i], ranks[i]);
		}
		is_in[i] = !is_in[i];
		expect_the_first();
	}
	ranking_free(&ranking);
}

Test(scheduler_ranking, the_ends_of_the_range_are_in_order)
{
	static const int64_t firsts[] = {INT64_MAX, 0, INT64_MIN, -1, 1};
	static const size_t order[] = {2, 3, 1, 4, 0};

	cr_assert(ranking_reserve(&ranking, 5));
	for (size_t i = 0; i < 5; i++)
		ranking_insert(&ranking, &jobs[i], (struct rank){firsts[i], 0});
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(ranking_first(&ranking)->job, &jobs[order[i]]);
		ranking_remove(&ranking, &jobs[order[i]]);
	}
	cr_assert_null(ranking_first(&ranking));
	ranking_free(&ranking);
}
