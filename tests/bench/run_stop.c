/*
 * How soon a command is dead. From the moment when the asking call has returned, beside a kill(2) that has:
 * what is between the two is our noticing, our process, and its signal. And from the start of the program
 * that a person calls, beside `tsp -k`, which tells its server's command to end.
 *
 * Who asks and what is stopped run on different processors, and are asleep each time.
 */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "memory.h"
#include "peer_tsp.h"
#include "process.h"
#include "sleeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define CANCELREQ     BUILD_DIR "/bin/cancelreq"
#define SAMPLES       200
#define SAMPLES_BRIEF 5
#define REPETITIONS   3

#define STATUS_CANCELLED 123

static const struct place *spool_place;
static struct cancel_spool *spool;
static char spool_path[160], program_tsp[PROCESS_PATH_SIZE];
static long number, job;

static void set_up(const struct place *place)
{
	(void)place;
	place_renew(place_of(PLACE_MEMORY));
	spool_place = place_of(PLACE_MEMORY);
	(void)snprintf(spool_path, sizeof spool_path, "%s/spool", spool_place->dir);
	spool = fixture_open(spool_place, "spool");
	if (process_find(program_tsp, TSP))
		peer_tsp_start(spool_place);
}

static void tear_down(void)
{
	if (program_tsp[0])
		peer_tsp_end();
	cancel_spool_close(spool);
}

static double percentile_us(double (*sample_us)(void), double percent)
{
	static double values[SAMPLES];
	long count = bench_count(SAMPLES, SAMPLES_BRIEF);

	for (long i = 0; i < count; i++)
		values[i] = sample_us();
	return bench_percentile(values, (size_t)count, percent);
}

/* A command may be seen to be dead before the call that stopped it has returned. */
static double since_us(const struct sleeper *sleeper, int64_t from_ns)
{
	int64_t dead_ns = sleeper_await_death_ns(sleeper);

	return dead_ns > from_ns ? (double)(dead_ns - from_ns) / 1e3 : 0;
}

/* From the start of a program that stops it; the program may end later. */
static double stop_by_us(const struct sleeper *sleeper, const char *const *arguments)
{
	int64_t start_ns = bench_now_ns();
	FILE *output;
	pid_t program = process_start(arguments, &output);
	double us = since_us(sleeper, start_ns);
	int status = process_wait(program);

	(void)fclose(output);
	if (status)
		bench_fail("'%s' ended with %d", arguments[0], status);
	return us;
}

/* --- `cancelwatch run` -------------------------------------------------------------------------------- */

static void start_run(struct sleeper *sleeper, char task[32])
{
	bare_task(task, ++number);
	sleeper_start(sleeper, PROCESS_ARGUMENTS(CANCELWATCH, "run", "--quiet", "--spool", spool_path, task,
						 "--", SLEEPER_COMMAND));
}

static void finish_run(struct sleeper *sleeper)
{
	int status = sleeper_finish(sleeper);

	if (status != STATUS_CANCELLED)
		bench_fail("a run that was cancelled ended with %d", status);
}

static double request_us(void)
{
	struct cancel_request request;
	struct cancel_error error;
	struct sleeper sleeper;
	char task[32];
	double us;

	start_run(&sleeper, task);
	fixture_request(&request, task, number);
	if (cancel_spool_request(spool, &request, NULL, &error) != CANCEL_REQUESTED)
		bench_fail("cannot ask for a command to be stopped");
	us = since_us(&sleeper, bench_now_ns());
	finish_run(&sleeper);
	cancel_request_clear(&request);
	return us;
}

static double cancelreq_us(void)
{
	struct sleeper sleeper;
	char task[32];
	double us;

	start_run(&sleeper, task);
	us = stop_by_us(&sleeper,
			PROCESS_ARGUMENTS(CANCELREQ, "--spool", spool_path, task, "deleted by alice"));
	finish_run(&sleeper);
	return us;
}

/* --- peers -------------------------------------------------------------------------------------------- */

static double kill_us(void)
{
	struct sleeper sleeper;
	double us;

	sleeper_start(&sleeper, PROCESS_ARGUMENTS(SLEEPER_COMMAND));
	if (kill(sleeper.command, SIGTERM) < 0)
		bench_fail("cannot signal a command: %s", strerror(errno));
	us = since_us(&sleeper, bench_now_ns());
	(void)sleeper_finish(&sleeper);
	return us;
}

/* The server counts its jobs from 0. */
static double tsp_us(void)
{
	struct sleeper sleeper;
	char id[32];
	double us;

	(void)snprintf(id, sizeof id, "%ld", job++);
	sleeper_start(&sleeper, PROCESS_ARGUMENTS(program_tsp, "-nf", SLEEPER_COMMAND));
	us = stop_by_us(&sleeper, PROCESS_ARGUMENTS(program_tsp, "-k", id));
	(void)sleeper_finish(&sleeper);
	return us;
}

/* --- rows --------------------------------------------------------------------------------------------- */

#define PERCENTILE(side, percent)                                  \
	static double side##_p##percent(const struct place *place) \
	{                                                          \
		(void)place;                                       \
		return percentile_us(side##_us, percent);          \
	}

PERCENTILE(request, 50)
PERCENTILE(request, 99)
PERCENTILE(kill, 50)
PERCENTILE(kill, 99)
PERCENTILE(cancelreq, 50)
PERCENTILE(cancelreq, 99)
PERCENTILE(tsp, 50)
PERCENTILE(tsp, 99)

static const struct bench rows[] = {
	{.name = "run: asked to dead, p50",
	 .unit = "us",
	 .peer = "kill(2)",
	 .repetitions = REPETITIONS,
	 .ours = request_p50,
	 .theirs = kill_p50},
	{.name = "run: asked to dead, p99",
	 .unit = "us",
	 .peer = "kill(2)",
	 .repetitions = REPETITIONS,
	 .ours = request_p99,
	 .theirs = kill_p99},
	{.name = "run: cancelreq to dead, p50",
	 .unit = "us",
	 .peer = "tsp -k",
	 .needs = TSP,
	 .repetitions = REPETITIONS,
	 .ours = cancelreq_p50,
	 .theirs = tsp_p50},
	{.name = "run: cancelreq to dead, p99",
	 .unit = "us",
	 .peer = "tsp -k",
	 .needs = TSP,
	 .repetitions = REPETITIONS,
	 .ours = cancelreq_p99,
	 .theirs = tsp_p99},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
