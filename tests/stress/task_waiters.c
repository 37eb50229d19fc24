/*
 * Many workers that wait, each for its own task, without a thread: a request wakes the right one, and no
 * other; no waiter has an inotify instance; what they cost while nothing happens is measured.
 *
 *   processes   as many as memory and limits allow, but at least some are
 *   threads     in processes of some hundred each
 *
 * WAITERS is how many in all, PROCESSES how many of them are processes of their own, QUIET_SECONDS how long
 * nothing happens while their time on the processor is measured, RUN_SECONDS how long requests are made
 * before that. Times are printed and never judged.
 *
 * Mutations that this catches: a word of the bell that is rung for another task than the one that is asked
 * for; a wake that cancels without a look; a waiter that opens an inotify instance; a group's request that
 * wakes only some.
 */
#include "environment.h"
#include "process.h"
#include "spool_dir.h"
#include "stress_crew.h"
#include "stress_run.h"
#include "stress_spool.h"
#include "watcher_pose.h"

#include <cancel/cancel.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	WAITERS_DEFAULT = STRESS_UNDER_TSAN ? 24 : 200,
	WAITERS_SLOW = 16,        /* under a checker that makes everything slow: $CANCEL_TEST_SLOW */
	THREADS_SHARE = 8,        /* at least one in so many waiters is a thread */
	THREADS_EACH = 400,       /* in one process */
	STACK_BYTES = 256 * 1024, /* of a waiter that is a thread */
	PROCESS_KB = STRESS_UNDER_TSAN ? 20000 : 700,
	MEMORY_SHARE = 2, /* one part in so many of what is free is taken */
	RUN_DEFAULT_S = 3,
	QUIET_DEFAULT_S = 1,
	SETTLE_MS = 1500, /* the longest round of a sleeper who has not heard of a watcher yet */
	WAKE_MS = 12000,  /* long before a sleeper looks by itself where a watcher is about */
	ALL_MS = 60000,
	BURST_MAX = 8,
	DROPS = 3,
	SAMPLES_MAX = 1 << 20,
};

#define EVERYBODY "everybody"

/* --- waiters ------------------------------------------------------------------------------------------ */

struct waiter {
	atomic_uint asked; /* how often it was asked for, counted before the request is made */
	atomic_uint woken; /* how often it read cancelled */
	atomic_uint begun;
	_Atomic int64_t asked_ns, woken_ns;
	atomic_bool over;
};

static struct spool_dir dir;
static struct waiter *waiters;
static atomic_bool *leaving; /* everybody was asked for */
static unsigned count;

static void name_of(char name[32], unsigned number)
{
	(void)snprintf(name, 32, "waiter-%u", number);
}

static struct cancel_task *begin(struct cancel_manager *manager, unsigned number)
{
	const char *const also[] = {EVERYBODY};
	struct cancel_task_options options;
	struct cancel_error error;
	struct cancel_task *task;
	char name[32];
	int code;

	name_of(name, number);
	cancel_task_options_init(&options);
	options.also = also;
	options.also_count = 1;
	code = cancel_task_begin(&task, manager, name, &options, &error);
	if (code < 0) {
		crew_expect(false, "%s: beginning says %d: %s", name, code, error.text);
		exit(1);
	}
	return task;
}

/* It was asked for; returns whether that was for everybody. */
static bool judge_wake(const struct cancel_task *task, unsigned number)
{
	unsigned asked = atomic_load(&waiters[number].asked), woken = atomic_load(&waiters[number].woken);
	struct cancel_why why;
	bool everybody;

	cancel_task_why(task, &why);
	crew_expect(why.kind == CANCEL_WHY_REQUEST, "waiter %u: cancelled by %d", number, why.kind);
	everybody = why.id && !strcmp(why.id, EVERYBODY);
	if (everybody)
		crew_expect(atomic_load(leaving), "waiter %u: cancelled for everybody, whom nobody asked for",
			    number);
	else
		crew_expect(asked == woken, "waiter %u: cancelled %u times, asked for %u times", number,
			    woken, asked);
	return everybody;
}

static void end(struct cancel_task *task, unsigned number, bool everybody)
{
	struct cancel_error error;
	int code = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error);

	crew_expect(code == !everybody, "waiter %u: the end decided %d: %s", number, code,
		    code < 0 ? error.text : "");
}

