/*
 * A token that means "go": ten workers wait for it and begin at once, when a time has come or when somebody
 * says so. A token is a flag that goes up once; stopping is only the best known use of it.
 *
 *     start
 */
#include <cancel/cause.h>
#include <cancel/clock.h>
#include <cancel/deadline.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 10, ITERATIONS = 10 };

static const struct cancel_cause shot = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the starter said go");
static const struct cancel_cause hour = CANCEL_CAUSE_INIT(CANCEL_KIND_USER + 1, "the hour has come");

struct worker {
	struct cancel_token go;
	int iterations;
	pthread_t thread;
};

static void *run(void *arg)
{
	struct worker *worker = arg;

	cancel_token_wait(worker->go, CANCEL_FOREVER);
	while (worker->iterations < ITERATIONS)
		worker->iterations++;
	return NULL;
}

/* How many could be started. */
static int start_workers(struct worker *workers, struct cancel_token go)
{
	int count;

	for (count = 0; count < WORKERS; count++) {
		workers[count] = (struct worker){.go = go};
		if (pthread_create(&workers[count].thread, NULL, run, &workers[count]) != 0)
			break;
	}
	return count;
}

static void finish_workers(struct worker *workers, int count, struct cancel_token go)
{
	for (int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		printf("  worker %d: %d iterations\n", i, workers[i].iterations);
	}
	printf("  they began because %s\n", cancel_token_cause(go)->text);
}

static bool start_by_hand(void)
{
	struct cancel_source start = CANCEL_SOURCE_INIT;
	struct cancel_token go = cancel_source_token(&start);
	struct worker workers[WORKERS];
	int count;

	printf("by hand\n");
	count = start_workers(workers, go);
	cancel_source_cancel(&start, &shot);
	finish_workers(workers, count, go);
	cancel_source_fini(&start);
	return count == WORKERS;
}

static bool start_in_time(void)
{
	struct cancel_source start = CANCEL_SOURCE_INIT;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct cancel_token go = cancel_source_token(&start);
	struct worker workers[WORKERS];
	int64_t at_ns = cancel_clock_now_ns() + 20 * CANCEL_MILLISECOND;
	int count;

	printf("in time\n");
	if (cancel_deadline_set_at(&deadline, &start, at_ns, &hour) < 0)
		return false;
	count = start_workers(workers, go);
	finish_workers(workers, count, go);
	printf("  not a moment before: %s\n", cancel_clock_now_ns() >= at_ns ? "yes" : "no");
	cancel_deadline_stop(&deadline);
	cancel_source_fini(&start);
	return count == WORKERS;
}

int main(void)
{
	return start_by_hand() && start_in_time() ? EXIT_SUCCESS : EXIT_FAILURE;
}
