/* How often, for how long, with what pauses: defaults, the environment, backing off. */
#include <cancel/tries.h>

#include "spool_case.h"

#include <errno.h>
#include <stdlib.h>

static struct cancel_tries tries;

static void set_up(void)
{
	(void)unsetenv(CANCEL_TASK_TIMEOUT_VARIABLE);
	(void)unsetenv(CANCEL_MAX_RETRIES_VARIABLE);
	(void)unsetenv(CANCEL_RETRY_INTERVAL_VARIABLE);
	cancel_tries_init(&tries);
}

TestSuite(tries, .init = set_up, .timeout = 30);

static void expect_defaults(void)
{
	cr_assert_eq(tries.timeout_ns, 300 * CANCEL_SECOND);
	cr_assert_eq(tries.retries, 3);
	cr_assert_eq(tries.retry_interval_ns, 60 * CANCEL_SECOND);
	cr_assert(!tries.backs_off);
}

Test(tries, are_three_of_300_s_with_60_s_between_them)
{
	expect_defaults();
}

Test(tries, a_variable_that_is_not_set_or_empty_changes_nothing)
{
	EXPECT(0, cancel_tries_load(&tries, &error));
	expect_defaults();
	(void)setenv(CANCEL_TASK_TIMEOUT_VARIABLE, "", 1);
	(void)setenv(CANCEL_MAX_RETRIES_VARIABLE, "", 1);
	(void)setenv(CANCEL_RETRY_INTERVAL_VARIABLE, "", 1);
	tries.retries = 17;
	EXPECT(0, cancel_tries_load(&tries, &error));
	cr_assert_eq(tries.retries, 17);
}

Test(tries, the_variables_have_the_names_of_the_seed)
{
	(void)setenv("SCHEDULER_TASK_TIMEOUT", "7", 1);
	(void)setenv("SCHEDULER_MAX_RETRIES", "8", 1);
	(void)setenv("SCHEDULER_RETRY_INTERVAL", "9", 1);
	tries.backs_off = true;
	EXPECT(0, cancel_tries_load(&tries, &error));
	cr_assert_eq(tries.timeout_ns, 7 * CANCEL_SECOND);
	cr_assert_eq(tries.retries, 8);
	cr_assert_eq(tries.retry_interval_ns, 9 * CANCEL_SECOND);
	cr_assert(tries.backs_off);
}

static int64_t timeout_of(const char *text)
{
	(void)setenv(CANCEL_TASK_TIMEOUT_VARIABLE, text, 1);
	EXPECT(0, cancel_tries_load(&tries, &error));
	return tries.timeout_ns;
}

Test(tries, times_are_seconds_or_durations)
{
	cr_assert_eq(timeout_of("1"), CANCEL_SECOND);
	cr_assert_eq(timeout_of("250ms"), 250 * CANCEL_MILLISECOND);
	cr_assert_eq(timeout_of("5m"), 300 * CANCEL_SECOND);
	cr_assert_eq(timeout_of("000000000000000000000000000090"), 90 * CANCEL_SECOND);
	cr_assert_eq(timeout_of("316224000"), 316224000 * CANCEL_SECOND); /* ten years */
}

Test(tries, a_timeout_of_0_is_no_limit_and_an_interval_of_0_no_pause)
{
	cr_assert_eq(timeout_of("0"), CANCEL_FOREVER);
	cr_assert_eq(timeout_of("0ms"), CANCEL_FOREVER);
	(void)setenv(CANCEL_RETRY_INTERVAL_VARIABLE, "0", 1);
	EXPECT(0, cancel_tries_load(&tries, &error));
	cr_assert_eq(tries.retry_interval_ns, 0);
}

static void expect_refused(const char *variable, const char *text)
{
	(void)setenv(CANCEL_MAX_RETRIES_VARIABLE, "5", 1); /* read before some of them, and after others */
	(void)setenv(CANCEL_RETRY_INTERVAL_VARIABLE, "5", 1);
	(void)setenv(variable, text, 1);
	EXPECT(-EINVAL, cancel_tries_load(&tries, &error));
	EXPECT_WORDS(variable);
	expect_defaults();
	(void)unsetenv(variable);
}

