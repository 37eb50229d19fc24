#include "entry.h"

#include "bell.h"
#include "clock.h"
#include "draft.h"
#include "error.h"
#include "file.h"
#include "record.h"
#include "scan.h"
#include "terms.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Looks at a name that changes each time; a foreign program could make that go on for ever. */
#define LOOKS 100

int entry_init(struct entry *entry, const char *task_id, const char *run, struct cancel_error *error)
{
	int code = name_check_id(task_id, CANCEL_TASK_ID_MAX, "task id", error);

	if (code == 0 && run)
		code = name_check_id(run, CANCEL_RUN_ID_MAX, "run id", error);
	if (code < 0)
		return code;
	name_encode(entry->name, task_id, run);
	name_to_file(entry->file, entry->name);
	entry->wanted = (struct wanted){.file = entry->file, .task_id = task_id, .run = run};
	return 0;
}

bool entry_from_file(struct entry *entry, const char *file)
{
	size_t length = name_of_file(file);

	if (!length)
		return false;
	memcpy(entry->name, file, length);
	entry->name[length] = '\0';
	name_to_file(entry->file, entry->name);
	entry->wanted = (struct wanted){.file = entry->file};
	return true;
}

/* --- reading ------------------------------------------------------------------------------------------ */

void standing_clear(struct standing *standing)
{
	cancel_request_clear(&standing->pending_request);
	cancel_request_clear(&standing->processed_request);
	standing->pending = standing->litter = standing->processed = false;
}

static int read_pending(const struct cancel_spool *spool, const struct entry *entry,
			struct standing *standing, struct cancel_error *error)
{
	int code = found_read(spool, spool->fds[SPOOL_PENDING], DIR_PENDING, &entry->wanted,
			      &standing->pending_request, &standing->pending_stat, error);

	if (code < 0)
		return code == -ENOENT ? 0 : code;
	/* Where it stands says what it is, whatever a foreign program wrote into it. */
	standing->pending_request.status = CANCEL_STATUS_PENDING;
	standing->pending_request.outcome = CANCEL_OUTCOME_NONE;
	standing->pending = true;
	return 0;
}

/* A processed record that cannot be used is as good as none: it is a memory, not a request, and a power cut with
 * durability none can leave it empty. */
static int read_processed(const struct cancel_spool *spool, const struct entry *entry,
			  struct standing *standing, struct cancel_error *error)
{
	struct cancel_error problem;
	int code = found_read(spool, spool->fds[SPOOL_PROCESSED], DIR_PROCESSED, &entry->wanted,
			      &standing->processed_request, NULL, &problem);

	standing->processed_absent = code == -ENOENT;
	if (code == -ENOENT || code == -EBADMSG || code == -EINPROGRESS)
		return 0;
	if (code < 0) {
		if (error)
			*error = problem;
		return code;
	}
	if (standing->processed_request.malformed) {
		cancel_request_clear(&standing->processed_request);
		return 0;
	}
	standing->processed_request.status = CANCEL_STATUS_PROCESSED;
	standing->processed = true;
	return 0;
}

static void standing_init(struct standing *standing)
{
	*standing = (struct standing){0};
	cancel_request_init(&standing->pending_request);
	cancel_request_init(&standing->processed_request);
}

int entry_read_processed(const struct cancel_spool *spool, const struct entry *entry,
			 struct standing *standing, struct cancel_error *error)
{
	standing_init(standing);
	return read_processed(spool, entry, standing, error);
}

/* Whether the request with this id was decided. A record of a run that stopped for a group has the id of the group's
 * request, and some programs write one id into all that they ask for. */
static bool decided_as(const struct standing *standing, const char *request_id)
{
	return standing->processed && !standing->processed_request.group &&
	       !strcmp(standing->processed_request.request_id, request_id);
}

int entry_read(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
	       struct cancel_error *error)
{
	int code;

	standing_init(standing);
	code = read_pending(spool, entry, standing, error);
	if (code == 0)
		code = read_processed(spool, entry, standing, error);
	if (code < 0) {
		standing_clear(standing);
		return code;
	}
	if (standing->pending && decided_as(standing, standing->pending_request.request_id)) {
		standing->litter = true;
		standing->pending = false;
	}
	return 0;
}

