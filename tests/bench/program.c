/* Asking from a shell: a whole process, beside the smallest one that leaves a file. */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"

#define CANCELREQ BUILD_DIR "/bin/cancelreq"

static struct cancel_spool *spool;
static long number;

static void set_up(const struct place *place)
{
	spool = fixture_open(place, "spool");
}

static void tear_down(void)
{
	cancel_spool_close(spool);
}

static double ask(const struct place *place)
{
	char path[160], task[32];

	(void)snprintf(path, sizeof path, "%s/spool", place->dir);
	bare_task(task, number++);
	return (double)process_time_ns(
		       PROCESS_ARGUMENTS(CANCELREQ, "--spool", path, task, "deleted by alice")) /
	       1e3;
}

static double touch(const struct place *place)
{
	static char program[PROCESS_PATH_SIZE];
	char path[160];

	if (!program[0])
		(void)process_find(program, "touch");
	(void)snprintf(path, sizeof path, "%s/touched_%07ld", place->dir, number++);
	return (double)process_time_ns(PROCESS_ARGUMENTS(program, path)) / 1e3;
}

static const struct bench rows[] = {
	{.name = "cancelreq",
	 .unit = "us",
	 .peer = "touch of a new file",
	 .budget = {RATIO(1.25), RATIO(1.25)},
	 .needs = CANCELREQ,
	 .repetitions = 501,
	 .ours = ask,
	 .theirs = touch},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
