/* One name: what stands there, and what of it is news. */
#include "state.h"

#include "clock.h"
#include "drop.h"
#include "entry.h"

#include <errno.h>
#include <fcntl.h>

enum sight_kind {
	SIGHT_NOTHING,
	SIGHT_REQUESTED,
	SIGHT_DECIDED,
	SIGHT_DROPPED,
	SIGHT_UNSETTLED,  /* still being written */
	SIGHT_REFUSED,    /* none, and it stays so until it is changed */
	SIGHT_UNREADABLE, /* nothing is known of it now; others can be read */
	SIGHT_FAILED,     /* we can read nothing now */
};

struct sight {
	enum sight_kind kind;
	int code;
	struct cancel_request request;
	struct cancel_error refusal;
	struct stat stat;
};

static enum sight_kind kind_of_failure(int code)
{
	static const struct failure {
		int code;
		enum sight_kind kind;
	} failures[] = {
		{-EINPROGRESS, SIGHT_UNSETTLED}, {-EBADMSG, SIGHT_REFUSED}, {-EACCES, SIGHT_REFUSED},
		{-EMFILE, SIGHT_FAILED},         {-ENFILE, SIGHT_FAILED},   {-ENOMEM, SIGHT_FAILED},
	};

	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
		if (failures[i].code == code)
			return failures[i].kind;
	return SIGHT_UNREADABLE;
}

static void fail(struct sight *sight, int code)
{
	sight->kind = kind_of_failure(code);
	sight->code = code;
}

static int64_t ctime_ns(const struct stat *stat)
{
	return (int64_t)stat->st_ctim.tv_sec * NS_PER_S + stat->st_ctim.tv_nsec;
}

/* What was decided before the watch began is not news. Whatever this passes over because a clock was stepped,
 * the scan of processed/ and the hints about it do not. */
