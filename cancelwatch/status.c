/* What is in the spool, counted in one stream: no memory per request. And what has happened in it. */
#include "counted.h"
#include "log.h"
#include "refused.h"
#include "running.h"
#include "settings.h"
#include "verbs.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OUTCOME_COUNT (CANCEL_OUTCOME_EXPIRED + 1)

struct status {
	struct cancel_spool_info info;
	int64_t pending;   /* in effect */
	int64_t scheduled; /* pending, to take effect later */
	int64_t overdue;   /* of these two, past their expiry: for the next sweep */
	int64_t processed;
	int64_t outcomes[OUTCOME_COUNT];
	int64_t refused;      /* in a request's place, but none */
	int64_t aside;        /* moved from a request's place to refused/ */
	char *oldest_task_id; /* of what is pending */
	char *oldest_run;
	int64_t oldest_us;
	struct running running;
	struct counted counted;
	const char *mode; /* of watching; NULL: it would fail */
	const char *why;
};

static int keep_oldest(struct status *status, const struct cancel_request *request)
{
	char *task_id, *run = NULL;

	if (status->oldest_task_id != NULL && request->requested_at_us >= status->oldest_us)
		return 0;
	task_id = strdup(request->task_id);
	if (request->run != NULL)
		run = strdup(request->run);
	if (task_id == NULL || (request->run != NULL && run == NULL)) {
		free(task_id);
		free(run);
		return -ENOMEM;
	}
	free(status->oldest_task_id);
	free(status->oldest_run);
	status->oldest_task_id = task_id;
	status->oldest_run = run;
	status->oldest_us = request->requested_at_us;
	return 0;
}

static int count_entry(void *arg, const struct cancel_list_entry *entry)
{
	struct status *status = arg;
	const struct cancel_request *request = entry->request;

	if (request == NULL) {
		status->refused++;
		return 0;
	}
	if (request->status == CANCEL_STATUS_PROCESSED) {
		status->processed++;
		if ((unsigned)request->outcome < OUTCOME_COUNT)
			status->outcomes[request->outcome]++;
		return 0;
	}
	if (cancel_request_in_effect(request))
		status->pending++;
	else
		status->scheduled++;
	if (cancel_request_expired(request))
		status->overdue++;
	return keep_oldest(status, request);
}

static void print_status_text(struct printer *out, const struct status *status)
{
	char time[CANCEL_TIME_SIZE];
	char age[AGE_SIZE];
	int64_t now_us = wall_clock_us();

	print_add(out, "spool       ");
	print_text(out, status->info.path);
	print_end(out);
	print_add(out, "pending     %" PRId64, status->pending);
	if (status->overdue != 0)
		print_add(out, " (%" PRId64 " past expiry, for the next sweep)", status->overdue);
	print_end(out);
	print_add(out, "scheduled   %" PRId64, status->scheduled);
	print_end(out);
	print_add(out, "processed   %" PRId64, status->processed);
	for (int i = CANCEL_OUTCOME_STOPPED; i < OUTCOME_COUNT; i++) {
		if (status->outcomes[i] != 0)
			print_add(out, ", %s %" PRId64, cancel_outcome_text((enum cancel_outcome)i),
				  status->outcomes[i]);
	}
	print_end(out);
	print_add(out, "refused     %" PRId64 ", moved aside %" PRId64, status->refused, status->aside);
	print_end(out);
	if (status->oldest_task_id != NULL) {
		print_add(out, "oldest      ");
		print_word(out, status->oldest_task_id);
		if (status->oldest_run != NULL) {
			print_add(out, " run ");
			print_word(out, status->oldest_run);
		}
		print_add(out, ", %s ago", age_text(age, now_us - status->oldest_us));
		print_end(out);
	}
	print_add(out, "running     runs %" PRId64 ", tasks %" PRId64, status->running.runs,
		  status->running.tasks);
	print_end(out);
	counted_print_text(out, &status->counted);
	print_add(out, "watch mode  %s%s%s", status->mode == NULL ? "none" : status->mode,
		  status->why == NULL ? "" : ": ", status->why == NULL ? "" : status->why);
	print_end(out);
	if (status->info.swept_at_us == 0)
		print_add(out, "last sweep  never");
	else
		print_add(out, "last sweep  %s, %s ago", cancel_time_format(time, status->info.swept_at_us),
			  age_text(age, now_us - status->info.swept_at_us));
	print_end(out);
	print_add(out, "versions    program %s, library %s, layout %d", CANCEL_VERSION, cancel_version(),
		  status->info.layout_version);
	print_end(out);
}

