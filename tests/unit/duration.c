#include <cancel/text.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>

#define TEN_YEARS_MS (10LL * 366 * 86400 * 1000)

static void expect_parsed(const char *text, int64_t expected_ms)
{
	int64_t duration_ms = -1;

	cr_assert_eq(cancel_duration_parse(text, &duration_ms), 0, "%s", text);
	cr_assert_eq(duration_ms, expected_ms, "%s: %" PRId64, text, duration_ms);
}

static void expect_refused(const char *text, int code)
{
	int64_t duration_ms = 42;

	cr_assert_eq(cancel_duration_parse(text, &duration_ms), code, "'%s'", text);
	cr_assert_eq(duration_ms, 42, "'%s' changed the result", text);
}

Test(duration, each_unit_is_read)
{
	expect_parsed("500ms", 500);
	expect_parsed("30s", 30000);
	expect_parsed("10m", 600000);
	expect_parsed("24h", 86400000);
	expect_parsed("7d", 7 * 86400000LL);
	expect_parsed("0s", 0);
	expect_parsed("007s", 7000);
}

Test(duration, anything_else_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = {"",    "5",     "s",   "ms",  "5 s",  " 5s",   "5s ", "+5s", "-5s", "1.5s",
					    "5S",  "5sec",  "1h30m", "0x5s", "5w", "5\n",  "5s\n", "1e3s", "ten", "5mss"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refused(wrong[i], -EINVAL);
}

Test(duration, ten_years_are_the_most)
{
	expect_parsed("3660d", TEN_YEARS_MS);
	expect_refused("3661d", -ERANGE);
	expect_parsed("316224000000ms", TEN_YEARS_MS);
	expect_refused("316224000001ms", -ERANGE);
	expect_refused("99999999999999999999999999999999999999s", -ERANGE);
	expect_refused("18446744073709551617s", -ERANGE); /* 2^64 + 1 */
}

Test(duration, it_is_written_in_the_largest_unit_that_keeps_it)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{0, "0s"},         {1, "1ms"},        {999, "999ms"},      {1000, "1s"},     {1001, "1001ms"},
		     {60000, "1m"},     {61000, "61s"},    {3600000, "1h"},     {5400000, "90m"}, {86400000, "1d"},
		     {90000000, "25h"}, {604800000, "7d"}, {TEN_YEARS_MS, "3660d"}};
	char text[CANCEL_DURATION_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(cancel_duration_format(text, cases[i].ms), text);
		cr_assert_str_eq(text, cases[i].text);
		expect_parsed(text, cases[i].ms);
	}
}
