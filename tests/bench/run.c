/*
 * Running a command as a task: what that adds to the command, beside timeout(1), which watches over one for
 * time alone.
 *
 * timeout(1) loads the user's locale and we load none. So it is measured without one, which is its fastest,
 * and with the one that Debian has from the start.
 */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "memory.h"
#include "process.h"

#include <stdlib.h>

#define REPETITIONS   501
#define COMMON_LOCALE "C.UTF-8"

static struct cancel_spool *spool;
static long number;

/* Found once: the search would be the same on both sides, and as long as the user's PATH. */
static char program_true[PROCESS_PATH_SIZE], program_timeout[PROCESS_PATH_SIZE];

static void set_up(const struct place *place)
{
	spool = fixture_open(place, "spool");
	if (!process_find(program_true, "true"))
		bench_fail("there is no 'true'");
	(void)process_find(program_timeout, "timeout");
}

static void tear_down(void)
{
	cancel_spool_close(spool);
}

static double run_us(const struct place *place)
{
	char path[160], task[32];

	(void)snprintf(path, sizeof path, "%s/spool", place->dir);
	bare_task(task, number++);
	return (double)process_time_ns(
		       PROCESS_ARGUMENTS(CANCELWATCH, "run", "--spool", path, task, "--", program_true)) /
	       1e3;
}

static double timeout_us(const struct place *place)
{
	(void)place;
	return (double)process_time_ns(PROCESS_ARGUMENTS(program_timeout, "10", program_true)) / 1e3;
}

/* All else is run without a locale. */
static double run_in_locale_us(const struct place *place)
{
	double us;

	(void)setenv("LC_ALL", COMMON_LOCALE, 1);
	us = run_us(place);
	(void)setenv("LC_ALL", "C", 1);
	return us;
}

static double timeout_in_locale_us(const struct place *place)
{
	double us;

	(void)setenv("LC_ALL", COMMON_LOCALE, 1);
	us = timeout_us(place);
	(void)setenv("LC_ALL", "C", 1);
	return us;
}

static double alone_us(const struct place *place)
{
	(void)place;
	return (double)process_time_ns(PROCESS_ARGUMENTS(program_true)) / 1e3;
}

static const struct bench rows[] = {
	{.name = "run: true, from start to end",
	 .unit = "us",
	 .peer = "timeout 10 true",
	 .budget = {RATIO(1.5), RATIO(1.5)},
	 .needs = "timeout",
	 .repetitions = REPETITIONS,
	 .ours = run_us,
	 .theirs = timeout_us},
	{.name = "run: true, from start to end, " COMMON_LOCALE,
	 .unit = "us",
	 .peer = "timeout 10 true",
	 .budget = {RATIO(1.5), RATIO(1.5)},
	 .needs = "timeout",
	 .repetitions = REPETITIONS,
	 .ours = run_in_locale_us,
	 .theirs = timeout_in_locale_us},
	{.name = "run: true, from start to end, bare",
	 .unit = "us",
	 .peer = "true, spawned and waited for",
	 .repetitions = REPETITIONS,
	 .ours = run_us,
	 .theirs = alone_us},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