/* Run after run, until everybody is asked for. */
static void wait_on(struct cancel_manager *manager, unsigned number)
{
	struct waiter *waiter = &waiters[number];
	bool everybody = false;

	while (!everybody) {
		struct cancel_task *task = begin(manager, number);
		int code;

		(void)atomic_fetch_add(&waiter->begun, 1);
		code = cancel_task_wait(task, CANCEL_FOREVER);
		atomic_store(&waiter->woken_ns, stress_now_ns());
		crew_expect(code == 1, "waiter %u: the wait says %d", number, code);
		(void)atomic_fetch_add(&waiter->woken, 1);
		everybody = judge_wake(task, number);
		end(task, number, everybody);
	}
	atomic_store(&waiter->over, true);
	crew_step();
}

static struct cancel_manager *open_manager(void)
{
	return stress_manager_open(dir.path, false, CANCEL_NOTICE_AUTO, CANCEL_SECOND / CANCEL_MILLISECOND);
}

static _Noreturn void be_process(unsigned number)
{
	struct cancel_manager *manager = open_manager();

	wait_on(manager, number);
	crew_expect(cancel_manager_close(manager) == 0, "closing the manager");
	exit(0);
}

/* --- threads ------------------------------------------------------------------------------------------ */

struct seat {
	pthread_t thread;
	struct cancel_manager *manager;
	unsigned number;
};

static void *be_thread(void *arg)
{
	const struct seat *seat = arg;

	wait_on(seat->manager, seat->number);
	return NULL;
}

static void start_thread(struct seat *seat)
{
	pthread_attr_t attributes;

	if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
	    pthread_create(&seat->thread, &attributes, be_thread, seat) != 0) {
		perror("a thread");
		abort();
	}
	(void)pthread_attr_destroy(&attributes);
}

static _Noreturn void be_threads(unsigned first, unsigned amount)
{
	static struct seat seats[THREADS_EACH];
	struct cancel_manager *manager = open_manager();

	for (unsigned i = 0; i < amount; i++) {
		seats[i] = (struct seat){.manager = manager, .number = first + i};
		start_thread(&seats[i]);
	}
	for (unsigned i = 0; i < amount; i++)
		(void)pthread_join(seats[i].thread, NULL);
	crew_expect(cancel_manager_close(manager) == 0, "closing the manager");
	exit(0);
}

/* --- how many of which -------------------------------------------------------------------------------- */

static long free_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	long kb = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %ld kB", &kb) == 1)
			break;
	if (file)
		(void)fclose(file);
	return kb;
}

static long least(long one, long other)
{
	return one < other ? one : other;
}

static long process_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NPROC, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return LONG_MAX;
	return (long)limit.rlim_cur / 2;
}

