/*
 * Runs of one task that end together, each as finished: each would leave the task's request to the others,
 * and one of them must not. In the end of each round nothing is pending and nobody holds a lease.
 *
 * Rounds: a crew of processes begins runs of one task, some with a run id and some with two runs in one
 * process; then somebody asks; then all end at the same moment. What each end decided adds up to one.
 *
 * RUN_SECONDS is how long.
 *
 * Mutations that this catches: a lease that is dropped after the name's lock was let go of (two see each
 * other's, and nobody decides); a look for other leases without that lock; a decision by each (the second
 * finds another request, or none).
 */
#include "environment.h"
#include "spool_dir.h"
#include "stress_crew.h"
#include "stress_run.h"
#include "stress_spool.h"

#include <cancel/cancel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

enum {
	RUN_DEFAULT_S = 4,
	MEMBERS = 3,
	TASKS = 2, /* of one member, each ended by a thread of its own */
	POLL_INTERVAL_MS = 1000,
};

static struct spool_dir dir;

/* What all processes share. */
static struct shared {
	pthread_barrier_t begun, asked, ended, judged;
	atomic_bool is_over;
	atomic_int decided;
} * shared;

/* --- a member ----------------------------------------------------------------------------------------- */

struct run {
	struct cancel_task *task;
	pthread_t thread;
};

static void begin(struct cancel_manager *manager, struct run *run, const char *run_id)
{
	struct cancel_task_options options;
	struct cancel_error error;
	int code;

	cancel_task_options_init(&options);
	options.run = run_id;
	code = cancel_task_begin(&run->task, manager, "t", &options, &error);
	crew_expect(code >= 0, "beginning: %s", error.text);
	crew_expect(code != 1, "a request of the round before stopped the next run");
}

static void end(struct run *run)
{
	struct cancel_error error;
	int code = cancel_task_end(run->task, CANCEL_OUTCOME_FINISHED, NULL, &error);

	crew_expect(code >= 0, "ending: %s", error.text);
	if (code > 0)
		(void)atomic_fetch_add(&shared->decided, code);
}

static void *end_on_a_thread(void *run)
{
	end(run);
	return NULL;
}

static void end_all(struct run *runs, int count, uint64_t *random)
{
	for (int i = 1; i < count; i++)
		if (pthread_create(&runs[i].thread, NULL, end_on_a_thread, &runs[i]) != 0)
			abort();
	stress_dawdle(random);
	end(&runs[0]);
	for (int i = 1; i < count; i++)
		(void)pthread_join(runs[i].thread, NULL);
}

static void play_member(int number)
{
	struct cancel_manager *manager =
		stress_manager_open(dir.path, number % 2 == 1, CANCEL_NOTICE_AUTO, POLL_INTERVAL_MS);
	uint64_t random = crew_seed((unsigned)number + 1);

	do {
		struct run runs[TASKS];
		int count = 1 + (int)stress_pick(&random, TASKS);

		for (int i = 0; i < count; i++)
			begin(manager, &runs[i], stress_one_in(&random, 2) ? "r" : NULL);
		(void)pthread_barrier_wait(&shared->begun);
		(void)pthread_barrier_wait(&shared->asked);
		end_all(runs, count, &random);
		(void)pthread_barrier_wait(&shared->ended);
		(void)pthread_barrier_wait(&shared->judged);
	} while (!atomic_load(&shared->is_over));
	crew_expect(cancel_manager_close(manager) == 0, "closing");
}

/* --- the round ---------------------------------------------------------------------------------------- */

static int count_run(void *count, const struct cancel_run *run)
{
	(void)run;
	++*(int *)count;
	return 0;
}

static void judge(struct cancel_spool *spool)
{
	struct cancel_error error;
	int runs = 0;

	crew_expect(stress_look(spool, "t", NULL).state == CANCEL_LOOKUP_PROCESSED,
		    "all have finished, and the request is left behind");
	crew_expect(atomic_load(&shared->decided) == 1, "%d decided it", atomic_load(&shared->decided));
	crew_expect(cancel_spool_runs(spool, count_run, &runs, &error) == 0 && runs == 0, "%d run still",
		    runs);
	/* A request that was left is for nobody in the next round. */
	(void)stress_decide(spool, "t", NULL, CANCEL_OUTCOME_WITHDRAWN);
	atomic_store(&shared->decided, 0);
}

static void play_round(struct cancel_spool *spool, bool is_last)
{
	char id[STRESS_ID_SIZE];

	(void)pthread_barrier_wait(&shared->begun);
	(void)stress_ask(spool, "t", NULL, id);
	(void)pthread_barrier_wait(&shared->asked);
	(void)pthread_barrier_wait(&shared->ended);
	judge(spool);
	atomic_store(&shared->is_over, is_last);
	(void)pthread_barrier_wait(&shared->judged);
	crew_step();
}

static void make_barriers(void)
{
	pthread_barrier_t *const barriers[] = {&shared->begun, &shared->asked, &shared->ended,
					       &shared->judged};
	pthread_barrierattr_t attributes;

	if (pthread_barrierattr_init(&attributes) != 0 ||
	    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0)
		abort();
	for (size_t i = 0; i < sizeof(barriers) / sizeof(barriers[0]); i++)
		if (pthread_barrier_init(barriers[i], &attributes, MEMBERS + 1) != 0)
			abort();
}

/* Before this process opens the spool: a member has no copy of it. */
static void start_members(pid_t pids[MEMBERS])
{
	for (int i = 0; i < MEMBERS; i++) {
		pids[i] = crew_fork();
		if (pids[i] == 0) {
			play_member(i);
			exit(0);
		}
	}
}

int main(void)
{
	int64_t ends_ns = stress_now_ns() + environment_number("RUN_SECONDS", RUN_DEFAULT_S) * CANCEL_SECOND;
	struct cancel_spool *spool;
	unsigned long rounds = 0;
	pid_t pids[MEMBERS];
	bool is_last;

	crew_begin("finish");
	shared = crew_share(sizeof(*shared));
	make_barriers();
	spool_dir_make(&dir);
	start_members(pids);
	spool = stress_spool_open(dir.path);
	do {
		is_last = stress_now_ns() >= ends_ns;
		play_round(spool, is_last);
		rounds++;
	} while (!is_last);
	for (int i = 0; i < MEMBERS; i++)
		crew_reap(pids[i]);
	cancel_spool_close(spool);
	spool_dir_remove(&dir);
	return crew_end("%lu rounds of %d processes that finish together", rounds, MEMBERS);
}
