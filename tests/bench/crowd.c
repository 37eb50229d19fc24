#include "crowd.h"

#include "child.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 2000
#define PROCESS_BYTES (2L << 20) /* and two thirds of what is free are left alone */
#define FREE_SHARE    3
#define STACK_SIZE    (256 * 1024)
#define LOOK_NS       200000
#define DEADLINE_NS   (300 * INT64_C(1000000000))

/* Shared with all of them. */
struct bulletin {
	_Atomic long begun;
	_Atomic long awake;
	_Atomic long latest; /* who woke up last */
	_Atomic int64_t awake_ns;
};

struct worker {
	const struct place *place;
	const char *name;
	long first, count; /* its waiters */
};

struct waiter {
	struct cancel_manager *manager;
	long number;
};

static struct bulletin *bulletin;
static pid_t pids[PROCESSES_MAX];
static long process_count;
static long awaited;

/* --- one of them -------------------------------------------------------------------------------------- */

static void wait_once(const struct waiter *waiter)
{
	struct cancel_task *task = fixture_begin(waiter->manager, waiter->number, true);

	atomic_fetch_add(&bulletin->begun, 1);
	if (cancel_task_wait(task, CANCEL_FOREVER) != 1)
		bench_fail("waiting ended, and the task is not cancelled");
	atomic_store(&bulletin->awake_ns, bench_now_ns());
	atomic_store(&bulletin->latest, waiter->number);
	atomic_fetch_add(&bulletin->awake, 1);
	fixture_end(task, CANCEL_OUTCOME_STOPPED);
}

/* Afterwards it waits again, so that there are as many as before. */
static void *wait_for_ever(void *arg)
{
	for (;;)
		wait_once(arg);
	return NULL;
}

static void start_thread(struct waiter *waiter)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int code = pthread_attr_init(&attributes);

	if (code == 0)
		code = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (code == 0)
		code = pthread_create(&thread, &attributes, wait_for_ever, waiter);
	if (code)
		bench_fail("cannot start a thread: %s", strerror(code));
	(void)pthread_attr_destroy(&attributes);
}

static void run_worker(const void *arg)
{
	const struct worker *worker = arg;
	struct waiter *waiters = calloc((size_t)worker->count, sizeof *waiters);
	struct cancel_manager *manager;

	bench_spread((unsigned)(worker->first / worker->count));
	manager = fixture_manager(worker->place, worker->name, false, CANCEL_NOTICE_BELL, 0);
	if (!waiters)
		bench_fail("out of memory");
	for (long i = 0; i < worker->count; i++) {
		waiters[i] = (struct waiter){manager, worker->first + i};
		if (i > 0)
			start_thread(&waiters[i]);
	}
	(void)wait_for_ever(&waiters[0]);
}

/* --- all of them -------------------------------------------------------------------------------------- */

static long processes_for(long waiters)
{
	long free_bytes = sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
	long count = free_bytes / FREE_SHARE / PROCESS_BYTES;

	count = count > PROCESSES_MAX ? PROCESSES_MAX : count < 1 ? 1 : count;
	return count > waiters ? waiters : count;
}

static void wait_until_all_have_begun(long waiters)
{
	int64_t deadline = bench_now_ns() + DEADLINE_NS;

	while (atomic_load(&bulletin->begun) < waiters) {
		if (bench_now_ns() > deadline)
			bench_fail("%ld of %ld have begun to wait", (long)atomic_load(&bulletin->begun),
				   waiters);
		(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

void crowd_start(const struct place *place, const char *name, long waiters)
{
	long processes = processes_for(waiters), each = (waiters + processes - 1) / processes;

	if (!bulletin)
		bulletin = child_share(sizeof *bulletin);
	memset((void *)bulletin, 0, sizeof *bulletin);
	awaited = 0;
	process_count = 0;
	for (long first = 0; first < waiters; first += each) {
		long count = waiters - first < each ? waiters - first : each;

		pids[process_count++] = process_fork(run_worker, &(struct worker){place, name, first, count});
	}
	(void)fprintf(stderr, "bench: %ld waiters in %ld processes\n", waiters, process_count);
	wait_until_all_have_begun(waiters);
}

void crowd_end(void)
{
	for (long i = 0; i < process_count; i++)
		process_end(pids[i]);
	process_count = 0;
}

int64_t crowd_await(long number)
{
	int64_t deadline = bench_now_ns() + DEADLINE_NS;

	awaited++;
	while (atomic_load(&bulletin->awake) < awaited) {
		if (bench_now_ns() > deadline)
			bench_fail("waiter %ld does not wake up", number);
		/* Not busily: half of them have this processor to wake up on. */
		(void)nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	if (atomic_load(&bulletin->awake) != awaited || atomic_load(&bulletin->latest) != number)
		bench_fail("waiter %ld was asked, and another one woke up", number);
	return atomic_load(&bulletin->awake_ns);
}

int64_t crowd_cpu_ns(void)
{
	int64_t sum_ns = 0;

	for (long i = 0; i < process_count; i++) {
		struct timespec used;
		clockid_t clock;

		if (clock_getcpuclockid(pids[i], &clock) != 0 || clock_gettime(clock, &used) < 0)
			bench_fail("cannot read what a process has cost");
		sum_ns += (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
	}
	return sum_ns;
}

static long instances_of(pid_t pid)
{
	char path[64], target[64];
	struct dirent *entry;
	long count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	dir = opendir(path);
	if (!dir)
		bench_fail("cannot read '%s': %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		target[length < 0 ? 0 : length] = '\0';
		count += strcmp(target, "anon_inode:inotify") == 0;
	}
	(void)closedir(dir);
	return count;
}

long crowd_inotify_instances(void)
{
	long count = 0;

	for (long i = 0; i < process_count; i++)
		count += instances_of(pids[i]);
	return count;
}
