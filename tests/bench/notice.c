/*
 * How soon another process sees what was published: from the moment the publishing call has returned. The two
 * run on different processors, and the one that waits is asleep each time, as it would be.
 */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"

#include <cancel/watch.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS    1000000 /* between two requests: long enough to fall asleep in */
#define DEADLINE_NS (5 * INT64_C(1000000000))

/* Shared with the process that waits. */
struct sight {
	_Atomic long count; /* seen so far; -1 until it is ready */
	_Atomic int64_t time_ns;
};

static struct sight *sight;

static void set_up(const struct place *place)
{
	(void)place;
	if (!sight)
		sight = mmap(NULL, sizeof *sight, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sight == MAP_FAILED)
		bench_fail("cannot share memory: %s", strerror(errno));
}

static void see(long events)
{
	atomic_store(&sight->time_ns, bench_now_ns());
	atomic_fetch_add(&sight->count, events);
}

/* --- those who wait ----------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct cancel_event *event)
{
	(void)arg;
	if (event->type == CANCEL_EVENT_REQUESTED)
		see(1);
}

static void watch_spool(const void *arg)
{
	struct cancel_spool *spool = fixture_open(arg, "spool");
	struct cancel_watch_options options;
	struct cancel_watch *watch;
	struct cancel_error error;

	bench_pin(true);
	cancel_watch_options_init(&options);
	options.mode = CANCEL_WATCH_INOTIFY;
	options.skip_standing = true;
	if (cancel_watch_open(&watch, spool, &options, &error) < 0 ||
	    cancel_watch_dispatch(watch, on_event, NULL, &error) < 0)
		bench_fail("%s", error.text);
	atomic_store(&sight->count, 0);
	for (;;) {
		(void)poll(&(struct pollfd){.fd = cancel_watch_fd(watch), .events = POLLIN}, 1, -1);
		if (cancel_watch_dispatch(watch, on_event, NULL, &error) < 0)
			bench_fail("%s", error.text);
	}
}

static void watch_directory(const void *arg)
{
	char path[160], events[4096];
	int fd = inotify_init1(IN_CLOEXEC);

	(void)snprintf(path, sizeof path, "%s/bare/pending", ((const struct place *)arg)->dir);
	bench_pin(true);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MOVED_TO) < 0)
		bench_fail("cannot watch '%s': %s", path, strerror(errno));
	atomic_store(&sight->count, 0);
	while (read(fd, events, sizeof events) > 0)
		see(1);
	bench_fail("cannot read from inotify: %s", strerror(errno));
}

/* --- those who publish -------------------------------------------------------------------------------- */

typedef void publisher(void *arg, long number);

static void publish_request(void *arg, long number)
{
	struct cancel_request request;
	struct cancel_error error;
	char task[32];

	fixture_request(&request, task, number);
	if (cancel_spool_request(arg, &request, NULL, &error) != CANCEL_REQUESTED)
		bench_fail("%s", error.text);
}

static void publish_bare(void *arg, long number)
{
	static const char text[600];

	bare_publish(arg, number, text, sizeof text);
}

static void wait_for_sight(long count)
{
	int64_t deadline = bench_now_ns() + DEADLINE_NS;

	while (atomic_load(&sight->count) != count) {
		if (bench_now_ns() > deadline)
			bench_fail("a request was not noticed");
		(void)sched_yield();
	}
}

/* Nothing can be seen before it is there: where the other was faster than our own return, it took no time. */
static double one_latency_us(publisher *publish, void *arg, long number, long seen)
{
	int64_t published_ns, latency_ns;

	(void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	publish(arg, number);
	published_ns = bench_now_ns();
	wait_for_sight(seen);
	latency_ns = atomic_load(&sight->time_ns) - published_ns;
	return latency_ns > 0 ? (double)latency_ns / 1e3 : 0;
}

static double latency_us(const struct place *place, publisher *publish, void *arg,
			 void (*wait)(const void *arg), double percent)
{
	static double values[1000];
	static long number;
	size_t count = (size_t)bench_count(500, 20);
	pid_t waiting;

	atomic_store(&sight->count, -1);
	waiting = process_fork(wait, place);
	wait_for_sight(0);
	for (size_t i = 0; i < count; i++)
		values[i] = one_latency_us(publish, arg, number++, (long)i + 1);
	process_end(waiting);
	return bench_percentile(values, count, percent);
}

static double by_watch(const struct place *place, double percent)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	double us = latency_us(place, publish_request, spool, watch_spool, percent);

	cancel_spool_close(spool);
	return us;
}

static double by_inotify(const struct place *place, double percent)
{
	struct bare bare;
	double us;

	bare_open(&bare, place, "bare");
	us = latency_us(place, publish_bare, &bare, watch_directory, percent);
	bare_close(&bare);
	return us;
}

/* --- rows --------------------------------------------------------------------------------------------- */

static double p50_ours(const struct place *place)
{
	return by_watch(place, 50);
}

static double p50_bare(const struct place *place)
{
	return by_inotify(place, 50);
}

static double p99_ours(const struct place *place)
{
	return by_watch(place, 99);
}

static double p99_bare(const struct place *place)
{
	return by_inotify(place, 99);
}

static const struct bench rows[] = {
	{.name = "notice by inotify, p50",
	 .unit = "us",
	 .peer = "rename, read of inotify",
	 .budget = {VALUE(60), VALUE(60)},
	 .repetitions = 7,
	 .ours = p50_ours,
	 .theirs = p50_bare},
	{.name = "notice by inotify, p99",
	 .unit = "us",
	 .peer = "rename, read of inotify",
	 .budget = {VALUE(1000), VALUE(1000)},
	 .repetitions = 7,
	 .ours = p99_ours,
	 .theirs = p99_bare},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up};
BENCH_GROUP(group)
