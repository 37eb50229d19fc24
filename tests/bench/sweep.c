/* Clearing away: what was decided long ago, and what nobody decided in time. */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"

#include <cancel/sweep.h>

#include <time.h>
#include <unistd.h>

static long sweep_count(void)
{
	return bench_count(100000, 2000);
}

/* --- removing ----------------------------------------------------------------------------------------- */

static void sweep_processed(const void *arg)
{
	struct cancel_spool *spool = fixture_open(arg, "spool");
	struct cancel_sweep_result result;

	fixture_sweep(spool, 0, &result);
	cancel_spool_close(spool);
	if (result.removed != sweep_count())
		bench_fail("swept %lld of %ld", (long long)result.removed, sweep_count());
}

static double sweep_ours(const struct place *place)
{
	fixture_processed(place, "spool", sweep_count());
	return (double)process_fork_time_ns(sweep_processed, place) / 1e6;
}

static double sweep_find(const struct place *place)
{
	char path[160], find[PROCESS_PATH_SIZE];

	(void)process_find(find, "find");
	fixture_processed(place, "spool", sweep_count());
	(void)snprintf(path, sizeof path, "%s/spool/processed", place->dir);
	return (double)process_time_ns(PROCESS_ARGUMENTS(find, path, "-type", "f", "-delete")) / 1e6;
}

/* --- expiring ----------------------------------------------------------------------------------------- */

static double expire_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	struct cancel_sweep_result result;
	int64_t start;
	double ms;

	fixture_ask(spool, 0, sweep_count(), 1);
	(void)nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL);
	start = bench_now_ns();
	fixture_sweep(spool, 3600, &result);
	ms = (double)(bench_now_ns() - start) / 1e6;
	cancel_spool_close(spool);
	if (result.expired != sweep_count())
		bench_fail("expired %lld of %ld", (long long)result.expired, sweep_count());
	return ms;
}

static double expire_bare(const struct place *place)
{
	struct fixture_text pending, processed;
	struct bare bare;
	int64_t start;
	double ms;

	fixture_record(&pending, place, false);
	fixture_record(&processed, place, true);
	bare_open(&bare, place, "bare");
	for (long i = 0; i < sweep_count(); i++)
		bare_publish(&bare, i, pending.text, pending.size);
	start = bench_now_ns();
	for (long i = 0; i < sweep_count(); i++)
		bare_decide(&bare, i, processed.text, processed.size);
	ms = (double)(bench_now_ns() - start) / 1e6;
	bare_close(&bare);
	return ms;
}

static const struct bench rows[] = {
	{.name = "sweep of 100,000 processed",
	 .unit = "ms",
	 .peer = "find -type f -delete",
	 .needs = "find",
	 .budget = {RATIO(1.3), RATIO(1.3)},
	 .renew = true,
	 .ours = sweep_ours,
	 .theirs = sweep_find},
	{.name = "expire 100,000",
	 .unit = "ms",
	 .peer = "create, write, rename, unlink",
	 .budget = {RATIO(2.0), RATIO(2.0)},
	 .renew = true,
	 .ours = expire_ours,
	 .theirs = expire_bare},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true};
BENCH_GROUP(group)
