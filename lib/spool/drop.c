/*
 * Drops: `<task_id>.json` in the spool's own directory, made by programs that know nothing of us.
 *
 * The name's lock is held from the rename into tmp/ to the end. What stands in tmp/ as "<name>.drop" is either the
 * drop or, renamed over it, its finished record; the last step both publishes it and removes it there. So at any
 * moment there is exactly one file for it, and whoever finds one in tmp/ while holding the lock knows that its
 * intake died and goes on where that stopped.
 */
#include "drop.h"

#include "clock.h"
#include "draft.h"
#include "error.h"
#include "file.h"
#include "lock.h"
#include "record.h"
#include "scan.h"
#include "terms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A drop that changes each time it is looked at is taken in by the next round. */
#define LOOKS 3

#define LEFT_SIZE (NAME_SIZE + sizeof DROP_SUFFIX - 1)

static void left_name(char left[LEFT_SIZE], const char *name)
{
	(void)snprintf(left, LEFT_SIZE, "%s%s", name, DROP_SUFFIX);
}

bool drop_is_left(const char *file)
{
	size_t length = strlen(file), suffix = sizeof DROP_SUFFIX - 1;

	return file[0] != '.' && length > suffix && length - suffix <= CANCEL_NAME_MAX &&
	       !strcmp(file + length - suffix, DROP_SUFFIX);
}

/* --- the finished record ------------------------------------------------------------------------------ */

/* Its text says why and when. Its age begins now, because the times of a file that was copied or moved here say
 * nothing; and its id is new, because that of a copied record may be known as decided already. */
static int complete_record(struct cancel_request *request, struct cancel_error *error)
{
	int code = draft_random_id(request->request_id);

	if (code < 0)
		return error_system(error, code, "cannot make a request id");
	request->status = CANCEL_STATUS_PENDING;
	request->outcome = CANCEL_OUTCOME_NONE;
	request->requested_at_us = clock_realtime_us();
	request->boottime_ns = clock_boottime_ns();
	memcpy(request->boot_id, clock_boot_id(), sizeof request->boot_id);
	return 0;
}

static int write_finished(const struct cancel_spool *spool, const char *left,
			  const struct cancel_request *request, struct cancel_error *error)
{
	struct record_text text;
	int code = record_write_fitting(&text, request, error);

	if (code < 0)
		return code;
	code = draft_replace(spool, SPOOL_TMP, left, text.data, text.used, terms_mtime_us(request));
	record_text_clear(&text);
	return code == 0 ? 0 : error_system(error, code, "cannot write 'tmp/%s' in spool '%s'; the drop is kept",
					    QUOTE(left), SPOOL_QUOTE(spool));
}

static int publish_finished(struct cancel_spool *spool, const struct entry *entry, const char *left,
			    struct cancel_request *request, struct cancel_request *standing,
			    struct cancel_error *error)
{
	int code = entry_publish(spool, entry, request, left, standing, error), synced;
	bool stayed;

	if (code < 0)
		return code;
	/* Before the drop goes, or a power cut could leave neither. */
	synced = draft_sync_dir_told(spool, SPOOL_PENDING, DIR_PENDING, "the drop is kept in tmp/", error);
	if (synced < 0)
		return synced;
	/* Where its terms went into a request that stood, or it was linked and not renamed, it has done its work. */
	stayed = unlinkat(spool->fds[SPOOL_TMP], left, 0) == 0;
	if (!stayed && errno != ENOENT)
		return error_system(error, -errno, "cannot remove 'tmp/%s' in spool '%s'", QUOTE(left),
				    SPOOL_QUOTE(spool));
	if (stayed)
		synced = draft_sync_dir_told(spool, SPOOL_TMP, DIR_TMP, "after a power cut the drop may be taken in again",
					     error);
	if (synced < 0)
		return synced;
	return code == CANCEL_REQUESTED ? CANCEL_DROP_TAKEN : CANCEL_DROP_COALESCED;
}

/* Under the lock, with the drop in tmp/. */
static int finish(struct cancel_spool *spool, const struct entry *entry, const char *left,
		  struct cancel_request *request, struct cancel_error *error)
{
	struct wanted wanted = {.file = entry->file, .stored = left, .settled = true};
	struct cancel_request found, standing;
	int code;