static bool is_recent(const struct cancel_watch *watch, const char *file)
{
	const struct watermark *known = &watch->rounds[SPOOL_PROCESSED].known;
	struct stat stat;

	return fstatat(watch->spool->fds[SPOOL_PROCESSED], file, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (!known->is_set || ctime_ns(&stat) >= known->from_ns);
}

static void see_pending(struct cancel_watch *watch, const char *file, struct sight *sight)
{
	struct standing standing;
	struct entry entry;
	int code;

	if (!entry_from_file(&entry, file))
		return;
	code = entry_look(watch->spool, &entry, &standing, &sight->refusal);
	sight->stat = standing.pending_stat;
	if (code < 0) {
		fail(sight, code);
		return;
	}
	if (standing.pending) {
		sight->kind = SIGHT_REQUESTED;
		request_move(&sight->request, &standing.pending_request);
	} else if (standing.processed && is_recent(watch, file)) {
		sight->kind = SIGHT_DECIDED;
		request_move(&sight->request, &standing.processed_request);
	}
	standing_clear(&standing);
}

static void see_processed(struct cancel_watch *watch, const char *file, struct sight *sight)
{
	struct standing standing;
	struct entry entry;
	int code;

	if (!entry_from_file(&entry, file))
		return;
	code = entry_read_processed(watch->spool, &entry, &standing, &sight->refusal);
	if (code < 0) {
		fail(sight, code);
		(void)fstatat(watch->spool->fds[SPOOL_PROCESSED], file, &sight->stat, AT_SYMLINK_NOFOLLOW);
		return;
	}
	if (standing.processed) {
		sight->kind = SIGHT_DECIDED;
		request_move(&sight->request, &standing.processed_request);
	}
	standing_clear(&standing);
}

static void see_drop(struct cancel_watch *watch, const char *file, struct sight *sight)
{
	static const enum sight_kind kinds[] = {
		[CANCEL_DROP_TAKEN] = SIGHT_DROPPED,
		[CANCEL_DROP_COALESCED] = SIGHT_DROPPED,
		[CANCEL_DROP_UNSETTLED] = SIGHT_UNSETTLED,
		[CANCEL_DROP_REFUSED] = SIGHT_REFUSED,
	};
	bool waits = clock_monotonic_ms() >= watch->locked_until_ms;
	int code;

	if (!name_of_file(file))
		return;
	(void)fstatat(watch->spool->fds[SPOOL_ROOT], file, &sight->stat, AT_SYMLINK_NOFOLLOW);
	code = drop_take(watch->spool, file, waits, &sight->request, &sight->refusal);
	/* Who holds that lock may hold them all, and there may be many drops. The first is told, the others come later. */
	if (code == -EBUSY && waits)
		watch->locked_until_ms = clock_monotonic_ms() + CANCEL_LOCK_WAIT_MS;
	if (code >= 0)
		sight->kind = kinds[code];
	else if (code == -EBUSY && !waits)
		sight->kind = SIGHT_UNSETTLED;
	else if (code != -ENOENT) /* another watcher took it in */
		fail(sight, code);
}

/* --- what follows ------------------------------------------------------------------------------------- */

static void remember(struct cancel_watch *watch, enum spool_dir dir, const char *file,
		     const struct stat *stat)
{
	struct round *round = &watch->rounds[dir];

	if (later_add(&watch->later, dir, file))
		return;
	/* Too many: the next scan goes back to them. */
	if (ctime_ns(stat) < round->left_ns)
		round->left_ns = ctime_ns(stat);
}

static int act(struct cancel_watch *watch, enum spool_dir dir, const char *file, const struct sight *sight,
	       struct cancel_error *error)
{
	switch (sight->kind) {
	case SIGHT_NOTHING:
		break;
	case SIGHT_DROPPED:
		report_drop(watch, file, &sight->request);
		report_request(watch, CANCEL_EVENT_REQUESTED, &sight->request);
		break;
	case SIGHT_REQUESTED:
		report_request(watch, CANCEL_EVENT_REQUESTED, &sight->request);
		break;
	case SIGHT_DECIDED:
		report_request(watch, CANCEL_EVENT_DECIDED, &sight->request);
		break;
	case SIGHT_REFUSED:
		report_refusal(watch, dir, file, &sight->stat, sight->refusal.text);
		break;
	case SIGHT_UNREADABLE:
		report_refusal(watch, dir, file, &sight->stat, sight->refusal.text);
		remember(watch, dir, file, &sight->stat);
		break;
	case SIGHT_UNSETTLED:
		remember(watch, dir, file, &sight->stat);
		break;
	case SIGHT_FAILED:
		remember(watch, dir, file, &sight->stat);
		if (error)
			*error = sight->refusal;
		return sight->code;
	}
	return 0;
}

/* Whoever reads need not compare the path each time: that is done before each slice of the work, and if it
 * leads elsewhere all is looked at again. Whoever takes in a drop must publish it where the path leads. */
static int enter(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	if (dir == SPOOL_ROOT)
		return spool_enter(watch->spool, error);
	spool_enter_unchecked(watch->spool);
	return 0;
}

int look_at(struct cancel_watch *watch, enum spool_dir dir, const char *file, struct cancel_error *error)
{
	static void (*const seers[SPOOL_DIR_COUNT])(struct cancel_watch *, const char *, struct sight *) = {
		[SPOOL_PENDING] = see_pending,
		[SPOOL_PROCESSED] = see_processed,
		[SPOOL_ROOT] = see_drop,
	};
	struct sight sight = {.kind = SIGHT_NOTHING};
	int code = enter(watch, dir, error);

	if (code < 0) {
		remember(watch, dir, file, &sight.stat);
		return code;
	}
	cancel_request_init(&sight.request);
	seers[dir](watch, file, &sight);
	spool_leave(watch->spool);
	code = act(watch, dir, file, &sight, error);
	cancel_request_clear(&sight.request);
	return code;
}

int look_again(struct cancel_watch *watch, struct cancel_error *error)
{
	struct later_name name;
	int code = 0;

	/* Each once: what is still unsettled goes to the end. */
	for (size_t left = watch->later.count; code == 0 && left; left--) {
		if (is_interrupted(watch))
			return PROGRESS_STOPPED;
		if (later_take(&watch->later, &name))
			code = look_at(watch, name.dir, name.file, error);
	}
	return code;
}
