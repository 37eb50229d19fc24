/*
 * How soon a task of another process reads cancelled: from the moment when the request's file has its name,
 * which is before the bell is rung and before the asking call returns. Beside it what wakes a process at
 * best. Beside Redis both are measured from the call on.
 *
 * The two run on different processors, and the one that waits is asleep each time.
 */
#include "bare.h"
#include "child.h"
#include "fixture.h"
#include "harness.h"
#include "peer_redis.h"
#include "process.h"
#include "published.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES       500
#define SAMPLES_BRIEF 20
#define PAUSE_NS      1000000 /* before each publish: long enough to fall asleep in */
#define DEADLINE_NS   (10 * INT64_C(1000000000))
#define POLL_MS       10 /* the shortest interval that there is */
#define REPETITIONS   5

/* Shared with the process that waits. */
struct scene {
	_Atomic long waits; /* how often it has begun to wait */
	_Atomic long seen;
	_Atomic int64_t seen_ns;
	_Atomic uint32_t word; /* for the bare futex */
};

static struct scene *scene;

static void set_up(const struct place *place)
{
	(void)place;
	if (!scene)
		scene = child_share(sizeof *scene);
}

static void wait_until_it_is(_Atomic long *number, long value)
{
	int64_t deadline = bench_now_ns() + DEADLINE_NS;

	while (atomic_load(number) != value) {
		if (bench_now_ns() > deadline)
			bench_fail("what was published was not noticed");
		(void)sched_yield();
	}
}

static void see(void)
{
	atomic_store(&scene->seen_ns, bench_now_ns());
	atomic_fetch_add(&scene->seen, 1);
}

/* --- pairs -------------------------------------------------------------------------------------------- */

/* Somebody who publishes in this process, and somebody who waits in another. */
struct pair {
	void (*wait)(const void *arg); /* for ever */
	/* Returns when it was there. */
	int64_t (*publish)(void *arg, long number);
	void *arg; /* of `publish` */
	const void *wait_arg;
	long samples;
};