Test(tries, what_is_not_understood_is_refused_and_named_and_changes_nothing)
{
	static const char *const wrong_times[] = {
		"soon",
		"-1",
		"1.5",
		" 5",
		"5 ",
		"5x",
		"316224001",
		"99999999999999999999",
		"+5",
		"0x10",
		"0000000000000000000000000000000000000000x",
		"1111111111111111111111111111111111111111111111111111111111111111",
		"s",
		"5\n",
	};
	static const char *const wrong_numbers[] = {
		"many", "-1", "1.5", " 5", "5 ", "3s", "+5", "1000001", "99999999999999999999999999",
	};

	for (size_t i = 0; i < sizeof(wrong_times) / sizeof(wrong_times[0]); i++) {
		expect_refused(CANCEL_TASK_TIMEOUT_VARIABLE, wrong_times[i]);
		expect_refused(CANCEL_RETRY_INTERVAL_VARIABLE, wrong_times[i]);
	}
	for (size_t i = 0; i < sizeof(wrong_numbers) / sizeof(wrong_numbers[0]); i++)
		expect_refused(CANCEL_MAX_RETRIES_VARIABLE, wrong_numbers[i]);
}

Test(tries, the_sentence_shows_what_stands_there_escaped)
{
	(void)setenv(CANCEL_MAX_RETRIES_VARIABLE, "three\033[31m", 1);
	EXPECT(-EINVAL, cancel_tries_load(&tries, &error));
	EXPECT_WORDS("three\\x1B[31m");
}

Test(tries, all_pauses_are_alike_unless_it_backs_off)
{
	cr_assert_eq(cancel_tries_pause_ns(&tries, 1), 60 * CANCEL_SECOND);
	cr_assert_eq(cancel_tries_pause_ns(&tries, 5), 60 * CANCEL_SECOND);
	cr_assert_eq(cancel_tries_pause_ns(&tries, UINT32_MAX), 60 * CANCEL_SECOND);
}

Test(tries, backing_off_doubles_each_pause_after_the_first)
{
	tries.backs_off = true;
	cr_assert_eq(cancel_tries_pause_ns(&tries, 1), 60 * CANCEL_SECOND);
	cr_assert_eq(cancel_tries_pause_ns(&tries, 2), 120 * CANCEL_SECOND);
	cr_assert_eq(cancel_tries_pause_ns(&tries, 3), 240 * CANCEL_SECOND);
	tries.retry_interval_ns = 0;
	cr_assert_eq(cancel_tries_pause_ns(&tries, UINT32_MAX), 0);
}

Test(tries, backing_off_ends_at_CANCEL_RETRY_PAUSE_MAX_S)
{
	const int64_t longest_ns = CANCEL_RETRY_PAUSE_MAX_S * CANCEL_SECOND;

	tries.backs_off = true;
	tries.retry_interval_ns = longest_ns / 2 - 1;
	cr_assert_eq(cancel_tries_pause_ns(&tries, 2), longest_ns - 2);
	cr_assert_eq(cancel_tries_pause_ns(&tries, 3), longest_ns);
	cr_assert_eq(cancel_tries_pause_ns(&tries, UINT32_MAX), longest_ns);
	tries.retry_interval_ns = 1;
	cr_assert_eq(cancel_tries_pause_ns(&tries, UINT32_MAX), longest_ns);
}

Test(tries, an_interval_that_is_longer_than_that_stays)
{
	tries.backs_off = true;
	tries.retry_interval_ns = CANCEL_RETRY_PAUSE_MAX_S * CANCEL_SECOND + 1;
	cr_assert_eq(cancel_tries_pause_ns(&tries, 1), tries.retry_interval_ns);
	cr_assert_eq(cancel_tries_pause_ns(&tries, 9), tries.retry_interval_ns);
	tries.retry_interval_ns = INT64_MAX;
	cr_assert_eq(cancel_tries_pause_ns(&tries, 9), INT64_MAX);
}
