#include "fixture.h"

#include "bare.h"
#include "harness.h"

#include <cancel/batch.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cancel_spool *fixture_open(const struct place *place, const char *name)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool;
	struct cancel_error error;
	char path[160];

	(void)snprintf(path, sizeof path, "%s/%s", place->dir, name);
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	if (cancel_spool_open(&spool, &options, &error) < 0)
		bench_fail("%s", error.text);
	return spool;
}

struct cancel_manager *fixture_manager(const struct place *place, const char *name, bool thread,
				       enum cancel_notice notice, int64_t poll_interval_ms)
{
	struct cancel_spool_options spool;
	struct cancel_manager_options options;
	struct cancel_manager *manager;
	struct cancel_error error;
	char path[160];

	(void)snprintf(path, sizeof path, "%s/%s", place->dir, name);
	cancel_spool_options_init(&spool);
	spool.path = path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	options.notice = notice;
	if (poll_interval_ms)
		options.poll_interval_ms = poll_interval_ms;
	if (cancel_manager_open(&manager, &options, &error) < 0)
		bench_fail("%s", error.text);
	return manager;
}

struct cancel_task *fixture_begin(struct cancel_manager *manager, long number, bool lease)
{
	struct cancel_task_options options;
	struct cancel_task *task;
	struct cancel_error error;
	char id[32];
	int code;

	bare_task(id, number);
	cancel_task_options_init(&options);
	options.no_lease = !lease;
	code = cancel_task_begin(&task, manager, id, &options, &error);
	if (code)
		bench_fail("%s", code < 0 ? error.text : "a task that nobody asked for begins cancelled");
	return task;
}

void fixture_end(struct cancel_task *task, enum cancel_outcome outcome)
{
	struct cancel_error error;

	if (cancel_task_end(task, outcome, NULL, &error) < 0)
		bench_fail("%s", error.text);
}

void fixture_request(struct cancel_request *request, char task[32], long number)
{
	bare_task(task, number);
	cancel_request_init(request);
	request->task_id = task;
	request->reason = "deleted by alice in the web interface";
	request->requester.name = "alice";
}

static void expect_requested(void *arg, int64_t tag, int result, const struct cancel_request *request,
			     const struct cancel_error *error)
{
	(void)arg;
	(void)request;
	if (result != CANCEL_REQUESTED)
		bench_fail("cannot request task %lld: %s", (long long)tag,
			   error ? error->text : "pending already");
}

void fixture_ask(struct cancel_spool *spool, long first, long count, int64_t expires_in_s)
{
	struct cancel_request request;
	struct cancel_batch *batch;
	struct cancel_error error;
	char task[32];

	if (cancel_batch_open(&batch, spool, expect_requested, NULL, &error) < 0)
		bench_fail("%s", error.text);
	for (long i = first; i < first + count; i++) {
		fixture_request(&request, task, i);
		request.expires_in_s = expires_in_s;
		cancel_batch_add(batch, &request, i);
	}
	if (cancel_batch_close(batch, &error) < 0)
		bench_fail("%s", error.text);
}

/* --- a record as it stands on disk -------------------------------------------------------------------- */

static void read_record(struct fixture_text *record, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, record->text, sizeof record->text - 1);

	if (size <= 0)
		bench_fail("cannot read '%s': %s", path, strerror(errno));
	record->text[size] = '\0';
	record->size = (size_t)size;
	(void)close(fd);
}

void fixture_record(struct fixture_text *record, const struct place *place, bool decided)
{
	struct cancel_spool *spool = fixture_open(place, "example");
	struct cancel_request request;
	struct cancel_error error;
	char task[32], path[192];
	int code;

	fixture_request(&request, task, 0);
	code = cancel_spool_request(spool, &request, NULL, &error);
	if (code >= 0 && decided)
		code = cancel_spool_decide(spool, task, NULL, NULL, CANCEL_OUTCOME_EXPIRED, NULL, NULL,
					   &error);
	if (code < 0)
		bench_fail("%s", error.text);
	(void)snprintf(path, sizeof path, "%s/example/%s/%s.json", place->dir,
		       decided ? "processed" : "pending", task);
	read_record(record, path);
	if (cancel_spool_reset(spool, task, NULL, &error) < 0)
		bench_fail("%s", error.text);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
}

/* --- what is to be swept ------------------------------------------------------------------------------ */

void fixture_sweep(struct cancel_spool *spool, int64_t keep_for_s, struct cancel_sweep_result *result)
{
	struct cancel_sweep_options options;
	struct cancel_error error;

	cancel_sweep_options_init(&options);
	options.keep_for_s = keep_for_s;
	if (cancel_spool_sweep(spool, &options, NULL, NULL, result, &error) < 0)
		bench_fail("%s", error.text);
}

/* All have the same text, which nobody reads: the file's time says how old it is, as soon as a first sweep
 * has seen the clock. */
void fixture_processed(const struct place *place, const char *name, long count)
{
	struct cancel_spool *spool = fixture_open(place, name);
	struct cancel_sweep_result result;
	struct fixture_text record;
	struct bare bare;

	fixture_sweep(spool, 0, &result);
	cancel_spool_close(spool);
	fixture_record(&record, place, true);
	bare_open(&bare, place, name);
	for (long i = 0; i < count; i++)
		bare_keep(&bare, i, record.text, record.size);
	bare_close(&bare);
}