static double latency_us(const struct pair *pair, long sample)
{
	int64_t published_at_ns;

	wait_until_it_is(&scene->waits, sample + 1);
	(void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	published_at_ns = pair->publish(pair->arg, sample);
	wait_until_it_is(&scene->seen, sample + 1);
	return (double)(atomic_load(&scene->seen_ns) - published_at_ns) / 1e3;
}

static double percentile_us(const struct pair *pair, double percent)
{
	static double values[SAMPLES];
	pid_t waiting;

	atomic_store(&scene->waits, 0);
	atomic_store(&scene->seen, 0);
	waiting = process_fork(pair->wait, pair->wait_arg);
	for (long i = 0; i < pair->samples; i++)
		values[i] = latency_us(pair, i);
	process_end(waiting);
	return bench_percentile(values, (size_t)pair->samples, percent);
}

static long samples(void)
{
	return bench_count(SAMPLES, SAMPLES_BRIEF);
}

/* --- ours --------------------------------------------------------------------------------------------- */

struct way {
	const struct place *place;
	bool thread;
	enum cancel_notice notice;
	long samples;
	bool from_call;
};

/* Numbers go on from one measurement to the next: each task is a new one. */
static long first_number;

static void wait_for_requests(const void *arg)
{
	const struct way *way = arg;
	struct cancel_manager *manager;

	bench_pin(true);
	manager = fixture_manager(way->place, "spool", way->thread, way->notice,
				  way->notice == CANCEL_NOTICE_POLL ? POLL_MS : 0);
	for (long i = 0;; i++) {
		struct cancel_task *task = fixture_begin(manager, first_number + i, true);

		atomic_fetch_add(&scene->waits, 1);
		if (cancel_task_wait(task, CANCEL_FOREVER) != 1 || !cancel_task_checkpoint(task))
			bench_fail("waiting ended, and the task is not cancelled");
		see();
		fixture_end(task, CANCEL_OUTCOME_STOPPED);
	}
}

static void ask(struct cancel_spool *spool, long number)
{
	struct cancel_request request;
	struct cancel_error error;
	char task[32];

	fixture_request(&request, task, first_number + number);
	if (cancel_spool_request(spool, &request, NULL, &error) != CANCEL_REQUESTED)
		bench_fail("%s", error.text);
	cancel_request_clear(&request);
}

static int64_t publish_request(void *arg, long number)
{
	published_look(true);
	ask(arg, number);
	published_look(false);
	return published_ns();
}

static int64_t call_request(void *arg, long number)
{
	int64_t start_ns = bench_now_ns();

	ask(arg, number);
	return start_ns;
}

static double task_us(const struct way *way, double percent)
{
	struct cancel_spool *spool = fixture_open(way->place, "spool");
	double us = percentile_us(&(struct pair){wait_for_requests,
						 way->from_call ? call_request : publish_request, spool, way,
						 way->samples},
				  percent);

	first_number += way->samples;
	cancel_spool_close(spool);
	return us;
}

/* --- theirs ------------------------------------------------------------------------------------------- */

static void wait_on_futex(const void *arg)
{
	uint32_t word = 0;

	(void)arg;
	bench_pin(true);
	for (;;) {
		atomic_fetch_add(&scene->waits, 1);
		while (atomic_load(&scene->word) == word)
			(void)syscall(SYS_futex, &scene->word, FUTEX_WAIT, word, NULL, NULL, 0);
		see();
		word++;
	}
}

static int64_t wake_futex(void *arg, long number)
{
	int64_t start_ns = bench_now_ns();

	(void)arg;
	(void)number;
	atomic_fetch_add(&scene->word, 1);
	(void)syscall(SYS_futex, &scene->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	return start_ns;
}

static double futex_us(double percent)
{
	atomic_store(&scene->word, 0);
	return percentile_us(&(struct pair){wait_on_futex, wake_futex, NULL, NULL, samples()}, percent);
}

static void wait_on_eventfd(const void *arg)
{
	uint64_t count;

	bench_pin(true);
	for (;;) {
		atomic_fetch_add(&scene->waits, 1);
		if (read(*(const int *)arg, &count, sizeof count) != sizeof count)
			bench_fail("cannot read from an eventfd: %s", strerror(errno));
		see();
	}
}

static int64_t write_eventfd(void *arg, long number)
{
	const uint64_t one = 1;
	int64_t start_ns = bench_now_ns();

	(void)number;
	if (write(*(int *)arg, &one, sizeof one) != sizeof one)
		bench_fail("cannot write to an eventfd: %s", strerror(errno));
	return start_ns;
}

static double eventfd_us(double percent)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	double us =
		percentile_us(&(struct pair){wait_on_eventfd, write_eventfd, &fd, &fd, samples()}, percent);

	(void)close(fd);
	return us;
}

static void wait_for_redis(const void *arg)
{
	int fd = peer_redis_connect();

	(void)arg;
	bench_pin(true);
	peer_redis_subscribe(fd);
	for (;;) {
		atomic_fetch_add(&scene->waits, 1);
		peer_redis_await(fd);
		see();
	}
}

static int64_t publish_redis(void *arg, long number)
{
	int64_t start_ns;
	char task[32];

	bare_task(task, number);
	start_ns = bench_now_ns();
	peer_redis_publish(*(int *)arg, task);
	return start_ns;
}

static double redis_us(double percent)
{
	double us;
	int fd;

	peer_redis_start();
	fd = peer_redis_connect();
	us = percentile_us(&(struct pair){wait_for_redis, publish_redis, &fd, NULL, samples()}, percent);
	(void)close(fd);
	peer_redis_end();
	return us;
}

/* --- rows --------------------------------------------------------------------------------------------- */

#define OURS(side, thread, notice, percent, full)                                                        \
	static double side(const struct place *place)                                                    \
	{                                                                                                \
		return task_us(                                                                          \
			&(struct way){place, thread, notice, bench_count((full), SAMPLES_BRIEF), false}, \
			percent);                                                                        \
	}
#define THEIRS(side, measure, percent)                \
	static double side(const struct place *place) \
	{                                             \
		(void)place;                          \
		return measure(percent);              \
	}

OURS(bell_thread_p50, true, CANCEL_NOTICE_BELL, 50, SAMPLES)
OURS(bell_thread_p99, true, CANCEL_NOTICE_BELL, 99, SAMPLES)
OURS(bell_alone_p50, false, CANCEL_NOTICE_BELL, 50, SAMPLES)
OURS(bell_alone_p99, false, CANCEL_NOTICE_BELL, 99, SAMPLES)
OURS(inotify_p50, true, CANCEL_NOTICE_INOTIFY, 50, SAMPLES)
OURS(inotify_p99, true, CANCEL_NOTICE_INOTIFY, 99, SAMPLES)
OURS(poll_thread_p50, true, CANCEL_NOTICE_POLL, 50, SAMPLES / 5)
OURS(poll_thread_p99, true, CANCEL_NOTICE_POLL, 99, SAMPLES / 5)
OURS(poll_alone_p50, false, CANCEL_NOTICE_POLL, 50, SAMPLES / 5)
OURS(poll_alone_p99, false, CANCEL_NOTICE_POLL, 99, SAMPLES / 5)
THEIRS(futex_p50, futex_us, 50)
THEIRS(futex_p99, futex_us, 99)
THEIRS(eventfd_p50, eventfd_us, 50)
THEIRS(eventfd_p99, eventfd_us, 99)
THEIRS(redis_p50, redis_us, 50)
THEIRS(redis_p99, redis_us, 99)

static double from_call_us(double percent)
{
	return task_us(&(struct way){place_of(PLACE_MEMORY), false, CANCEL_NOTICE_BELL, samples(), true},
		       percent);
}

THEIRS(call_p50, from_call_us, 50)
THEIRS(call_p99, from_call_us, 99)

#define ROW(row_name, limit, peer_name, row_ours, row_theirs)                                  \
	{                                                                                      \
		.name = row_name, .unit = "us", .peer = peer_name, .repetitions = REPETITIONS, \
		.budget = {VALUE(limit), VALUE(limit)}, .ours = row_ours, .theirs = row_theirs \
	}
#define POLL_ROW(row_name, row_ours)                                                         \
	{                                                                                    \
		.name = row_name, .unit = "us", .repetitions = REPETITIONS, .ours = row_ours \
	}

static const struct bench rows[] = {
	ROW("task: notice by bell, thread, p50", 25, "futex wake-up", bell_thread_p50, futex_p50),
	ROW("task: notice by bell, thread, p99", 1000, "futex wake-up", bell_thread_p99, futex_p99),
	ROW("task: notice by bell, no thread, p50", 25, "futex wake-up", bell_alone_p50, futex_p50),
	ROW("task: notice by bell, no thread, p99", 1000, "futex wake-up", bell_alone_p99, futex_p99),
	ROW("task: notice by inotify, thread, p50", 60, "eventfd wake-up", inotify_p50, eventfd_p50),
	ROW("task: notice by inotify, thread, p99", 1000, "eventfd wake-up", inotify_p99, eventfd_p99),
	POLL_ROW("task: notice by polling, 10 ms, thread, p50", poll_thread_p50),
	POLL_ROW("task: notice by polling, 10 ms, thread, p99", poll_thread_p99),
	POLL_ROW("task: notice by polling, 10 ms, no thread, p50", poll_alone_p50),
	POLL_ROW("task: notice by polling, 10 ms, no thread, p99", poll_alone_p99),
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up};
BENCH_GROUP(group)

static void set_up_memory(const struct place *place)
{
	place_renew(place_of(PLACE_MEMORY));
	set_up(place);
}

#define REDIS_ROW(row_name, row_ours, row_theirs)                                                           \
	{                                                                                                   \
		.name = row_name, .unit = "us", .peer = "PUBLISH to SUBSCRIBE", .repetitions = REPETITIONS, \
		.needs = "redis-server", .ours = row_ours, .theirs = row_theirs                             \
	}

static const struct bench redis_rows[] = {
	REDIS_ROW("task: asking to noticing, bell, p50 (Redis)", call_p50, redis_p50),
	REDIS_ROW("task: asking to noticing, bell, p99 (Redis)", call_p99, redis_p99),
};
static struct bench_group redis_group = {
	.rows = redis_rows, .count = COUNT(redis_rows), .set_up = set_up_memory};
BENCH_GROUP(redis_group)
