#include "stress_spool.h"

#include "stress_crew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what, const struct cancel_error *error)
{
	(void)fprintf(stderr, "%s: %s\n", what, error->text);
	abort();
}

static void set_options(struct cancel_spool_options *options, const char *path)
{
	cancel_spool_options_init(options);
	options->path = path;
	options->create = true;
}

struct cancel_spool *stress_spool_open(const char *path)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool;
	struct cancel_error error;

	set_options(&options, path);
	if (cancel_spool_open(&spool, &options, &error) < 0)
		give_up("cancel_spool_open", &error);
	return spool;
}

struct cancel_manager *stress_manager_open(const char *path, bool thread, enum cancel_notice notice,
					   int64_t poll_interval_ms)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager;
	struct cancel_error error;

	set_options(&spool, path);
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	options.notice = notice;
	options.poll_interval_ms = poll_interval_ms;
	if (cancel_manager_open(&manager, &options, &error) < 0)
		give_up("cancel_manager_open", &error);
	return manager;
}

int stress_ask(struct cancel_spool *spool, const char *task_id, const char *run, char id[STRESS_ID_SIZE])
{
	struct cancel_request request, standing;
	struct cancel_error error;
	int code;

	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = task_id;
	request.run = run;
	code = cancel_spool_request(spool, &request, &standing, &error);
	crew_expect(code >= 0, "asking for '%s': %d: %s", task_id, code, error.text);
	(void)strcpy(id, code == CANCEL_ALREADY_PENDING ? standing.request_id : request.request_id);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
	return code;
}

int stress_decide(struct cancel_spool *spool, const char *task_id, const char *run,
		  enum cancel_outcome outcome)
{
	struct cancel_error error;
	int code = cancel_spool_decide(spool, task_id, run, NULL, outcome, NULL, NULL, &error);

	crew_expect(code >= 0 || code == -ENOENT, "deciding '%s': %d: %s", task_id, code, error.text);
	return code;
}

struct stress_place stress_look(struct cancel_spool *spool, const char *task_id, const char *run)
{
	struct cancel_request found;
	struct stress_place place;
	struct cancel_error error;
	int code;

	cancel_request_init(&found);
	code = cancel_spool_lookup(spool, task_id, run, &found, &error);
	crew_expect(code >= 0, "looking up '%s': %d: %s", task_id, code, error.text);
	place = (struct stress_place){.state = code > 0 ? (enum cancel_lookup)code : CANCEL_LOOKUP_NONE,
				      .outcome = found.outcome};
	(void)strcpy(place.id, found.request_id);
	cancel_request_clear(&found);
	return place;
}