static void print_oldest_json(struct printer *out, const struct status *status)
{
	print_add(out, ", \"oldest_pending\": ");
	if (status->oldest_task_id == NULL) {
		print_add(out, "null");
		return;
	}
	print_add(out, "{\"task_id\": ");
	print_string(out, status->oldest_task_id);
	print_add(out, ", \"run\": ");
	print_string(out, status->oldest_run);
	print_add(out, ", \"requested_at\": ");
	print_time(out, status->oldest_us);
	print_add(out, ", \"age_s\": %" PRId64 "}", (wall_clock_us() - status->oldest_us) / 1000000);
}

static void print_status_json(struct printer *out, const struct status *status)
{
	print_add(out, "{\"spool\": ");
	print_string(out, status->info.path);
	print_add(out, ", \"uuid\": ");
	print_string(out, status->info.uuid);
	print_add(out,
		  ", \"pending\": %" PRId64 ", \"scheduled\": %" PRId64 ", \"overdue\": %" PRId64
		  ", \"processed\": %" PRId64 ", \"outcomes\": {",
		  status->pending, status->scheduled, status->overdue, status->processed);
	for (int i = CANCEL_OUTCOME_STOPPED; i < OUTCOME_COUNT; i++)
		print_add(out, "%s\"%s\": %" PRId64, i == CANCEL_OUTCOME_STOPPED ? "" : ", ",
			  cancel_outcome_text((enum cancel_outcome)i), status->outcomes[i]);
	print_add(out, "}, \"refused\": %" PRId64 ", \"moved_aside\": %" PRId64, status->refused,
		  status->aside);
	print_oldest_json(out, status);
	print_add(out, ", \"running\": {\"runs\": %" PRId64 ", \"tasks\": %" PRId64 "}", status->running.runs,
		  status->running.tasks);
	counted_add_json(out, &status->counted);
	print_add(out, ", \"watch_mode\": ");
	print_string(out, status->mode);
	print_add(out, ", \"watch_why\": ");
	print_string(out, status->why);
	print_add(out, ", \"swept_at\": ");
	print_time(out, status->info.swept_at_us);
	print_add(out, ", \"program_version\": \"%s\", \"library_version\": \"%s\", \"layout_version\": %d}",
		  CANCEL_VERSION, cancel_version(), status->info.layout_version);
	print_end(out);
}

static int collect(struct status *status, struct cancel_spool *spool, struct cancel_error *error)
{
	int result = cancel_spool_info(spool, &status->info, error);

	if (result < 0)
		return result;
	status->aside = refused_count(status->info.path);
	counted_read(&status->counted, spool);
	result = running_count(&status->running, spool, error);
	if (result < 0)
		return result;
	return cancel_spool_list(spool, CANCEL_LIST_ALL, count_entry, status, error);
}

/* The watch is returned because it owns what it says. */
static struct cancel_watch *try_watch(struct status *status, const struct cancel_config *config,
				      struct cancel_spool *spool, struct cancel_error *error)
{
	struct cancel_watch_options watch_options = config->watch;
	struct cancel_watch *watch = NULL;

	watch_options.skip_standing = true;
	if (cancel_watch_open(&watch, spool, &watch_options, error) < 0)
		status->why = error->text;
	else
		status->mode = cancel_watch_mode_text(cancel_watch_mode(watch, &status->why));
	return watch;
}

static int show_status(struct status *status, const struct cancel_config *config, struct cancel_spool *spool,
		       const struct options *options, struct printer *out)
{
	struct cancel_watch *watch;
	struct cancel_error error = {0, "out of memory"};

	if (collect(status, spool, &error) < 0)
		return fail(&error);
	watch = try_watch(status, config, spool, &error);
	if (options->json)
		print_status_json(out, status);
	else
		print_status_text(out, status);
	cancel_watch_close(watch);
	status->why = NULL; /* the error ends here */
	return EXIT_YES;
}

int status_run(const struct options *options, struct printer *out)
{
	struct cancel_config config;
	struct status status = {0};
	struct cancel_spool *spool;
	struct cancel_error error;
	int exit_code;

	if (settings_open(&config, options, &spool, &error) < 0)
		return fail(&error);
	exit_code = show_status(&status, &config, spool, options, out);
	free(status.oldest_task_id);
	free(status.oldest_run);
	cancel_spool_close(spool);
	return exit_code;
}
