/* Deciding and resetting: everything happens under the name's lock. */
#include "draft.h"
#include "drop.h"
#include "entry.h"
#include "error.h"
#include "lock.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int decision_check(const struct decision *decision, struct cancel_error *error)
{
	const char *detail = decision->detail ? decision->detail : "";
	size_t length = strlen(detail);

	if (decision->outcome <= CANCEL_OUTCOME_NONE || decision->outcome > CANCEL_OUTCOME_EXPIRED)
		return error_set(error, -EINVAL, "a decision needs an outcome");
	if (length > CANCEL_DETAIL_MAX)
		return error_set(error, -EMSGSIZE, "the detail has %zu bytes; at most %d are allowed", length,
				 CANCEL_DETAIL_MAX);
	if (!utf8_valid(detail, length))
		return error_set(error, -EILSEQ, "the detail '%s' is not valid UTF-8", QUOTE(detail));
	return 0;
}

/* A drop whose intake was killed meanwhile is finished under the lock: published after the decision it would cancel once
 * more. */
int entry_begin(struct cancel_spool *spool, const struct entry *entry, struct name_lock *lock,
		struct cancel_error *error)
{
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	code = drop_take_for(spool, entry, error);
	if (code == 0)
		code = lock_take(spool, entry->name, lock, error);
	if (code == 0) {
		code = drop_finish_locked(spool, entry, error);
		if (code < 0)
			lock_drop(lock);
	}
	if (code < 0)
		spool_leave(spool);
	return code;
}

void entry_end(struct cancel_spool *spool, struct name_lock *lock)
{
	lock_drop(lock);
	spool_leave(spool);
}

static int decide_entry(struct cancel_spool *spool, const struct entry *entry, const struct decision *decision,
			struct cancel_request *decided, struct cancel_error *error)
{
	struct name_lock lock;
	int code = entry_begin(spool, entry, &lock, error);

	if (code < 0)
		return code;
	code = entry_decide(spool, entry, decision, decided, error);
	entry_end(spool, &lock);
	return code;
}

int cancel_spool_decide(struct cancel_spool *spool, const char *task_id, const char *run,
			const char *request_id, enum cancel_outcome outcome, const char *detail,
			struct cancel_request *decided, struct cancel_error *error)
{
	struct decision decision = {request_id, outcome, detail, NULL};
	struct entry entry;
	int code = entry_init(&entry, task_id, run, error);

	if (code == 0)
		code = decision_check(&decision, error);
	return code < 0 ? code : decide_entry(spool, &entry, &decision, decided, error);
}

/* --- reset -------------------------------------------------------------------------------------------- */

/* What is no record there is nobody's to delete: it is kept, out of the way. */
static int remove_processed(const struct cancel_spool *spool, const struct entry *entry,
			    struct cancel_error *error)
{
	struct stat stat;
	int code;

	if (fstatat(spool->fds[SPOOL_PROCESSED], entry->file, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(stat.st_mode)) {
		code = entry_move_aside(spool, SPOOL_PROCESSED, entry->file, error);
		return code < 0 ? code : 1;
	}
	if (unlinkat(spool->fds[SPOOL_PROCESSED], entry->file, 0) == 0)
		return 1;
	return errno == ENOENT ? 0 : error_system(error, -errno, "cannot remove 'processed/%s' of spool '%s'",
						  QUOTE(entry->file), SPOOL_QUOTE(spool));
}

/* A decision does not mind litter that it could not remove. A reset does: without its processed record the litter
 * would be a request again. */
static int clear_litter(const struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error)
{
	struct standing standing;
	int code = entry_read(spool, entry, &standing, error);

	if (code < 0)
		return code == -EINPROGRESS ? 0 : code;
	if (standing.litter)
		code = entry_unlink_pending(spool, entry, &standing.pending_stat);
	standing_clear(&standing);
	return code == 0 || code == -ENOENT ? 0 : error_system(error, code, "cannot remove 'pending/%s' of spool '%s', which was decided; "
					    "its processed record is kept", QUOTE(entry->file), SPOOL_QUOTE(spool));
}

/* The processed record goes last: killed before that, the request is withdrawn, and never comes back to life. */
static int reset_locked(const struct cancel_spool *spool, const struct entry *entry,
			struct cancel_error *error)
{
	struct decision withdrawal = {.outcome = CANCEL_OUTCOME_WITHDRAWN, .detail = "reset"};
	struct cancel_error problem;
	int withdrawn = entry_decide(spool, entry, &withdrawal, NULL, &problem), removed;

	if (withdrawn < 0 && withdrawn != -ENOENT) {
		if (error)
			*error = problem;
		return withdrawn;
	}
	removed = clear_litter(spool, entry, error);
	if (removed == 0) /* after a power cut, too */
		removed = draft_sync_dir_told(spool, SPOOL_PENDING, DIR_PENDING, "the processed record is kept", error);
	if (removed == 0)
		removed = remove_processed(spool, entry, error);
	if (removed < 0)
		return removed;
	return withdrawn == CANCEL_DECIDED || removed;
}

int cancel_spool_reset(struct cancel_spool *spool, const char *task_id, const char *run,
		       struct cancel_error *error)
{
	struct name_lock lock;
	struct entry entry;
	int code = entry_init(&entry, task_id, run, error);

	if (code == 0)
		code = entry_begin(spool, &entry, &lock, error);
	if (code < 0)
		return code;
	code = reset_locked(spool, &entry, error);
	entry_end(spool, &lock);
	return code;
}