/* Every sort takes part, however much memory there is. */
static unsigned count_processes(void)
{
	long most = (long)(count - (count + THREADS_SHARE - 1) / THREADS_SHARE);
	long room = least(free_kb() / MEMORY_SHARE / PROCESS_KB, process_limit());

	return (unsigned)least((long)count, crew_number("PROCESSES", least(most, room)));
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* --- the crowd ---------------------------------------------------------------------------------------- */

static pid_t *crowd;
static unsigned crowd_size, processes;

static bool all_begun(void *arg)
{
	unsigned number;

	(void)arg;
	for (number = 0; number < count; number++)
		if (atomic_load(&waiters[number].begun) == 0)
			return false;
	return true;
}

static void start_crowd(void)
{
	unsigned number = 0;

	processes = count_processes();
	crowd = calloc(count, sizeof(*crowd));
	if (!crowd)
		abort();
	for (; number < processes; number++)
		if ((crowd[crowd_size++] = crew_fork()) == 0)
			be_process(number);
	for (; number < count; number += THREADS_EACH)
		if ((crowd[crowd_size++] = crew_fork()) == 0)
			be_threads(number, (unsigned)least(THREADS_EACH, (long)(count - number)));
	crew_expect(wait_until(all_begun, NULL, ALL_MS + (int64_t)count * 10), "not all have begun");
}

/* --- asking ------------------------------------------------------------------------------------------- */

static int64_t *samples;
static size_t samples_count;

static bool is_back(void *arg)
{
	const struct waiter *waiter = arg;
	unsigned asked = atomic_load(&waiter->asked);

	return atomic_load(&waiter->woken) == asked && atomic_load(&waiter->begun) == asked + 1;
}

static void note_sample(const struct waiter *waiter, bool sampled)
{
	if (sampled && samples_count < SAMPLES_MAX)
		samples[samples_count++] = atomic_load(&waiter->woken_ns) - atomic_load(&waiter->asked_ns);
}

static void await_back(unsigned number, bool sampled)
{
	struct waiter *waiter = &waiters[number];

	for (int turns = 0; turns < 1000 && !is_back(waiter); turns++)
		(void)sched_yield();
	if (wait_until(is_back, waiter, WAKE_MS))
		note_sample(waiter, sampled);
	else
		crew_expect(false, "waiter %u was asked for and does not wake", number);
}

static void ask(struct cancel_spool *spool, unsigned number)
{
	char name[32], id[STRESS_ID_SIZE];

	name_of(name, number);
	(void)atomic_fetch_add(&waiters[number].asked, 1);
	atomic_store(&waiters[number].asked_ns, stress_now_ns());
	crew_expect(stress_ask(spool, name, NULL, id) == CANCEL_REQUESTED, "%s: one stood already", name);
}

/* Different ones, however few there are. */
static unsigned pick_burst(uint64_t *random, unsigned numbers[BURST_MAX])
{
	unsigned size = stress_one_in(random, 8)
				? 1 + stress_pick(random, (unsigned)least(BURST_MAX, (long)count))
				: 1;
	unsigned first = stress_pick(random, count), apart = count / BURST_MAX > 0 ? count / BURST_MAX : 1;

	for (unsigned i = 0; i < size; i++)
		numbers[i] = (first + i * apart) % count;
	return size;
}

static void ask_some(struct cancel_spool *spool, uint64_t *random)
{
	unsigned numbers[BURST_MAX], size = pick_burst(random, numbers);

	for (unsigned i = 0; i < size; i++)
		ask(spool, numbers[i]);
	for (unsigned i = 0; i < size; i++)
		await_back(numbers[i], size == 1);
}

/* Those that are not asked for are as they were. */
static void judge_others(void)
{
	for (unsigned number = 0; number < count; number++)
		crew_expect(atomic_load(&waiters[number].woken) == atomic_load(&waiters[number].asked),
			    "waiter %u woke %u times and was asked for %u times", number,
			    atomic_load(&waiters[number].woken), atomic_load(&waiters[number].asked));
}

static void ask_for_a_while(struct cancel_spool *spool)
{
	int64_t ends_ns =
		stress_now_ns() + environment_number("RUN_SECONDS", RUN_DEFAULT_S) * CANCEL_SECOND / 2;
	uint64_t random = crew_seed(0);

	do {
		ask_some(spool, &random);
		crew_step();
	} while (stress_now_ns() < ends_ns);
	judge_others();
}

/* As far as the waiters see there is a watcher, and what is not rung for they find much later. */
static void ask_where_only_rings_wake(struct cancel_spool *spool)
{
	int posed_fd = watcher_pose(dir.path);

	crew_expect(posed_fd >= 0, "there is no bell");
	ask_for_a_while(spool);
	(void)close(posed_fd);
}

/* As a program does that knows no bell: a watcher takes it in, and rings. */
static void drop(unsigned number)
{
	char name[32], path[128];
	int fd;

	name_of(name, number);
	(void)snprintf(path, sizeof(path), "%s/%s.json", dir.path, name);
	(void)atomic_fetch_add(&waiters[number].asked, 1);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	crew_expect(fd >= 0 && write(fd, "{}", 2) == 2, "%s: cannot be dropped", name);
	(void)close(fd);
}

static void drop_some(void)
{
	uint64_t random = crew_seed(1);

	for (int i = 0; i < DROPS; i++) {
		unsigned number = stress_pick(&random, count);

		drop(number);
		await_back(number, false);
	}
	judge_others();
}

/* --- what they hold and cost -------------------------------------------------------------------------- */

static void judge_descriptors(pid_t pid)
{
	char path[64], target[64], link[400];
	struct dirent *entry;
	DIR *stream;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	stream = opendir(path);
	crew_expect(stream != NULL, "%s cannot be read", path);
	while (stream && (entry = readdir(stream))) {
		ssize_t length;

		(void)snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		length = readlink(link, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		crew_expect(!strstr(target, "inotify"), "process %ld has an inotify instance", (long)pid);
	}
	if (stream)
		(void)closedir(stream);
}

/* Of all, in nanoseconds: the clock of a process is finer than the ticks in its stat. */
static int64_t used_ns(void)
{
	int64_t sum_ns = 0;

	for (unsigned i = 0; i < crowd_size; i++) {
		struct timespec used;
		clockid_t clock;

		if (clock_getcpuclockid(crowd[i], &clock) == 0 && clock_gettime(clock, &used) == 0)
			sum_ns += used.tv_sec * CANCEL_SECOND + used.tv_nsec;
	}
	return sum_ns;
}

static void pass(int64_t length_ns)
{
	const struct timespec pause = {.tv_sec = length_ns / CANCEL_SECOND,
				       .tv_nsec = length_ns % CANCEL_SECOND};

	(void)nanosleep(&pause, NULL);
}

/* Percent of a processor for a thousand waiters. Nothing happens meanwhile, which is what is measured. */
static double measure_idle(void)
{
	int64_t length_ns = environment_number("QUIET_SECONDS", QUIET_DEFAULT_S) * CANCEL_SECOND, before_ns;

	pass(SETTLE_MS * CANCEL_MILLISECOND);
	before_ns = used_ns();
	pass(length_ns);
	return (double)(used_ns() - before_ns) / (double)length_ns * 100 * 1000 / count;
}

/* --- the watcher -------------------------------------------------------------------------------------- */

#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"

static bool is_watched(void *arg)
{
	struct cancel_spool_info info;

	return cancel_spool_info(arg, &info, NULL) == 0 && info.is_watched;
}

static void start_watcher(struct process *watcher, struct cancel_spool *spool)
{
	char variable[80];

	(void)snprintf(variable, sizeof(variable), "TASK_CANCELLATION_DIR=%s", dir.path);
	process_start(watcher, WORDS(CANCELWATCH), WORDS(variable, "CANCEL_CONFIG="), NULL);
	crew_expect(wait_until(is_watched, spool, ALL_MS), "a watcher is about, and nobody sees it");
}

/* Under a checker only the stress programs may have been built. */
static bool has_watcher(void)
{
	return access(CANCELWATCH, X_OK) == 0;
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static bool all_over(void *arg)
{
	(void)arg;
	for (unsigned number = 0; number < count; number++)
		if (!atomic_load(&waiters[number].over))
			return false;
	return true;
}

/* One request wakes them all, and stays. */
static void ask_for_everybody(struct cancel_spool *spool)
{
	char id[STRESS_ID_SIZE];

	atomic_store(leaving, true);
	(void)stress_ask(spool, EVERYBODY, NULL, id);
	crew_expect(wait_until(all_over, NULL, ALL_MS + (int64_t)count * 10),
		    "everybody was asked for, and not all woke");
	for (unsigned i = 0; i < crowd_size; i++)
		crew_reap(crowd[i]);
	crew_expect(stress_look(spool, EVERYBODY, NULL).state == CANCEL_LOOKUP_PENDING,
		    "a group's request was decided by a member");
}

static int by_size(const void *one, const void *other)
{
	const int64_t *a = one, *b = other;

	return (*a > *b) - (*a < *b);
}

static double percentile_us(unsigned per_cent)
{
	return samples_count ? (double)samples[(samples_count - 1) * per_cent / 100] / 1000 : 0;
}

/* Static, so that a leak checker finds it in the processes that are forked. */
static struct cancel_spool *spool;
static double idle_alone, idle_watched;
static bool watched;

static void measure_watched(void)
{
	struct process watcher;

	if (!has_watcher())
		return;
	watched = true;
	start_watcher(&watcher, spool);
	drop_some();
	idle_watched = measure_idle();
	process_free(&watcher);
}

static void play(void)
{
	spool_dir_make(&dir);
	spool = stress_spool_open(dir.path);
	start_crowd();
	ask_for_a_while(spool);
	idle_alone = measure_idle();
	for (unsigned i = 0; i < crowd_size; i++)
		judge_descriptors(crowd[i]);
	ask_where_only_rings_wake(spool);
	measure_watched();
	ask_for_everybody(spool);
	cancel_spool_close(spool);
	spool_dir_remove(&dir);
}

int main(void)
{
	char with_watcher[48] = "";

	crew_begin("waiters");
	count = (unsigned)crew_number("WAITERS", getenv("CANCEL_TEST_SLOW") ? WAITERS_SLOW : WAITERS_DEFAULT);
	allow_descriptors();
	waiters = crew_share(count * sizeof(*waiters));
	leaving = crew_share(sizeof(*leaving));
	samples = crew_share(SAMPLES_MAX * sizeof(*samples));
	play();
	free(crowd);
	qsort(samples, samples_count, sizeof(*samples), by_size);
	if (watched)
		(void)snprintf(with_watcher, sizeof(with_watcher), ", %.2f %% with a watcher", idle_watched);
	return crew_end(
		"%u processes, %u threads, %zu woke alone: asked to awake p50 %.0f us, p99 %.0f us; idle "
		"%.2f %% of a processor per 1,000%s",
		processes, count - processes, samples_count, percentile_us(50), percentile_us(99), idle_alone,
		with_watcher);
}
