/*
 * Many requests. Without durability each is published at once. With it, the content of each must be on disk before
 * its name is: drafts are collected, synced together by one call, and then published, a chunk at a time, so that
 * memory does not grow with the batch. The directory is synced once, at the end.
 */
#include <cancel/batch.h>

#include "ask.h"
#include "bell.h"
#include "draft.h"
#include "error.h"
#include "record.h"
#include "terms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_COUNT 1024
#define CHUNK_BYTES (4 * 1024 * 1024)

struct waiting {
	int64_t tag;
	char *text; /* the record; NULL: the request was refused, with `error` */
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	struct cancel_error *error;
	int code;
};

struct cancel_batch {
	struct cancel_spool *spool;
	cancel_batch_report *report;
	void *arg;
	bool deferred;
	size_t count, bytes;
	struct waiting waiting[];
};

int cancel_batch_open(struct cancel_batch **batch, struct cancel_spool *spool, cancel_batch_report *report,
		      void *arg, struct cancel_error *error)
{
	bool deferred = spool->options.durability != CANCEL_DURABILITY_NONE;
	struct cancel_batch *opened =
		calloc(1, sizeof *opened + (deferred ? CHUNK_COUNT * sizeof opened->waiting[0] : 0));

	if (!opened)
		return error_system(error, -ENOMEM, "cannot begin a batch in spool '%s'", SPOOL_QUOTE(spool));
	opened->spool = spool;
	opened->report = report;
	opened->arg = arg;
	opened->deferred = deferred;
	*batch = opened;
	return 0;
}

static void report_failure(const struct cancel_batch *batch, int64_t tag, int code,
			   const struct cancel_error *error)
{
	batch->report(batch->arg, tag, code, NULL, error);
}

static void publish_and_report(const struct cancel_batch *batch, const struct entry *entry,
			       const struct cancel_request *request, int64_t tag)
{
	struct cancel_request standing;
	struct cancel_error error;
	int code;

	cancel_request_init(&standing);
	code = ask_publish(batch->spool, entry, request, &standing, false, &error);
	if (code < 0)
		report_failure(batch, tag, code, &error);
	else
		batch->report(batch->arg, tag, code, code == CANCEL_REQUESTED ? request : &standing, NULL);
	cancel_request_clear(&standing);
}

/* --- a chunk ------------------------------------------------------------------------------------------ */

static void keep_failure(struct waiting *waiting, int code, const struct cancel_error *error)
{
	waiting->code = code;
	waiting->error = malloc(sizeof *waiting->error);
	if (waiting->error)
		*waiting->error = *error;
}

static int prepare(const struct cancel_batch *batch, struct waiting *waiting, const struct entry *entry,
		   const struct cancel_request *request, struct cancel_error *error)
{
	struct record_text text;
	int code = record_write(&text, request, error);

	if (code < 0)
		return code;
	waiting->text = strndup(text.data, text.used);
	memcpy(waiting->id, request->request_id, sizeof waiting->id);
	if (!waiting->text) {
		code = error_system(error, -ENOMEM, "cannot keep the request for '%s'", QUOTE(request->task_id));
	} else {
		struct draft draft = {entry->file, text.data, text.used, terms_mtime_us(request), NULL, NULL};

		/* If this fails it is tried again, on its own, when the chunk is published. */
		spool_enter_unchecked(batch->spool);
		(void)draft_prepare(batch->spool, waiting->id, &draft, false);
		spool_leave(batch->spool);
	}
	record_text_clear(&text);
	return code;
}

static void defer(struct cancel_batch *batch, const struct entry *entry, const struct cancel_request *request,
		  int64_t tag, int code, struct cancel_error *error)
{
	struct waiting *waiting = &batch->waiting[batch->count++];

	*waiting = (struct waiting){.tag = tag};
	if (code == 0)
		code = prepare(batch, waiting, entry, request, error);
	if (code == 0)
		batch->bytes += strlen(waiting->text);
	else
		keep_failure(waiting, code, error);
}

