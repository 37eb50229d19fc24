/*
 * Tasks that do nothing, through the scheduler: beside a pool of as many threads that knows no tasks, and
 * beside a task that is begun and ended by hand, which is what each costs without a scheduler.
 *
 * No more than so many are on their way at once, on both sides, because each task that waits holds a lease,
 * which is an open file. All is measured in children: threads would stay. They go wherever the system likes.
 */
#include "bare.h"
#include "child.h"
#include "fixture.h"
#include "harness.h"
#include "peer_pool.h"

#include <cancel/scheduler.h>

#include <semaphore.h>

#define THREADS     2
#define ON_THE_WAY  256
#define TASKS       10000
#define TASKS_BRIEF 500
#define POOL_TASKS  200000

static sem_t room;

static void make_room(unsigned count)
{
	if (sem_init(&room, 0, count) < 0)
		bench_fail("cannot make a semaphore");
}

static void wait_for_room(void)
{
	while (sem_wait(&room) < 0)
		;
}

static double us_each(int64_t start_ns, long count)
{
	return (double)(bench_now_ns() - start_ns) / 1e3 / (double)count;
}

/* --- the scheduler ------------------------------------------------------------------------------------ */

static int do_nothing(void *arg, const struct cancel_try *now)
{
	(void)arg;
	(void)now;
	return 0;
}

static void on_end(void *arg, const char *task_id, const struct cancel_scheduled *state)
{
	(void)arg;
	if (state->status != CANCEL_SCHEDULED_SUCCEEDED)
		bench_fail("task %s is %s", task_id, cancel_scheduled_text(state->status));
	(void)sem_post(&room);
}

static struct cancel_scheduler *open_scheduler(struct cancel_manager *manager)
{
	struct cancel_scheduler_options options;
	struct cancel_scheduler *scheduler;
	struct cancel_error error;

	if (cancel_scheduler_options_init(&options, &error) < 0)
		bench_fail("%s", error.text);
	options.threads = THREADS;
	if (cancel_scheduler_open(&scheduler, manager, &options, &error) < 0)
		bench_fail("%s", error.text);
	return scheduler;
}

static void submit(struct cancel_scheduler *scheduler, long number)
{
	struct cancel_submission submission;
	struct cancel_error error;
	char task[32];

	bare_task(task, number);
	cancel_submission_init(&submission, scheduler);
	submission.ended = on_end;
	wait_for_room();
	if (cancel_scheduler_submit(scheduler, task, do_nothing, NULL, &submission, &error) < 0)
		bench_fail("%s", error.text);
}

static double scheduler_here_us(const struct place *place)
{
	long count = bench_count(TASKS, TASKS_BRIEF);
	struct cancel_scheduler *scheduler;
	struct cancel_manager *manager;
	int64_t start_ns;
	double us;

	bench_unpin();
	make_room(ON_THE_WAY);
	manager = fixture_manager(place, "spool", true, CANCEL_NOTICE_AUTO, 0);
	scheduler = open_scheduler(manager);
	start_ns = bench_now_ns();
	for (long i = 0; i < count; i++)
		submit(scheduler, i);
	if (cancel_scheduler_drain(scheduler, CANCEL_FOREVER) < 0)
		bench_fail("a scheduler cannot be drained");
	us = us_each(start_ns, count);
	cancel_scheduler_close(scheduler);
	(void)cancel_manager_close(manager);
	return us;
}

static double scheduler_us(const struct place *place)
{
	return child_value(scheduler_here_us, place);
}

/* --- peers -------------------------------------------------------------------------------------------- */

static void give_room(void *arg)
{
	(void)arg;
	(void)sem_post(&room);
}

static double pool_here_us(const struct place *place)
{
	long count = bench_count(POOL_TASKS, TASKS_BRIEF);
	struct peer_pool pool;
	int64_t start_ns;
	double us;

	(void)place;
	bench_unpin();
	make_room(ON_THE_WAY);
	peer_pool_open(&pool, THREADS);
	start_ns = bench_now_ns();
	for (long i = 0; i < count; i++) {
		wait_for_room();
		peer_pool_submit(&pool, give_room, NULL);
	}
	peer_pool_drain(&pool);
	us = us_each(start_ns, count);
	peer_pool_close(&pool);
	return us;
}

static double pool_us(const struct place *place)
{
	return child_value(pool_here_us, place);
}

static double by_hand_here_us(const struct place *place)
{
	long count = bench_count(TASKS, TASKS_BRIEF);
	struct cancel_manager *manager;
	int64_t start_ns;
	double us;

	bench_unpin();
	manager = fixture_manager(place, "spool", true, CANCEL_NOTICE_AUTO, 0);
	start_ns = bench_now_ns();
	for (long i = 0; i < count; i++)
		fixture_end(fixture_begin(manager, i, true), CANCEL_OUTCOME_FINISHED);
	us = us_each(start_ns, count);
	(void)cancel_manager_close(manager);
	return us;
}

static double by_hand_us(const struct place *place)
{
	return child_value(by_hand_here_us, place);
}

/* --- in a second -------------------------------------------------------------------------------------- */

static double scheduler_each_second(const struct place *place)
{
	return 1e6 / scheduler_us(place);
}

static double pool_each_second(const struct place *place)
{
	return 1e6 / pool_us(place);
}

static const struct bench rows[] = {
	{.name = "scheduler: empty tasks in a second",
	 .unit = "/s",
	 .peer = "pthread pool, 2 threads",
	 .ours = scheduler_each_second,
	 .theirs = pool_each_second},
	{.name = "scheduler: each empty task",
	 .unit = "us",
	 .peer = "pthread pool, 2 threads",
	 .ours = scheduler_us,
	 .theirs = pool_us},
	{.name = "scheduler: each empty task, by hand",
	 .unit = "us",
	 .peer = "begin + end, lease, thread",
	 .ours = scheduler_us,
	 .theirs = by_hand_us},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true};
BENCH_GROUP(group)
