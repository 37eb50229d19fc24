/* Looking up, and the worker's question. */
#include "drop.h"
#include "entry.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static bool stands(const struct cancel_spool *spool, enum spool_dir dir, const struct entry *entry)
{
	struct stat stat;

	/* Whatever is not plainly absent is looked at, so that a failure is told and never means "no". */
	return fstatat(spool->fds[dir], entry->file, &stat, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* Being written is not there yet. */
static int read_settled(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
			struct cancel_error *error)
{
	int code = entry_read(spool, entry, standing, error);

	return code == -EINPROGRESS ? entry_read_processed(spool, entry, standing, error) : code;
}

static int lookup_of(const struct standing *standing)
{
	if (standing->pending)
		return cancel_request_in_effect(&standing->pending_request) ? CANCEL_LOOKUP_PENDING
									    : CANCEL_LOOKUP_SCHEDULED;
	return standing->processed ? CANCEL_LOOKUP_PROCESSED : CANCEL_LOOKUP_NONE;
}

static int lookup_entered(struct cancel_spool *spool, const struct entry *entry,
			  struct cancel_request *request, struct cancel_error *error)
{
	struct standing standing;
	int code = 0;

	if (!stands(spool, SPOOL_PENDING, entry))
		code = drop_take_for(spool, entry, error);
	if (code == 0)
		code = read_settled(spool, entry, &standing, error);
	if (code < 0)
		return code;
	code = lookup_of(&standing);
	if (request && code != CANCEL_LOOKUP_NONE)
		request_move(request, code == CANCEL_LOOKUP_PROCESSED ? &standing.processed_request
								      : &standing.pending_request);
	standing_clear(&standing);
	return code;
}

int cancel_spool_lookup(struct cancel_spool *spool, const char *task_id, const char *run,
			struct cancel_request *request, struct cancel_error *error)
{
	struct entry entry;
	int code = entry_init(&entry, task_id, run, error);

	if (code == 0)
		code = spool_enter(spool, error);
	if (code < 0)
		return code;
	code = lookup_entered(spool, &entry, request, error);
	spool_leave(spool);
	return code;
}

/* --- runs --------------------------------------------------------------------------------------------- */

static int last_cancel(const struct cancel_spool *spool, const struct entry *entry,
		       char id[CANCEL_REQUEST_ID_LENGTH + 1], struct cancel_error *error)
{
	struct standing standing;
	int code = entry_read_processed(spool, entry, &standing, error);

	if (code < 0)
		return code;
	if (standing.processed)
		memcpy(id, standing.processed_request.last_cancel_id, CANCEL_REQUEST_ID_LENGTH + 1);
	standing_clear(&standing);
	return 0;
}

int cancel_spool_mark(struct cancel_spool *spool, const char *task_id, const char *run,
		      struct cancel_mark *mark, struct cancel_error *error)
{
	struct cancel_mark read = {{0}, {0}};
	struct entry task, own;
	int code = entry_init(&task, task_id, NULL, error);

	if (code == 0 && run)
		code = entry_init(&own, task_id, run, error);
	if (code == 0)
		code = spool_enter(spool, error);
	if (code < 0)
		return code;
	code = last_cancel(spool, &task, read.task_cancel_id, error);
	if (code == 0 && run)
		code = last_cancel(spool, &own, read.run_cancel_id, error);
	spool_leave(spool);
	if (code == 0)
		*mark = read;
	return code;
}

enum answer {
	ANSWER_NO = 0,
	ANSWER_YES = 1,
	ANSWER_LATER = 2,
};

/* A decided request counts for a run that was going when it was decided: its cancel id is new to the run. */
static bool decided_since(const struct standing *standing, const char *remembered)
{
	return remembered && standing->processed && standing->processed_request.last_cancel_id[0] &&
	       strcmp(standing->processed_request.last_cancel_id, remembered);
}

static int answer_of(struct standing *standing, const char *remembered, struct cancel_request *request)
{
	struct cancel_request *found = &standing->pending_request;
	int answer = ANSWER_NO;

	if (standing->pending)
		answer = cancel_request_in_effect(found) ? ANSWER_YES : ANSWER_LATER;
	if (answer != ANSWER_YES && decided_since(standing, remembered)) {
		found = &standing->processed_request;
		answer = ANSWER_YES;
	}
	if (answer != ANSWER_NO && request)
		request_move(request, found);
	return answer;
}

static int check_entry(struct cancel_spool *spool, const struct entry *entry, const char *remembered,
		       struct cancel_request *request, struct cancel_error *error)
{
	struct standing standing;
	int code = 0;

	if (!stands(spool, SPOOL_PENDING, entry)) {
		code = drop_take_for(spool, entry, error);
		if (code < 0)
			return code;
		if (!remembered && !stands(spool, SPOOL_PENDING, entry))
			return ANSWER_NO;
	}
	code = read_settled(spool, entry, &standing, error);
	if (code < 0)
		return code;
	code = answer_of(&standing, remembered, request);
	standing_clear(&standing);
	return code;
}

static int check_both(struct cancel_spool *spool, const struct entry *task, const struct entry *own,
		      const struct cancel_mark *mark, struct cancel_request *request,
		      struct cancel_error *error)
{
	struct cancel_request later;
	int answer = check_entry(spool, task, mark ? mark->task_cancel_id : NULL, request, error), other;

	if (!own || answer < 0 || answer == ANSWER_YES)
		return answer;
	cancel_request_init(&later);
	other = check_entry(spool, own, mark ? mark->run_cancel_id : NULL, &later, error);
	/* Of two that take effect later the task's own is told; nobody acts on it yet. */
	if (other > 0 && (other == ANSWER_YES || answer == ANSWER_NO)) {
		if (request) {
			cancel_request_clear(request);
			request_move(request, &later);
		}
		answer = other;
	}
	cancel_request_clear(&later);
	return other < 0 ? other : answer;
}

int cancel_spool_check(struct cancel_spool *spool, const char *task_id, const char *run,
		       const struct cancel_mark *mark, struct cancel_request *request,
		       struct cancel_error *error)
{
	struct entry task, own;
	int code = entry_init(&task, task_id, NULL, error);

	if (code == 0 && run)
		code = entry_init(&own, task_id, run, error);
	if (code == 0)
		code = spool_enter(spool, error);
	if (code < 0)
		return code;
	code = check_both(spool, &task, run ? &own : NULL, mark, request, error);
	spool_leave(spool);
	if (code < 0 && request)
		cancel_request_clear(request);
	return code;
}
