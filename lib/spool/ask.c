/*
 * Asking. The first publish of a name can only create, so it needs no lock. If the name is taken, everything
 * else happens under the lock, because what stands there may be decided, removed or published anew between a look
 * and the answer, and an answer "already pending" must name a request that will be seen.
 */
#include "ask.h"

#include "bell.h"
#include "clock.h"
#include "draft.h"
#include "entry.h"
#include "error.h"
#include "file.h"
#include "lock.h"
#include "record.h"
#include "terms.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Each turn ends with something of ours published or something else removed, but programs that know no lock
 * may go on creating and deleting for ever. */
#define PUBLISH_TURNS 1000

/* --- what is asked ------------------------------------------------------------------------------------ */

static int check_text(const char *text, size_t max, const char *what, struct cancel_error *error)
{
	size_t length;

	if (!text)
		return 0;
	length = strlen(text);
	if (length > max)
		return error_set(error, -EMSGSIZE, "the %s has %zu bytes; at most %zu are allowed", what, length,
				 max);
	if (!utf8_valid(text, length))
		return error_set(error, -EILSEQ, "the %s '%s' is not valid UTF-8", what, QUOTE(text));
	return 0;
}

static int check_terms(const struct cancel_request *request, struct cancel_error *error)
{
	if (request->expires_in_s < CANCEL_EXPIRES_NEVER || request->expires_in_s > CANCEL_EXPIRES_MAX_S)
		return error_set(error, -EINVAL, "a request's life is 1 second to ten years, or never");
	if (request->cancel_at_us < 0)
		return error_set(error, -EINVAL, "a request's cancel time is after 1970");
	return 0;
}

static int check_request(const struct cancel_spool *spool, const struct cancel_request *request,
			 struct cancel_error *error)
{
	int code = check_text(request->reason, spool->options.max_reason_bytes, "reason", error);

	if (code == 0)
		code = check_text(request->requester.name, CANCEL_PARTY_TEXT_MAX, "requester's name", error);
	if (code == 0)
		code = check_text(request->requester.program, CANCEL_PARTY_TEXT_MAX, "program's name", error);
	if (code == 0)
		code = check_text(request->requester.host, CANCEL_PARTY_TEXT_MAX, "host's name", error);
	return code == 0 ? check_terms(request, error) : code;
}

static void fill_requester(const struct cancel_spool *spool, struct cancel_party *party)
{
	if (!party->host)
		party->host = spool->host;
	if (!party->program)
		party->program = record_program();
	party->uid = geteuid();
	party->gid = getegid();
	party->pid = getpid();
}

static int fill_request(const struct cancel_spool *spool, struct cancel_request *request,
			struct cancel_error *error)
{
	int code = draft_random_id(request->request_id);

	if (code < 0)
		return error_system(error, code, "cannot make a request id");
	request->status = CANCEL_STATUS_PENDING;
	request->outcome = CANCEL_OUTCOME_NONE;
	request->malformed = false;
	request->requested_at_us = clock_realtime_us();
	request->boottime_ns = clock_boottime_ns();
	memcpy(request->boot_id, clock_boot_id(), sizeof request->boot_id);
	if (request->expires_in_s == CANCEL_EXPIRES_DEFAULT)
		terms_default_life(request, spool->options.expire_after_s);
	fill_requester(spool, &request->requester);
	return 0;
}

/* --- under the lock ----------------------------------------------------------------------------------- */

static int publish_failed(const struct cancel_spool *spool, const struct entry *entry, int code,
			  struct cancel_error *error)
{
	return error_system(error, code, "cannot publish 'pending/%s' in spool '%s'; nothing was requested",
			    QUOTE(entry->file), SPOOL_QUOTE(spool));
}

static int merge_into(const struct cancel_spool *spool, const struct entry *entry, struct standing *found,
		      const struct cancel_request *request, struct cancel_request *standing,
		      struct cancel_error *error)
{
	if (terms_merge(&found->pending_request, request)) {
		int code = entry_rewrite(spool, entry, &found->pending_request, error);

		if (code < 0)
			return code;
		bell_ring(spool, found->pending_request.task_id, CANCEL_COUNT_MERGED);
	}
	if (standing)
		request_move(standing, &found->pending_request);
	return CANCEL_ALREADY_PENDING;
}

