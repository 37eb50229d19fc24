/* Looking up, and the worker's question. */
#include "check.h"
#include "drop.h"
#include "entry.h"
#include "error.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Being written is not there yet. */
static int read_settled(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
			struct cancel_error *error)
{
	int code = entry_look(spool, entry, standing, error);

	return code == -EINPROGRESS ? entry_read_processed(spool, entry, standing, error) : code;
}

static bool stands_now(const struct standing *standing)
{
	return standing->pending && cancel_request_in_effect(&standing->pending_request);
}

/* The drop comes first: taken in between the two looks it would be in neither place. That one cannot be taken in does
 * not hide a request that stands. */
static int read_after_drop(struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
			   struct cancel_error *error)
{
	struct cancel_error problem;
	int dropped = drop_take_for(spool, entry, &problem), code = read_settled(spool, entry, standing, error);

	if (code < 0 || dropped == 0 || stands_now(standing))
		return code;
	standing_clear(standing);
	if (error)
		*error = problem;
	return dropped;
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
	int code = read_after_drop(spool, entry, &standing, error);

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

/* What was decided before the run began never hits it, even if a kill left it in pending and its processed record
 * went meanwhile. */
static bool counts(const struct standing *standing, const char *remembered)
{
	return standing->pending && (!remembered || strcmp(standing->pending_request.request_id, remembered));
}

/* One that another run decided before its time takes effect then for those that go on. */
static int answer_of_decided(struct cancel_request *decided)
{
	/* Whoever is told of it shall know when. */
	if (!record_names_own_cancel(decided))
		decided->cancel_at_us = decided->last_cancel_at_us;
	return cancel_request_in_effect(decided) ? ANSWER_YES : ANSWER_LATER;
}

static int answer_of(struct standing *standing, const char *remembered, struct cancel_request *request)
{
	struct cancel_request *found = &standing->pending_request;
	int answer = ANSWER_NO;

	if (counts(standing, remembered))
		answer = cancel_request_in_effect(found) ? ANSWER_YES : ANSWER_LATER;
	if (answer != ANSWER_YES && decided_since(standing, remembered) &&
	    (answer == ANSWER_NO || answer_of_decided(&standing->processed_request) == ANSWER_YES)) {
		found = &standing->processed_request;
		answer = answer_of_decided(found);
	}
	if (answer != ANSWER_NO && request)
		request_move(request, found);
	return answer;
}

/* The usual answer, in the fewest calls: no drop, and nothing in pending. */
bool entry_is_idle(struct cancel_spool *spool, const struct entry *entry)
{
	struct stat stat;

	return drop_take_for(spool, entry, NULL) == 0 &&
	       fstatat(spool->fds[SPOOL_PENDING], entry->file, &stat, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static int check_entry(struct cancel_spool *spool, const struct entry *entry, const char *remembered, bool drops,
		       struct cancel_request *request, struct cancel_error *error)
{
	struct standing standing;
	int code, answer;

	if (!remembered && entry_is_idle(spool, entry))
		return ANSWER_NO;
	code = drops ? read_after_drop(spool, entry, &standing, error) : read_settled(spool, entry, &standing, error);
	if (code == -ENOMEM)
		return code;
	/* What cannot be read in pending does not hide what was decided. */
	if (code < 0 && entry_read_processed(spool, entry, &standing, NULL) < 0)
		return code;
	answer = answer_of(&standing, remembered, request);
	standing_clear(&standing);
	return code < 0 && answer != ANSWER_YES ? code : answer;
}

static int check_both(struct cancel_spool *spool, const struct entry *task, const struct entry *own,
		      const struct cancel_mark *mark, bool drops, struct cancel_request *request,
		      struct cancel_error *error)
{
	struct cancel_request later;
	struct cancel_error problem;
	int answer = check_entry(spool, task, mark ? mark->task_cancel_id : NULL, drops, request, &problem), other = 0;

	cancel_request_init(&later);
	if (own && answer != ANSWER_YES)
		other = check_entry(spool, own, mark ? mark->run_cancel_id : NULL, drops, &later,
				    answer < 0 ? NULL : &problem);
	/* Of two that take effect later the task's own is told; nobody acts on it yet. A failure gives way to a yes
	 * only. */
	if (other == ANSWER_YES || (other > 0 && answer == ANSWER_NO) || (other < 0 && answer >= 0)) {
		if (request && other > 0) {
			cancel_request_clear(request);
			request_move(request, &later);
		}
		answer = other;
	}
	cancel_request_clear(&later);
	if (answer < 0 && error)
		*error = problem;
	return answer;
}

int spool_check_run(struct cancel_spool *spool, const char *task_id, const char *run, const struct cancel_mark *mark,
	      bool drops, struct cancel_request *request, struct cancel_error *error)
{
	struct entry task, own;
	int code = entry_init(&task, task_id, NULL, error);

	if (code == 0 && run)
		code = entry_init(&own, task_id, run, error);
	/* Without a mark nothing but pending can say yes. */
	if (code == 0)
		code = mark && drops ? spool_enter(spool, error) : spool_enter_pending(spool, error);
	if (code < 0)
		return code;
	code = check_both(spool, &task, run ? &own : NULL, mark, drops, request, error);
	spool_leave(spool);
	if (code < 0 && request)
		cancel_request_clear(request);
	return code;
}

int cancel_spool_check(struct cancel_spool *spool, const char *task_id, const char *run,
		       const struct cancel_mark *mark, struct cancel_request *request,
		       struct cancel_error *error)
{
	return spool_check_run(spool, task_id, run, mark, true, request, error);
}
