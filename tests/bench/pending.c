/* A million requests that stand: passing over them, and looking up one that is not among them. */
#include "fixture.h"
#include "harness.h"
#include "memory.h"

#include <cancel/sweep.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FEW 1000

static struct cancel_spool *many, *few;

static long pending_count(void)
{
	return bench_count(1000000, 50000);
}

static void set_up(const struct place *place)
{
	many = fixture_open(place, "many");
	few = fixture_open(place, "few");
	fixture_ask(many, 0, pending_count(), CANCEL_EXPIRES_DEFAULT);
	fixture_ask(few, 0, FEW, CANCEL_EXPIRES_DEFAULT);
}

static void tear_down(void)
{
	cancel_spool_close(many);
	cancel_spool_close(few);
}

/* --- a pass ------------------------------------------------------------------------------------------- */

static double pass_ours(const struct place *place)
{
	struct cancel_sweep_result result;
	struct cancel_error error;
	int64_t start = bench_now_ns();

	(void)place;
	if (cancel_spool_sweep(many, NULL, NULL, NULL, &result, &error) < 0)
		bench_fail("%s", error.text);
	if (result.kept != pending_count())
		bench_fail("kept %lld of %ld", (long long)result.kept, pending_count());
	return (double)(bench_now_ns() - start) / 1e6;
}

static double pass_bare(const struct place *place)
{
	char path[160];
	int64_t start = bench_now_ns();
	struct dirent *entry;
	struct stat stat;
	DIR *stream;

	(void)snprintf(path, sizeof path, "%s/many/pending", place->dir);
	stream = opendir(path);
	if (!stream)
		bench_fail("cannot list '%s': %s", path, strerror(errno));
	while ((entry = readdir(stream)))
		if (fstatat(dirfd(stream), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
			bench_fail("cannot look at '%s': %s", entry->d_name, strerror(errno));
	(void)closedir(stream);
	return (double)(bench_now_ns() - start) / 1e6;
}

/* --- look-ups ----------------------------------------------------------------------------------------- */

static double look_up(struct cancel_spool *spool, bool asked_before)
{
	static long never_asked;
	long count = bench_count(50000, 2000);
	struct cancel_error error;
	int64_t start = bench_now_ns();
	char task[32];

	for (long i = 0; i < count; i++) {
		(void)snprintf(task, sizeof task, "absent_%09ld", asked_before ? 0 : ++never_asked);
		if (cancel_spool_lookup(spool, task, NULL, NULL, &error) != CANCEL_LOOKUP_NONE)
			bench_fail("'%s' is not absent", task);
	}
	return (double)(bench_now_ns() - start) / 1e3 / (double)count;
}

static double asked_before_many(const struct place *place)
{
	(void)place;
	return look_up(many, true);
}

static double asked_before_few(const struct place *place)
{
	(void)place;
	return look_up(few, true);
}

static double first_time_many(const struct place *place)
{
	(void)place;
	return look_up(many, false);
}

static double first_time_few(const struct place *place)
{
	(void)place;
	return look_up(few, false);
}

/* --- memory ------------------------------------------------------------------------------------------- */

static double watched_many(const struct place *place)
{
	return memory_of_watcher(place, "many", pending_count());
}

static double watched_few(const struct place *place)
{
	return memory_of_watcher(place, "few", FEW);
}

static const struct bench rows[] = {
	{.name = "pass over 1,000,000 pending",
	 .unit = "ms",
	 .peer = "readdir and stat",
	 .budget = {VALUE(1500)},
	 .ours = pass_ours,
	 .theirs = pass_bare},
	{.name = "look-up, absent, 1,000,000 pending, again",
	 .unit = "us",
	 .peer = "the same with 1,000 pending",
	 .budget = {RATIO(1.2), RATIO(1.2)},
	 .repetitions = 15,
	 .ours = asked_before_many,
	 .theirs = asked_before_few},
	{.name = "look-up, absent, 1,000,000 pending, first",
	 .unit = "us",
	 .peer = "the same with 1,000 pending",
	 .budget = {RATIO(3.0), RATIO(3.0)},
	 .repetitions = 15,
	 .ours = first_time_many,
	 .theirs = first_time_few},
	{.name = "cancelwatch, peak RSS, 1,000,000 pending",
	 .unit = "KiB",
	 .peer = "the same with 1,000 pending",
	 /* Pages of fixed tables are touched as these fill: less than a byte a request. */
	 .budget = {RATIO(1.25), RATIO(1.25)},
	 .needs = CANCELWATCH,
	 .repetitions = 1,
	 .ours = watched_many,
	 .theirs = watched_few},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
