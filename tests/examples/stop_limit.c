/*
 * Stopping with a limit: a service finishes the jobs that it has accepted, until a token says that stopping
 * need not be graceful any more; then it gives up the job that it is at.
 *
 *     stop_limit
 */
#include <cancel/cause.h>
#include <cancel/deadline.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR (3600 * CANCEL_SECOND)

static const struct cancel_cause out_of_patience =
	CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "the limit is reached");

struct service {
	struct cancel_source accepting; /* cancelled: no new jobs, finish what is there */
	struct cancel_source working;   /* cancelled: give up */
	struct cancel_source stopped;   /* cancelled: the worker has ended */
	struct cancel_source hanging;   /* cancelled: it has come to the job that hangs */
	pthread_t worker;
	int jobs;
	int hanging_job; /* the one whose peer never answers; 0: none */
	int done;
};

static int do_job(struct service *service, int job)
{
	struct cancel_token token = cancel_source_token(&service->working);

	if (job == service->hanging_job) {
		cancel_source_cancel(&service->hanging, NULL);
		cancel_token_wait(token, CANCEL_FOREVER);
	}
	return cancel_token_error(token);
}

static void *work(void *arg)
{
	struct service *service = arg;

	while (service->done < service->jobs && do_job(service, service->done + 1) == 0)
		service->done++;
	if (!cancel_token_requested(cancel_source_token(&service->working)))
		cancel_token_wait(cancel_source_token(&service->accepting), CANCEL_FOREVER);
	cancel_source_cancel(&service->stopped, NULL);
	return NULL;
}

static int service_start(struct service *service, int jobs, int hanging_job)
{
	cancel_source_init(&service->accepting, NULL);
	cancel_source_init(&service->working, NULL);
	cancel_source_init(&service->stopped, NULL);
	cancel_source_init(&service->hanging, NULL);
	service->jobs = jobs;
	service->hanging_job = hanging_job;
	service->done = 0;
	return -pthread_create(&service->worker, NULL, work, service);
}

/* True: it was graceful. */
static bool service_stop(struct service *service, struct cancel_token no_longer_graceful)
{
	struct cancel_token either[] = {cancel_source_token(&service->stopped), no_longer_graceful};
	bool graceful;

	cancel_source_cancel(&service->accepting, NULL);
	graceful = cancel_token_wait_any(either, 2, CANCEL_FOREVER) == 0;
	if (!graceful)
		cancel_source_cancel(&service->working, cancel_token_cause(no_longer_graceful));
	pthread_join(service->worker, NULL);
	cancel_source_fini(&service->accepting);
	cancel_source_fini(&service->working);
	cancel_source_fini(&service->stopped);
	cancel_source_fini(&service->hanging);
	return graceful;
}

static int stop_within(const char *what, struct service *service, int64_t limit_ns)
{
	struct cancel_source limit = CANCEL_SOURCE_INIT;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct cancel_token token = cancel_source_token(&limit);
	int result = cancel_deadline_set(&deadline, &limit, limit_ns, &out_of_patience);

	if (result < 0)
		cancel_source_cancel(&limit, NULL); /* without a limit there is no waiting */
	if (service_stop(service, token))
		printf("%s: %d of %d jobs done\n", what, service->done, service->jobs);
	else
		printf("%s: %d of %d jobs done, then %s\n", what, service->done, service->jobs,
		       cancel_token_cause(token)->text);
	cancel_deadline_stop(&deadline);
	cancel_source_fini(&limit);
	return result;
}

int main(void)
{
	struct service service;

	if (service_start(&service, 5, 0) < 0 || stop_within("a quick service", &service, HOUR) < 0)
		return EXIT_FAILURE;
	if (service_start(&service, 5, 4) < 0)
		return EXIT_FAILURE;
	cancel_token_wait(cancel_source_token(&service.hanging), CANCEL_FOREVER);
	if (stop_within("one that hangs", &service, 500 * CANCEL_MILLISECOND) < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