static bool same_version(const struct stat *one, const struct stat *other)
{
	return file_same(one, other) && one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
	       one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static bool still_pending(const struct cancel_spool *spool, const struct entry *entry, const struct stat *stat)
{
	struct stat now;

	return fstatat(spool->fds[SPOOL_PENDING], entry->file, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       same_version(&now, stat);
}

/* Between the two reads litter may be removed and then its processed record, by a reset, a sweep or the next decision;
 * the litter in hand would look like a request. It cannot have happened if the pending file still stands. */
int entry_look(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
	       struct cancel_error *error)
{
	int code = entry_read(spool, entry, standing, error);

	for (int look = 1; code == 0 && standing->pending && look < LOOKS &&
			   !still_pending(spool, entry, &standing->pending_stat); look++) {
		standing_clear(standing);
		code = entry_read(spool, entry, standing, error);
	}
	return code;
}

/* --- removing ----------------------------------------------------------------------------------------- */

int entry_unlink_pending(const struct cancel_spool *spool, const struct entry *entry, const struct stat *stat)
{
	int pending_fd = spool->fds[SPOOL_PENDING];
	struct stat now;

	/* Programs that know no lock may have put another file there; the window that is left is one call. */
	if (fstatat(pending_fd, entry->file, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!same_version(&now, stat))
		return -EEXIST;
	return unlinkat(pending_fd, entry->file, 0) < 0 ? -errno : 0;
}

static int count_refused(const struct cancel_spool *spool, struct cancel_error *error)
{
	struct scan scan;
	int count = 0, code = scan_open(&scan, spool, SPOOL_REFUSED, error);

	if (code < 0)
		return code;
	while (scan_next(&scan, &code))
		count++;
	scan_close(&scan);
	return code < 0 ? error_system(error, code, "cannot look into refused/ of spool '%s'", SPOOL_QUOTE(spool))
			: count;
}

int entry_move_aside(const struct cancel_spool *spool, enum spool_dir dir, const char *file,
		     struct cancel_error *error)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], kept[NAME_FILE_SIZE + CANCEL_REQUEST_ID_LENGTH + 1];
	int count = count_refused(spool, error), code;

	if (count < 0)
		return count;
	if (count >= CANCEL_REFUSED_FILES_MAX)
		return error_set(error, -ENOSPC,
				 "cannot move '%s' out of the way: refused/ of spool '%s' holds %d files already; "
				 "look at them and remove them", QUOTE(file), SPOOL_QUOTE(spool), count);
	code = draft_random_id(id);
	if (code < 0)
		return error_system(error, code, "cannot make a random name");
	(void)snprintf(kept, sizeof kept, "%s.%.8s", file, id);
	if (renameat2(spool->fds[dir], file, spool->fds[SPOOL_REFUSED], kept, RENAME_NOREPLACE) == 0)
		return 0;
	if ((errno == EINVAL || errno == ENOSYS) && renameat(spool->fds[dir], file, spool->fds[SPOOL_REFUSED], kept) == 0)
		return 0;
	return error_system(error, -errno, "cannot move '%s' out of the way to refused/ of spool '%s'",
			    QUOTE(file), SPOOL_QUOTE(spool));
}

/* --- rewriting ---------------------------------------------------------------------------------------- */

int entry_rewrite(const struct cancel_spool *spool, const struct entry *entry,
		  const struct cancel_request *request, struct cancel_error *error)
{
	struct record_text text;
	int code = record_write_fitting(&text, request, error);

	if (code < 0)
		return code;
	code = draft_replace(spool, SPOOL_PENDING, entry->file, text.data, text.used, terms_mtime_us(request));
	record_text_clear(&text);
	return code == 0 ? 0 : error_system(error, code, "cannot rewrite 'pending/%s' in spool '%s'",
					    QUOTE(entry->file), SPOOL_QUOTE(spool));
}

/* --- deciding ----------------------------------------------------------------------------------------- */

/* Whether an outcome makes the request one that cancelled: what a run that goes on must hear of. */
static bool was_a_cancel(enum cancel_outcome outcome)
{
	return outcome != CANCEL_OUTCOME_WITHDRAWN && outcome != CANCEL_OUTCOME_EXPIRED;
}

/* What is no cancel of this name hands its predecessor's on, and when that takes effect. */
static void keep_last_cancel(struct cancel_request *request, const struct standing *standing)
{
	const struct cancel_request *previous = &standing->processed_request;

	request->last_cancel_id[0] = '\0';
	request->last_cancel_at_us = 0;
	if (!standing->processed)
		return;
	memcpy(request->last_cancel_id, previous->last_cancel_id, sizeof request->last_cancel_id);
	request->last_cancel_at_us = record_names_own_cancel(previous) ? previous->cancel_at_us : previous->last_cancel_at_us;
}

static void fill_decision(const struct cancel_spool *spool, struct cancel_request *request,
			  const struct standing *standing, const struct decision *decision)
{
	request->status = CANCEL_STATUS_PROCESSED;
	request->outcome = decision->outcome;
	request->detail = decision->detail;
	request->processed_at_us = clock_realtime_us();
	request->processed_boottime_ns = clock_boottime_ns();
	(void)snprintf(request->processed_boot_id, sizeof request->processed_boot_id, "%s", clock_boot_id());
	request->worker = (struct cancel_party){
		.host = spool->host,
		.run = decision->worker_run ? decision->worker_run : request->run,
		.uid = geteuid(),
		.gid = -1,
		.pid = getpid(),
	};
	if (was_a_cancel(decision->outcome) && !request->group) {
		(void)snprintf(request->last_cancel_id, sizeof request->last_cancel_id, "%s", request->request_id);
		request->last_cancel_at_us = 0;
	} else {
		keep_last_cancel(request, standing);
	}
}

/* The decision: from the rename on, the request is decided, whatever becomes of us. */
static int replace_processed(const struct cancel_spool *spool, const struct entry *entry,
			     const struct standing *standing, const struct record_text *text)
{
	struct stat stat;
	int code = 0;

	/* The latest decided request is forgotten by this: after a power cut its pending file must not be back. */
	if (!standing->processed_absent)
		code = draft_sync_dir(spool, SPOOL_PENDING);
	/* The rename would delete a link or a FIFO that somebody put there. */
	if (code == 0 && !standing->processed_absent &&
	    fstatat(spool->fds[SPOOL_PROCESSED], entry->file, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(stat.st_mode))
		code = entry_move_aside(spool, SPOOL_PROCESSED, entry->file, NULL);
	/* Its modification time is that of its writing, which is that of the decision. */
	return code < 0 ? code : draft_replace(spool, SPOOL_PROCESSED, entry->file, text->data, text->used, 0);
}

static int write_processed(const struct cancel_spool *spool, const struct entry *entry,
			   const struct standing *standing, const struct record_text *text,
			   struct cancel_error *error)
{
	int code = replace_processed(spool, entry, standing, text);

	if (code < 0)
		return error_system(error, code, "cannot write 'processed/%s' in spool '%s'; the request is still "
				    "pending", QUOTE(entry->file), SPOOL_QUOTE(spool));
	code = draft_sync_dir(spool, SPOOL_PROCESSED);
	return code == 0 ? 0 : error_system(error, code, "the request of '%s' in spool '%s' was decided, but may not "
					    "stay so after a power cut: cannot sync 'processed'",
					    QUOTE(entry->name), SPOOL_QUOTE(spool));
}

static const enum cancel_count counts[] = {
	[CANCEL_OUTCOME_STOPPED] = CANCEL_COUNT_STOPPED,     [CANCEL_OUTCOME_FINISHED] = CANCEL_COUNT_FINISHED,
	[CANCEL_OUTCOME_FAILED] = CANCEL_COUNT_FAILED,	     [CANCEL_OUTCOME_REFUSED] = CANCEL_COUNT_REFUSED,
	[CANCEL_OUTCOME_WITHDRAWN] = CANCEL_COUNT_WITHDRAWN, [CANCEL_OUTCOME_EXPIRED] = CANCEL_COUNT_EXPIRED,
};

/* Wake who runs it. An expired request stops nobody, and a sweep has many. */
static void tell(const struct cancel_spool *spool, const struct cancel_request *decided)
{
	bool same_boot = decided->boot_id[0] && !strcmp(decided->boot_id, decided->processed_boot_id);

	if (decided->outcome == CANCEL_OUTCOME_EXPIRED)
		bell_count(spool, CANCEL_COUNT_EXPIRED);
	else
		bell_ring(spool, decided->task_id, counts[decided->outcome]);
	if (decided->outcome == CANCEL_OUTCOME_STOPPED && same_boot)
		bell_count_stop(spool, decided->processed_boottime_ns - decided->boottime_ns);
}

void request_move(struct cancel_request *target, struct cancel_request *source)
{
	*target = *source;
	cancel_request_init(source);
}

static int nothing_pending(const struct entry *entry, const struct decision *decision,
			   const struct standing *standing, struct cancel_error *error)
{
	if (decision->request_id && standing->pending)
		return error_set(error, -ENOENT, "request %s is not pending for '%s'; request %s is",
				 QUOTE(decision->request_id), QUOTE(entry->name),
				 standing->pending_request.request_id);
	if (decision->request_id)
		return error_set(error, -ENOENT, "request %s is not pending for '%s'", QUOTE(decision->request_id),
				 QUOTE(entry->name));
	return error_set(error, -ENOENT, "nothing is pending for '%s'", QUOTE(entry->name));
}

static bool is_meant(const struct decision *decision, const struct cancel_request *request)
{
	return !decision->request_id || !strcmp(decision->request_id, request->request_id);
}

/* What is told of it afterwards, which must not fail once it is decided. From the text, because the strings in hand are the
 * caller's and the spool's. */
static int prepare_answer(struct cancel_request *answer, const struct entry *entry, const struct record_text *text,
			  struct cancel_error *error)
{
	int code = cancel_request_parse(answer, text->data, text->used, NULL);

	return code == 0 ? 0 : error_system(error, code, "cannot decide the request of '%s'; it is still pending",
					    QUOTE(entry->name));
}

static int decide_standing(const struct cancel_spool *spool, const struct entry *entry,
			   const struct decision *decision, struct standing *standing,
			   struct cancel_request *decided, struct cancel_error *error)
{
	struct cancel_request answer;
	struct record_text text;
	int code;

	if (standing->litter)
		(void)entry_unlink_pending(spool, entry, &standing->pending_stat);
	if (decision->request_id && decided_as(standing, decision->request_id)) {
		if (decided)
			request_move(decided, &standing->processed_request);
		return CANCEL_ALREADY_DECIDED;
	}
	if (!standing->pending || !is_meant(decision, &standing->pending_request))
		return nothing_pending(entry, decision, standing, error);
	fill_decision(spool, &standing->pending_request, standing, decision);
	code = record_write_fitting(&text, &standing->pending_request, error);
	if (code < 0)
		return code;
	cancel_request_init(&answer);
	if (decided)
		code = prepare_answer(&answer, entry, &text, error);
	if (code == 0)
		code = write_processed(spool, entry, standing, &text, error);
	if (code == 0) {
		/* If this fails it is litter, which counts for nothing. */
		(void)entry_unlink_pending(spool, entry, &standing->pending_stat);
		tell(spool, &standing->pending_request);
		if (decided)
			request_move(decided, &answer);
	}
	cancel_request_clear(&answer);
	record_text_clear(&text);
	return code < 0 ? code : CANCEL_DECIDED;
}

/* What stands in pending may be no request, or not yet one: whether the one that is meant was decided is known all the
 * same. `code` is why it could not be read. */
static int decide_unreadable(const struct cancel_spool *spool, const struct entry *entry,
			     const struct decision *decision, int code, struct cancel_request *decided,
			     struct cancel_error *error)
{
	struct standing standing;
	bool known;

	if (entry_read_processed(spool, entry, &standing, NULL) < 0)
		return code;
	known = decision->request_id && decided_as(&standing, decision->request_id);
	if (known && decided)
		request_move(decided, &standing.processed_request);
	standing_clear(&standing);
	if (known)
		return CANCEL_ALREADY_DECIDED;
	if (code == -EINPROGRESS)
		return error_set(error, -ENOENT, "nothing is pending for '%s' yet: its file is still being written",
				 QUOTE(entry->name));
	return code;
}

/* A foreign file's derived id changes with the file: chmod would do. Before a decision names it, it is written down,
 * or a kill or a power cut after that would leave litter that could come back to life. */
static int settle_id(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
		     struct cancel_error *error)
{
	const char *written = json_string_value(json_object_get(standing->pending_request.json, "request_id"));
	int code;

	if (!standing->pending || (written && !strcmp(written, standing->pending_request.request_id)))
		return 0;
	code = entry_rewrite(spool, entry, &standing->pending_request, error);
	standing_clear(standing);
	if (code == 0)
		code = draft_sync_dir_told(spool, SPOOL_PENDING, DIR_PENDING, "the request is still pending", error);
	return code < 0 ? code : entry_read(spool, entry, standing, error);
}

int entry_decide_standing(const struct cancel_spool *spool, const struct entry *entry,
			  const struct decision *decision, struct standing *standing,
			  struct cancel_request *decided, struct cancel_error *error)
{
	int code = settle_id(spool, entry, standing, error);

	return code < 0 ? code : decide_standing(spool, entry, decision, standing, decided, error);
}

int entry_decide(const struct cancel_spool *spool, const struct entry *entry, const struct decision *decision,
		 struct cancel_request *decided, struct cancel_error *error)
{
	struct cancel_error problem;
	struct standing standing;
	int code = entry_read(spool, entry, &standing, &problem);

	if (code == 0) {
		code = entry_decide_standing(spool, entry, decision, &standing, decided, &problem);
		standing_clear(&standing);
	} else if (code == -EBADMSG || code == -EINPROGRESS) {
		code = decide_unreadable(spool, entry, decision, code, decided, &problem);
	}
	if (code < 0 && error)
		*error = problem;
	return code;
}

/* --- members of a group ------------------------------------------------------------------------------- */

static void fill_member(const struct cancel_spool *spool, const struct entry *entry, const struct standing *standing,
			const struct decision *decision, const struct cancel_request *group,
			struct cancel_request *member)
{
	*member = *group;
	member->json = NULL;
	member->storage = NULL;
	member->group = group->task_id;
	member->task_id = entry->wanted.task_id;
	member->run = entry->wanted.run;
	/* It is no cancel of this name: other runs of it may not be in the group. */
	fill_decision(spool, member, standing, decision);
}

static int note_member(const struct cancel_spool *spool, const struct entry *entry, const struct standing *standing,
		       const struct decision *decision, const struct cancel_request *group,
		       struct cancel_error *error)
{
	struct cancel_request member;
	struct record_text text;
	int code;

	/* Litter without its processed record would come back to life. */
	if (standing->litter) {
		code = entry_unlink_pending(spool, entry, &standing->pending_stat);
		if (code < 0 && code != -ENOENT)
			return error_system(error, code, "cannot remove 'pending/%s' of spool '%s', which was decided",
					    QUOTE(entry->file), SPOOL_QUOTE(spool));
	}
	fill_member(spool, entry, standing, decision, group, &member);
	code = record_write_fitting(&text, &member, error);
	if (code < 0)
		return code;
	code = write_processed(spool, entry, standing, &text, error);
	record_text_clear(&text);
	return code;
}

int entry_note_member(const struct cancel_spool *spool, const struct entry *entry, const struct decision *decision,
		      const struct cancel_request *group, struct cancel_error *error)
{
	struct standing standing;
	int code = entry_read(spool, entry, &standing, error);

	if (code == -EBADMSG || code == -EINPROGRESS)
		code = entry_read_processed(spool, entry, &standing, error);
	if (code < 0)
		return code;
	code = note_member(spool, entry, &standing, decision, group, error);
	standing_clear(&standing);
	return code;
}