/* Make room, or answer. 0: room was made, publish again. */
static int resolve_standing(const struct cancel_spool *spool, const struct entry *entry,
			    struct standing *found, const struct cancel_request *request,
			    struct cancel_request *standing, struct cancel_error *error)
{
	struct decision expiry = {.outcome = CANCEL_OUTCOME_EXPIRED};
	int code;

	if (found->litter) {
		code = entry_unlink_pending(spool, entry, &found->pending_stat);
		return code < 0 && code != -EEXIST && code != -ENOENT ? publish_failed(spool, entry, code, error)
								      : 0;
	}
	if (!found->pending)
		return 0;
	if (!cancel_request_expired(&found->pending_request))
		return merge_into(spool, entry, found, request, standing, error);
	code = entry_decide(spool, entry, &expiry, NULL, error);
	return code == -ENOENT ? 0 : code;
}

/* A foreign program has created the file and is writing it. Its name says whom to cancel, so ours takes its place
 * as if it had been merged; what it writes from now on goes nowhere, and was the same wish. */
static int take_over_unfinished(const struct cancel_spool *spool, const struct entry *entry,
				const struct cancel_request *request, struct cancel_error *error)
{
	int code = entry_rewrite(spool, entry, request, error);

	if (code < 0)
		return code;
	bell_ring(spool, request->task_id, CANCEL_COUNT_REQUESTED);
	return CANCEL_REQUESTED;
}

static int resolve(const struct cancel_spool *spool, const struct entry *entry,
		   const struct cancel_request *request, struct cancel_request *standing,
		   struct cancel_error *error)
{
	struct standing found;
	int code = entry_read(spool, entry, &found, error);

	if (code == -EINPROGRESS)
		return take_over_unfinished(spool, entry, request, error);
	if (code == -EBADMSG) {
		code = entry_move_aside(spool, SPOOL_PENDING, entry->file, error);
		return code < 0 ? code : -EAGAIN;
	}
	if (code < 0)
		return code;
	code = resolve_standing(spool, entry, &found, request, standing, error);
	standing_clear(&found);
	return code == CANCEL_REQUESTED ? -EAGAIN : code;
}

static int publish_draft(struct cancel_spool *spool, const struct draft *draft,
			 const struct entry *entry, const struct cancel_request *request,
			 struct cancel_request *standing, struct cancel_error *error)
{
	for (int turn = 0; turn < PUBLISH_TURNS; turn++) {
		int code = draft_publish(spool, draft, true);

		if (code != -EEXIST)
			return code < 0 ? publish_failed(spool, entry, code, error) : CANCEL_REQUESTED;
		code = resolve(spool, entry, request, standing, error);
		if (code != -EAGAIN)
			return code;
	}
	return publish_failed(spool, entry, -EBUSY, error);
}

int entry_publish(struct cancel_spool *spool, const struct entry *entry, const struct cancel_request *request,
		  const char *ready, struct cancel_request *standing, struct cancel_error *error)
{
	struct record_text text;
	struct draft draft;
	int code = ready ? record_write_fitting(&text, request, error) : record_write(&text, request, error);

	if (code < 0)
		return code;
	draft = (struct draft){entry->file, text.data, text.used, terms_mtime_us(request), ready, request->task_id};
	code = publish_draft(spool, &draft, entry, request, standing, error);
	record_text_clear(&text);
	return code;
}

/* --- asking ------------------------------------------------------------------------------------------- */

static int ask_locked(struct cancel_spool *spool, const struct entry *entry,
		      const struct cancel_request *request, struct cancel_request *standing,
		      struct cancel_error *error)
{
	struct name_lock lock;
	int code = lock_take(spool, entry->name, &lock, error);

	if (code < 0)
		return code;
	code = entry_publish(spool, entry, request, NULL, standing, error);
	lock_drop(&lock);
	return code;
}

/* Nothing stands there as a rule. */
static int ask_once(struct cancel_spool *spool, const struct entry *entry,
		    const struct cancel_request *request, struct cancel_request *standing,
		    struct cancel_error *error)
{
	struct record_text text;
	struct draft draft;
	int code = record_write(&text, request, error);

	if (code < 0)
		return code;
	draft = (struct draft){entry->file, text.data, text.used, terms_mtime_us(request), NULL, request->task_id};
	code = draft_publish(spool, &draft, false);
	record_text_clear(&text);
	if (code == -EEXIST)
		return ask_locked(spool, entry, request, standing, error);
	return code < 0 ? publish_failed(spool, entry, code, error) : CANCEL_REQUESTED;
}

