#include <cancel/text.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY_S 86400LL
#define YEAR_0_S (-62167219200LL)
#define YEAR_9999_END_S 253402300799LL

static void expect_time(const char *text, int64_t expected_us)
{
	int64_t time_us = -1;

	cr_assert_eq(cancel_time_parse(text, &time_us), 0, "%s", text);
	cr_assert_eq(time_us, expected_us, "%s: %" PRId64 ", not %" PRId64, text, time_us, expected_us);
}

static void expect_refused(const char *text)
{
	int64_t time_us = 42;

	cr_assert_eq(cancel_time_parse(text, &time_us), -EINVAL, "'%s'", text);
	cr_assert_eq(time_us, 42, "'%s' changed the result", text);
}

Test(time, it_is_written_in_utc_with_microseconds)
{
	char text[CANCEL_TIME_SIZE];

	cr_assert_str_eq(cancel_time_format(text, 0), "1970-01-01T00:00:00.000000Z");
	cr_assert_str_eq(cancel_time_format(text, 1795169472123456), "2026-11-20T10:11:12.123456Z");
	cr_assert_str_eq(cancel_time_format(text, -1), "1969-12-31T23:59:59.999999Z");
	cr_assert_str_eq(cancel_time_format(text, 951782400 * 1000000LL), "2000-02-29T00:00:00.000000Z");
	cr_assert_str_eq(cancel_time_format(text, YEAR_0_S * 1000000), "0000-01-01T00:00:00.000000Z");
	cr_assert_str_eq(cancel_time_format(text, YEAR_9999_END_S * 1000000 + 999999), "9999-12-31T23:59:59.999999Z");
}

Test(time, beyond_its_range_it_stays_at_the_edge)
{
	char text[CANCEL_TIME_SIZE];

	cr_assert_str_eq(cancel_time_format(text, INT64_MIN), "0000-01-01T00:00:00.000000Z");
	cr_assert_str_eq(cancel_time_format(text, INT64_MAX), "9999-12-31T23:59:59.999999Z");
}

Test(time, every_kind_of_zone_and_fraction_is_read)
{
	expect_time("2026-11-20T10:11:12Z", 1795169472000000);
	expect_time("2026-11-20t10:11:12z", 1795169472000000);
	expect_time("2026-11-20 10:11:12Z", 1795169472000000);
	expect_time("2026-11-20T11:11:12+01:00", 1795169472000000);
	expect_time("2026-11-19T22:41:12-11:30", 1795169472000000);
	expect_time("2026-11-20T10:11:12.5Z", 1795169472500000);
	expect_time("2026-11-20T10:11:12.123456789Z", 1795169472123456); /* dropped, not rounded */
	expect_time("2026-11-20T10:11:12.9999999Z", 1795169472999999);
	expect_time("2026-11-20T10:11:12.123456+00:00", 1795169472123456); /* Python's isoformat() */
	expect_time("2016-12-31T23:59:60Z", 1483228800000000);            /* a leap second */
}

Test(time, anything_else_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = {
		"",
		"2026-11-20",
		"2026-11-20T10:11:12", /* no zone: nobody knows when that is */
		"2026-11-20T10:11Z",
		"2026-11-20T10:11:12.Z",
		"2026-11-20T10:11:12,5Z",
		"2026-11-20T10:11:12ZZ",
		"2026-11-20T10:11:12Z ",
		" 2026-11-20T10:11:12Z",
		"2026-11-20T10:11:12+0100",
		"2026-11-20T10:11:12+24:00",
		"2026-11-20T10:11:12+01:60",
		"2026-13-20T10:11:12Z",
		"2026-00-20T10:11:12Z",
		"2026-11-31T10:11:12Z",
		"2026-11-00T10:11:12Z",
		"2026-02-29T10:11:12Z",
		"2100-02-29T10:11:12Z",
		"2026-11-20T24:00:00Z",
		"2026-11-20T10:60:12Z",
		"2026-11-20T10:11:61Z",
		"26-11-20T10:11:12Z",
		"-026-11-20T10:11:12Z",
		"2026/11/20T10:11:12Z",
		"2026-11-20X10:11:12Z",
		"1795169472",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refused(wrong[i]);
}

/* Every day of four hundred years and the ends of the range, against the C library's calendar. */
Test(time, the_calendar_is_the_c_librarys)
{
	char text[CANCEL_TIME_SIZE], expected[64];

	for (int64_t day = -150000; day < 150000; day += 1) {
		time_t seconds = (time_t)(day * DAY_S + (day * 7919) % DAY_S);
		struct tm parts;

		cr_assert_not_null(gmtime_r(&seconds, &parts));
		(void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.000001Z",
			       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
			       parts.tm_sec);
		cr_assert_str_eq(cancel_time_format(text, (int64_t)seconds * 1000000 + 1), expected);
		expect_time(text, (int64_t)seconds * 1000000 + 1);
	}
}

Test(time, what_is_written_is_read_back)
{
	unsigned int seed = 20261120;
	char text[CANCEL_TIME_SIZE];

	srandom(seed);
	for (int i = 0; i < 100000; i++) {
		int64_t span_s = YEAR_9999_END_S - YEAR_0_S;
		int64_t seconds = YEAR_0_S + (((int64_t)random() << 31) | random()) % span_s;
		int64_t time_us = seconds * 1000000 + random() % 1000000;

		expect_time(cancel_time_format(text, time_us), time_us);
	}
}