/* One call for all drafts; each is then published on its own if it cannot be had. */
static bool sync_drafts(const struct cancel_batch *batch)
{
	return syncfs(batch->spool->fds[SPOOL_TMP]) == 0;
}

/* From the draft if that works; else as if it were asked on its own, which also looks at what is in the way. */
static void publish_waiting(const struct cancel_batch *batch, const struct waiting *waiting, bool synced)
{
	struct cancel_request request;
	struct cancel_error error;
	struct entry entry;
	bool published = false;
	int code;

	cancel_request_init(&request);
	code = cancel_request_parse(&request, waiting->text, strlen(waiting->text), NULL);
	if (code < 0)
		(void)error_system(&error, code, "cannot request in spool '%s'", SPOOL_QUOTE(batch->spool));
	if (code == 0)
		code = entry_init(&entry, request.task_id, request.run, &error);
	if (code < 0) {
		spool_enter_unchecked(batch->spool);
		draft_forget(batch->spool, waiting->id);
		spool_leave(batch->spool);
		report_failure(batch, waiting->tag, code, &error);
	} else {
		spool_enter_unchecked(batch->spool);
		if (synced)
			published = draft_release(batch->spool, waiting->id, entry.file) == 0 &&
				    !spool_was_replaced(batch->spool);
		else
			draft_forget(batch->spool, waiting->id);
		spool_leave(batch->spool);
		if (published) {
			bell_ring(batch->spool, request.task_id, CANCEL_COUNT_REQUESTED);
			batch->report(batch->arg, waiting->tag, CANCEL_REQUESTED, &request, NULL);
		} else {
			publish_and_report(batch, &entry, &request, waiting->tag);
		}
	}
	cancel_request_clear(&request);
}

static void report_kept_failure(const struct cancel_batch *batch, const struct waiting *waiting)
{
	struct cancel_error lost = {.code = waiting->code};

	if (!waiting->error)
		(void)error_system(&lost, waiting->code, "cannot request in spool '%s'",
				   SPOOL_QUOTE(batch->spool));
	report_failure(batch, waiting->tag, waiting->code, waiting->error ? waiting->error : &lost);
}

static void flush(struct cancel_batch *batch)
{
	bool synced;

	spool_enter_unchecked(batch->spool);
	synced = batch->count && sync_drafts(batch);
	spool_leave(batch->spool);
	for (size_t i = 0; i < batch->count; i++) {
		struct waiting *waiting = &batch->waiting[i];

		if (waiting->code < 0)
			report_kept_failure(batch, waiting);
		else
			publish_waiting(batch, waiting, synced);
		free(waiting->text);
		free(waiting->error);
	}
	batch->count = 0;
	batch->bytes = 0;
}

/* --- adding and closing ------------------------------------------------------------------------------- */

void cancel_batch_add(struct cancel_batch *batch, const struct cancel_request *request, int64_t tag)
{
	struct cancel_request filled = *request;
	struct cancel_error error;
	struct entry entry;
	int code = ask_check(batch->spool, &filled, &entry, &error);

	if (batch->deferred)
		defer(batch, &entry, &filled, tag, code, &error);
	else if (code < 0)
		report_failure(batch, tag, code, &error);
	else
		publish_and_report(batch, &entry, &filled, tag);
	if (batch->count == CHUNK_COUNT || batch->bytes > CHUNK_BYTES)
		flush(batch);
}

int cancel_batch_close(struct cancel_batch *batch, struct cancel_error *error)
{
	int code;

	if (!batch)
		return 0;
	flush(batch);
	/* Nothing else of the directory is needed: what was reported stands even if it is gone by now. */
	code = batch->spool->options.durability == CANCEL_DURABILITY_FULL ? spool_enter(batch->spool, error) : 1;
	if (code == 0) {
		code = draft_sync_dir(batch->spool, SPOOL_PENDING);
		if (code < 0)
			(void)error_system(error, code, "the batch stands in spool '%s', but may not survive a power "
					   "cut: cannot sync 'pending'", SPOOL_QUOTE(batch->spool));
		spool_leave(batch->spool);
	}
	free(batch);
	return code < 0 ? code : 0;
}