	wanted.task_id = entry->wanted.task_id;
	wanted.run = entry->wanted.run;
	code = found_read(spool, spool->fds[SPOOL_TMP], DIR_TMP, &wanted, &found, NULL, error);
	if (code == -EBADMSG)
		return CANCEL_DROP_REFUSED; /* only who looks that name up can say whom it is to cancel */
	if (code < 0)
		return code;
	cancel_request_init(&standing);
	code = complete_record(&found, error);
	if (code == 0)
		code = write_finished(spool, left, &found, error);
	if (code == 0)
		code = publish_finished(spool, entry, left, &found, &standing, error);
	if (code >= 0 && request) {
		standing.malformed = found.malformed;
		request_move(request, code == CANCEL_DROP_TAKEN ? &found : &standing);
	}
	cancel_request_clear(&standing);
	cancel_request_clear(&found);
	return code;
}

/* What cannot be looked at may be there, so a failure is told and never means "no". */
static int exists(const struct cancel_spool *spool, enum spool_dir dir, const char *file,
		  struct cancel_error *error)
{
	struct stat stat;

	if (fstatat(spool->fds[dir], file, &stat, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : error_system(error, -errno, "cannot look for the drop '%s' in spool '%s'",
						  QUOTE(file), SPOOL_QUOTE(spool));
}

/* Under the lock: finish it if it is there; -ENOENT if not. */
static int finish_if_there(struct cancel_spool *spool, const struct entry *entry,
			   struct cancel_request *request, struct cancel_error *error)
{
	char left[LEFT_SIZE];
	int code;

	left_name(left, entry->name);
	code = exists(spool, SPOOL_TMP, left, error);
	if (code <= 0)
		return code < 0 ? code : -ENOENT;
	return finish(spool, entry, left, request, error);
}

int drop_finish_locked(struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error)
{
	int code = finish_if_there(spool, entry, NULL, error);

	return code < 0 && code != -ENOENT ? code : 0;
}

/* Without waiting: -EBUSY at once where somebody holds it. */
static int take_lock(struct cancel_spool *spool, const struct entry *entry, bool waits, struct name_lock *lock,
		     struct cancel_error *error)
{
	int code = waits ? lock_take(spool, entry->name, lock, error) : lock_try(spool, entry->name, lock, error);

	if (waits || (code != -EAGAIN && code != -ESTALE))
		return code;
	return error_set(error, -EBUSY, "cannot change '%s' in spool '%s': another process holds its lock",
			 QUOTE(entry->name), SPOOL_QUOTE(spool));
}

static int finish_left(struct cancel_spool *spool, const struct entry *entry, bool waits,
		       struct cancel_request *request, struct cancel_error *error)
{
	struct name_lock lock;
	int code = take_lock(spool, entry, waits, &lock, error);

	if (code < 0)
		return code;
	code = finish_if_there(spool, entry, request, error);
	lock_drop(&lock);
	return code;
}

int drop_finish_left(struct cancel_spool *spool, const char *file, struct cancel_request *request,
		     struct cancel_error *error)
{
	char name[NAME_SIZE], json[NAME_FILE_SIZE];
	size_t length = strlen(file) - (sizeof DROP_SUFFIX - 1);
	struct entry entry;

	memcpy(name, file, length);
	name[length] = '\0';
	name_to_file(json, name);
	if (!entry_from_file(&entry, json))
		return error_set(error, -EBADMSG, "'tmp/%s' is no drop", QUOTE(file));
	return finish_left(spool, &entry, false, request, error);
}

/* --- whose it is -------------------------------------------------------------------------------------- */

struct drop {
	const char *file;
	struct stat stat;
	struct cancel_request text; /* what it says; empty when that is of no use */
	struct name_ids ids;        /* what its name says */
	char raw[NAME_FILE_SIZE];   /* its name, taken as an id */
	bool unusable;
};

static int refuse_drop(const struct drop *drop, const char *why, struct cancel_error *error)
{
	(void)error_set(error, -EBADMSG, "the drop '%s' is refused: %s", QUOTE(drop->file), why);
	return CANCEL_DROP_REFUSED;
}

/* A text that names the task must agree with the file's name, encoded as ours are or as it is. */
static int ids_from_text(const struct drop *drop, struct entry *entry, struct cancel_error *error)
{
	const struct cancel_request *text = &drop->text;

	if (entry_init(entry, text->task_id, text->run, error) < 0)
		return CANCEL_DROP_REFUSED;
	if (!strcmp(entry->file, drop->file) || (!text->run && !strcmp(text->task_id, drop->raw)))
		return 0;
	return refuse_drop(drop, "its text is about another task than its name", error);
}

static int ids_from_name(struct drop *drop, struct entry *entry, struct cancel_error *error)
{
	const char *run = drop->text.run;

	switch (name_decode(&drop->ids, drop->file, name_of_file(drop->file))) {
	case NAME_HASHED:
		return refuse_drop(drop, "its name is cut, and its text does not name the task", error);
	case NAME_WHOLE:
		if (drop->ids.has_run)
			run = drop->ids.run;
		return entry_init(entry, drop->ids.task_id, run, error) < 0 ? CANCEL_DROP_REFUSED : 0;
	default: /* a foreign program used the id as it is */
		return entry_init(entry, drop->raw, run, error) < 0 ? CANCEL_DROP_REFUSED : 0;
	}
}

static int read_drop(const struct cancel_spool *spool, struct drop *drop, struct cancel_error *error)
{
	char *text = NULL;
	ssize_t length = found_text(spool, spool->fds[SPOOL_ROOT], ".", drop->file, &text, &drop->stat, error);
	int code;

	if (length == -EBADMSG || length == -EACCES)
		return CANCEL_DROP_REFUSED;
	if (length < 0)
		return (int)length;
	code = cancel_request_parse(&drop->text, text, (size_t)length, error);
	free(text);
	if (code == -ENOMEM)
		return error_system(error, code, "cannot read '%s'", QUOTE(drop->file));
	drop->unusable = code < 0;
	return drop->unusable && found_is_fresh(&drop->stat) ? CANCEL_DROP_UNSETTLED : 0;
}

/* Find out which name it is for: 0 and `entry`, or what becomes of it instead. */
static int judge_drop(const struct cancel_spool *spool, struct drop *drop, struct entry *entry,
		      struct cancel_error *error)
{
	size_t length = name_of_file(drop->file);
	int code;

	memcpy(drop->raw, drop->file, length);
	drop->raw[length] = '\0';
	code = read_drop(spool, drop, error);
	if (code != 0)
		return code;
	if (drop->text.status == CANCEL_STATUS_PROCESSED)
		return refuse_drop(drop, "its text says that it was processed", error);
	return drop->text.task_id ? ids_from_text(drop, entry, error) : ids_from_name(drop, entry, error);
}

/* --- taking it in ------------------------------------------------------------------------------------- */

/* Under the lock. -EAGAIN: it is not the file that was judged any more. */
static int take_judged(struct cancel_spool *spool, const struct drop *drop, const struct entry *entry,
		       struct cancel_request *request, struct cancel_error *error)
{
	char left[LEFT_SIZE];
	struct stat now;
	int code;

	code = drop_finish_locked(spool, entry, error);
	if (code < 0)
		return code;
	left_name(left, entry->name);
	if (fstatat(spool->fds[SPOOL_ROOT], drop->file, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : error_system(error, -errno, "cannot look at the drop '%s'",
								QUOTE(drop->file));
	if (!file_same(&now, &drop->stat) || timespec_us(&now.st_ctim) != timespec_us(&drop->stat.st_ctim))
		return -EAGAIN;
	/* What stands there is no drop that could be finished; it is kept for people. */
	if (renameat2(spool->fds[SPOOL_ROOT], drop->file, spool->fds[SPOOL_TMP], left, RENAME_NOREPLACE) < 0 &&
	    ((errno != EINVAL && errno != ENOSYS) ||
	     renameat(spool->fds[SPOOL_ROOT], drop->file, spool->fds[SPOOL_TMP], left) < 0))
		return error_system(error, -errno, "cannot take in the drop '%s' of spool '%s'",
				    QUOTE(drop->file), SPOOL_QUOTE(spool));
	return finish(spool, entry, left, request, error);
}

static int take_once(struct cancel_spool *spool, const char *file, bool waits, struct cancel_request *request,
		     struct cancel_error *error)
{
	struct drop drop = {.file = file};
	struct name_lock lock;
	struct entry entry;
	int code;

	cancel_request_init(&drop.text);
	code = judge_drop(spool, &drop, &entry, error);
	if (code == 0) {
		code = take_lock(spool, &entry, waits, &lock, error);
		if (code == 0) {
			code = take_judged(spool, &drop, &entry, request, error);
			lock_drop(&lock);
		}
	}
	cancel_request_clear(&drop.text);
	return code;
}

int drop_take(struct cancel_spool *spool, const char *file, bool waits, struct cancel_request *request,
	      struct cancel_error *error)
{
	int code = -EAGAIN;

	for (int look = 0; code == -EAGAIN && look < LOOKS; look++)
		code = take_once(spool, file, waits, request, error);
	return code == -EAGAIN ? CANCEL_DROP_UNSETTLED : code;
}

/* Taken in by another process meanwhile is as good. */
static int take_if_there(struct cancel_spool *spool, const char *file, struct cancel_error *error)
{
	int code = exists(spool, SPOOL_ROOT, file, error);

	if (code > 0)
		code = drop_take(spool, file, true, NULL, error);
	return code < 0 && code != -ENOENT ? code : 0;
}

/* Foreign programs use an id as it is where it can stand as a file's name. */
static bool raw_file(char file[NAME_FILE_SIZE], const struct entry *entry)
{
	const char *id = entry->wanted.task_id;

	if (entry->wanted.run || strlen(id) > CANCEL_NAME_MAX || strchr(id, '/') || id[0] == '.')
		return false;
	name_to_file(file, id);
	return strcmp(file, entry->file) != 0;
}

static int take_for(struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error)
{
	char left[LEFT_SIZE], raw[NAME_FILE_SIZE];
	int code = take_if_there(spool, entry->file, error);

	if (code == 0 && raw_file(raw, entry))
		code = take_if_there(spool, raw, error);
	left_name(left, entry->name);
	if (code == 0)
		code = exists(spool, SPOOL_TMP, left, error);
	if (code > 0)
		code = finish_left(spool, entry, true, NULL, error);
	return code < 0 && code != -ENOENT ? code : 0;
}

/* That a drop was refused is for its intake to tell, and no failure of who looks up. */
int drop_take_for(struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error)
{
	struct cancel_error problem;
	int code = take_for(spool, entry, &problem);

	if (code < 0 && error)
		*error = problem;
	return code;
}

/* --- all of them -------------------------------------------------------------------------------------- */

struct intake {
	struct cancel_spool *spool;
	cancel_drop_report *report;
	void *arg;
	int unsettled;
	bool has_waited; /* for a lock, in vain: whoever holds one may hold them all, and there may be many drops */
	struct cancel_error failure; /* the first of a drop that could not be taken in; code 0: none */
};

/* One drop that cannot be taken in does not keep the others waiting. */
static int keep_failure(struct intake *intake, const struct cancel_error *failure, struct cancel_error *error)
{
	if (error_is_want(failure->code)) {
		if (error)
			*error = *failure;
		return failure->code;
	}
	if (!intake->failure.code)
		intake->failure = *failure;
	return 0;
}

static int take_and_report(struct intake *intake, const char *file, struct cancel_error *error)
{
	struct cancel_request request;
	struct cancel_error refusal = {0};
	int code = spool_enter(intake->spool, error);

	if (code < 0)
		return code;
	cancel_request_init(&request);
	code = drop_take(intake->spool, file, !intake->has_waited, &request, &refusal);
	spool_leave(intake->spool);
	intake->has_waited = intake->has_waited || code == -EBUSY;
	intake->unsettled += code == CANCEL_DROP_UNSETTLED;
	if (code >= 0 && intake->report)
		intake->report(intake->arg, (enum cancel_drop_result)code, file,
			       request.task_id ? &request : NULL,
			       code == CANCEL_DROP_REFUSED ? &refusal : NULL);
	cancel_request_clear(&request);
	return code < 0 && code != -ENOENT ? keep_failure(intake, &refusal, error) : 0;
}

int cancel_spool_intake(struct cancel_spool *spool, cancel_drop_report *report, void *arg,
			struct cancel_error *error)
{
	struct intake intake = {.spool = spool, .report = report, .arg = arg};
	const char *file;
	struct scan scan;
	int code = scan_begin(&scan, spool, SPOOL_ROOT, error), ended;

	if (code < 0)
		return code;
	while (code == 0 && (file = scan_next(&scan, &ended)))
		if (name_of_file(file))
			code = take_and_report(&intake, file, error);
	scan_close(&scan);
	if (code == 0 && ended < 0)
		code = error_system(error, ended, "cannot list spool '%s'", SPOOL_QUOTE(spool));
	if (code == 0 && intake.failure.code < 0) {
		code = intake.failure.code;
		if (error)
			*error = intake.failure;
	}
	return code < 0 ? code : intake.unsettled;
}