/* Who published it may not have asked for as much. */
static int sync_standing(const struct cancel_spool *spool, const struct entry *entry)
{
	struct stat stat;
	int fd, code;

	if (spool->options.durability != CANCEL_DURABILITY_FULL)
		return 0;
	fd = file_open_regular(spool->fds[SPOOL_PENDING], entry->file, &stat);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd; /* decided meanwhile */
	code = fdatasync(fd) < 0 ? -errno : 0;
	file_close(fd);
	return code;
}

/* A batch syncs the directory once, at its end. */
static int sync_pending(const struct cancel_spool *spool, const struct entry *entry, int result, bool directory,
			struct cancel_error *error)
{
	int code = result == CANCEL_ALREADY_PENDING ? sync_standing(spool, entry) : 0;

	if (code == 0 && directory)
		code = draft_sync_dir(spool, SPOOL_PENDING);

	return code == 0 ? 0 : error_system(error, code, "the request stands in spool '%s', but may not survive a "
					    "power cut: cannot sync 'pending'", SPOOL_QUOTE(spool));
}

/* What was published into a directory that is not the spool any more is taken back: moved there again it would
 * cancel, long after the answer was a failure. False when it may stand there. */
static bool take_back(struct cancel_spool *spool, const struct entry *entry, const char *request_id)
{
	struct standing standing;
	struct name_lock lock;
	int code;

	if (lock_take(spool, entry->name, &lock, NULL) < 0)
		return false;
	code = entry_read(spool, entry, &standing, NULL);
	if (code == 0) {
		if (standing.pending && !strcmp(standing.pending_request.request_id, request_id))
			code = entry_unlink_pending(spool, entry, &standing.pending_stat);
		standing_clear(&standing);
	}
	lock_drop(&lock);
	return code == 0;
}

/* It cannot be published again, and its taking back failed: nobody knows whether somebody will see it. */
static int left_behind(const struct cancel_spool *spool, const struct entry *entry, int code, struct cancel_error *error)
{
	return error_system(error, code, "the request of '%s' stands in what was spool '%s' until now; cannot ask again, nor "
			    "take it back", QUOTE(entry->name), SPOOL_QUOTE(spool));
}

/* Publish where the path leads. If the directory was replaced meanwhile, what was published went into one that
 * nobody looks at, so it is published again. */
int ask_publish(struct cancel_spool *spool, const struct entry *entry, const struct cancel_request *request,
		struct cancel_request *standing, bool sync, struct cancel_error *error)
{
	/* What failed on the way to success is nobody's business: `error` is set at the end. */
	struct cancel_error problem;
	bool is_left = false;

	for (bool again = false;; again = true) {
		bool replaced;
		int code = 0;

		if (again)
			code = spool_enter(spool, error);
		else
			spool_enter_unchecked(spool);
		if (code < 0)
			return is_left ? left_behind(spool, entry, code, error) : code;
		code = ask_once(spool, entry, request, standing, &problem);
		replaced = spool_was_replaced(spool) || (code < 0 && spool_is_incomplete(spool));
		if (code >= 0 && !replaced) {
			int synced = sync_pending(spool, entry, code, sync, &problem);

			code = synced < 0 ? synced : code;
		}
		if (replaced && code == CANCEL_REQUESTED)
			is_left |= !take_back(spool, entry, request->request_id);
		spool_leave(spool);
		if (!replaced) {
			if (code < 0 && error)
				*error = problem;
			return code;
		}
		if (standing)
			cancel_request_clear(standing);
	}
}

int ask_check(const struct cancel_spool *spool, struct cancel_request *request, struct entry *entry,
	      struct cancel_error *error)
{
	int code = entry_init(entry, request->task_id, request->run, error);

	if (code == 0)
		code = check_request(spool, request, error);
	if (code == 0)
		code = fill_request(spool, request, error);
	if (code < 0)
		return code;
	if (terms_too_short(request))
		return error_set(error, -EINVAL, "the request for task '%s' would expire before it takes effect; give it "
				 "a longer life", QUOTE(request->task_id));
	return 0;
}

int cancel_spool_request(struct cancel_spool *spool, struct cancel_request *request,
			 struct cancel_request *standing, struct cancel_error *error)
{
	struct cancel_request filled = *request;
	struct entry entry;
	int code = ask_check(spool, &filled, &entry, error);

	if (code == 0)
		code = ask_publish(spool, &entry, &filled, standing, true, error);
	if (code == CANCEL_REQUESTED)
		*request = filled;
	return code;
}
