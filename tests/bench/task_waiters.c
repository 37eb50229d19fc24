/* Ten thousand workers that wait: whether the right one wakes, how soon, and what they cost while nothing
 * happens. */
#include "crowd.h"
#include "fixture.h"
#include "harness.h"
#include "memory.h"
#include "process.h"
#include "published.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define WAITERS       10000
#define WAITERS_BRIEF 500
#define SAMPLES       500
#define SAMPLES_BRIEF 20
#define PAUSE_NS      1000000
#define SETTLE_S      3
#define IDLE_S        65 /* twice the longest pause between two looks, where a watcher is about */
#define IDLE_BRIEF_S  2
#define ALONE_S       15
#define START_NS      (10 * INT64_C(1000000000))

static const struct place *place_of_all;
static struct cancel_spool *spool;
static pid_t watcher;
static long next_waiter;

static void wait_s(long seconds)
{
	(void)nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
}

/* --- the scene ---------------------------------------------------------------------------------------- */

static bool is_watched(void)
{
	struct cancel_spool_info info;
	struct cancel_error error;

	if (cancel_spool_info(spool, &info, &error) < 0)
		bench_fail("%s", error.text);
	return info.is_watched;
}

/* With a configuration of its own: none of the machine's takes part. */
static void start_watcher(void)
{
	int64_t deadline = bench_now_ns() + START_NS;
	char path[160], configuration[160];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/spool", place_of_all->dir);
	(void)snprintf(configuration, sizeof configuration, "%s/cancel.yaml", place_of_all->dir);
	file = fopen(configuration, "we");
	if (!file || fputs("{}\n", file) < 0 || fclose(file) != 0)
		bench_fail("cannot write '%s': %s", configuration, strerror(errno));
	watcher = process_start(
		PROCESS_ARGUMENTS(CANCELWATCH, "--quiet", "--spool", path, "--config", configuration), &file);
	(void)fclose(file);
	while (!is_watched()) {
		if (bench_now_ns() > deadline)
			bench_fail("cancelwatch does not begin to watch");
		(void)sched_yield();
	}
}

static void end_watcher(void)
{
	if (watcher)
		process_end(watcher);
	watcher = 0;
}

static void set_up(const struct place *place)
{
	(void)place;
	place_renew(place_of(PLACE_MEMORY));
	place_of_all = place_of(PLACE_MEMORY);
	spool = fixture_open(place_of_all, "spool");
	next_waiter = 0;
	start_watcher();
	crowd_start(place_of_all, "spool", bench_count(WAITERS, WAITERS_BRIEF));
	wait_s(bench_count(SETTLE_S, 0));
}

static void tear_down(void)
{
	end_watcher();
	crowd_end();
	cancel_spool_close(spool);
}

/* --- the right one ------------------------------------------------------------------------------------ */

/* Each is asked once, from all over the crowd. */
static long choose_waiter(void)
{
	long waiters = bench_count(WAITERS, WAITERS_BRIEF);

	return next_waiter++ * 7 % waiters;
}

static double wake_us(void)
{
	long number = choose_waiter();
	struct cancel_request request;
	struct cancel_error error;
	char task[32];

	(void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	fixture_request(&request, task, number);
	published_look(true);
	if (cancel_spool_request(spool, &request, NULL, &error) != CANCEL_REQUESTED)
		bench_fail("%s", error.text);
	published_look(false);
	cancel_request_clear(&request);
	return (double)(crowd_await(number) - published_ns()) / 1e3;
}

static double wake_percentile_us(double percent)
{
	static double values[SAMPLES];
	long count = bench_count(SAMPLES, SAMPLES_BRIEF);

	for (long i = 0; i < count; i++)
		values[i] = wake_us();
	return bench_percentile(values, (size_t)count, percent);
}

static double wake_p50(const struct place *place)
{
	(void)place;
	return wake_percentile_us(50);
}

static double wake_p99(const struct place *place)
{
	(void)place;
	return wake_percentile_us(99);
}

/* --- idle --------------------------------------------------------------------------------------------- */

static int64_t watcher_cpu_ns(void)
{
	struct timespec used;
	clockid_t clock;

	if (!watcher)
		return 0;
	if (clock_getcpuclockid(watcher, &clock) != 0 || clock_gettime(clock, &used) < 0)
		bench_fail("cannot read what cancelwatch has cost");
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* In per cent of a core, for 10,000. */
static double idle_percent(long seconds)
{
	int64_t cpu_ns = crowd_cpu_ns() + watcher_cpu_ns(), start_ns = bench_now_ns();

	wait_s(seconds);
	cpu_ns = crowd_cpu_ns() + watcher_cpu_ns() - cpu_ns;
	return 100 * (double)cpu_ns / (double)(bench_now_ns() - start_ns) * WAITERS /
	       (double)bench_count(WAITERS, WAITERS_BRIEF);
}

static double idle_watched(const struct place *place)
{
	(void)place;
	return idle_percent(bench_count(IDLE_S, IDLE_BRIEF_S));
}

static double instances(const struct place *place)
{
	(void)place;
	return (double)crowd_inotify_instances();
}

/* They find out at their next look that nobody rings any more, up to half a minute later. */
static double idle_alone(const struct place *place)
{
	(void)place;
	end_watcher();
	wait_s(bench_count(IDLE_S, IDLE_BRIEF_S));
	return idle_percent(bench_count(ALONE_S, IDLE_BRIEF_S));
}

static const struct bench rows[] = {
	{.name = "task: 10,000 waiters, the right one awake, p50",
	 .unit = "us",
	 .budget = {VALUE(120)},
	 .repetitions = 5,
	 .ours = wake_p50},
	{.name = "task: 10,000 waiters, the right one awake, p99",
	 .unit = "us",
	 .budget = {VALUE(1000)},
	 .repetitions = 5,
	 .ours = wake_p99},
	{.name = "task: 10,000 waiters, inotify instances",
	 .unit = "",
	 .budget = {VALUE(0)},
	 .repetitions = 1,
	 .ours = instances},
	{.name = "task: 10,000 waiters, idle, cancelwatch about",
	 .unit = "% CPU",
	 .budget = {VALUE(1)},
	 .repetitions = 1,
	 .ours = idle_watched},
	{.name = "task: 10,000 waiters, idle, nobody rings",
	 .unit = "% CPU",
	 .repetitions = 1,
	 .ours = idle_alone},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
