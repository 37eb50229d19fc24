/*
 * One pass over everything. Names are collected in chunks, outside the locks and by a filter that opens no file;
 * what may be done is then judged again under the lock, from what stands there by then. A chunk takes the locks of
 * all names at once where that is free: that is one system call instead of thousands, for a fraction of a
 * millisecond. Where it is not free, or a sync would hold it for long, each name's own lock is tried, and a busy
 * name is left for the next pass.
 */
#include <cancel/sweep.h>

#include "clock.h"
#include "clock_state.h"
#include "draft.h"
#include "drop.h"
#include "entry.h"
#include "error.h"
#include "lease.h"
#include "lock.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_KEEP_FOR_S (24 * 3600)
#define CHUNK_COUNT 32

struct sweep {
	struct cancel_spool *spool;
	struct cancel_sweep_options options;
	cancel_sweep_report *report;
	void *arg;
	struct cancel_sweep_result *result;
	struct clock_state clock;
	int64_t changed; /* files expired or removed so far */
	struct cancel_error failure; /* the first with one file; code 0: none */
	bool is_dense;   /* all of the last chunk was: looking before locking would only look twice */
	bool has_pending; /* seen in this pass, so that nobody looks again */
	bool is_free_of_litter; /* seen under the lock of all names, and true until that is dropped */
	bool deletes;    /* false: a dry run, which counts what it would do */
	struct cancel_error first; /* failure, while its code is not 0 */
};

struct chunk {
	size_t count, reported;
	struct entry entries[CHUNK_COUNT];
	struct cancel_request reports[CHUNK_COUNT];
};

void cancel_sweep_options_init(struct cancel_sweep_options *options)
{
	*options = (struct cancel_sweep_options){.keep_for_s = DEFAULT_KEEP_FOR_S};
}

static bool limit_reached(struct sweep *sweep)
{
	if (!sweep->options.max_files_per_pass || sweep->changed < sweep->options.max_files_per_pass)
		return false;
	sweep->result->limited = true;
	return true;
}

static void count_change(struct sweep *sweep, int64_t *counter)
{
	(*counter)++;
	sweep->changed++;
}

/* For calls whose failure may not be one of the pass: on success `error` is left alone. */
static int fail(struct cancel_error *error, const struct cancel_error *problem)
{
	if (error)
		*error = *problem;
	return problem->code;
}

/* A failure does not keep the pass from its other work; the first is told at its end. */
static void remember(struct sweep *sweep, const struct cancel_error *problem)
{
	if (sweep->first.code == 0)
		sweep->first = *problem;
}

/* One file that cannot be dealt with does not keep the others waiting: its failure is told at the end. */
static int keep_failure(struct sweep *sweep, const struct cancel_error *failure, struct cancel_error *error)
{
	if (error_is_want(failure->code)) {
		if (error)
			*error = *failure;
		return failure->code;
	}
	if (!sweep->failure.code)
		sweep->failure = *failure;
	return 0;
}

/* --- chunks ------------------------------------------------------------------------------------------- */

/* What to do with one name under its lock. A report goes into `chunk`, because nobody may be called back while a
 * lock is held. */
typedef int entry_action(struct sweep *sweep, const struct entry *entry, struct chunk *chunk,
			 struct cancel_error *error);

static int act_on_one(struct sweep *sweep, struct chunk *chunk, size_t index, entry_action *act,
		      struct cancel_error *error)
{
	struct cancel_error failure = {0};
	int code = act(sweep, &chunk->entries[index], chunk, &failure);

	/* Gone meanwhile, by somebody who knows no lock, is as good. */
	return code < 0 && code != -ENOENT ? keep_failure(sweep, &failure, error) : 0;
}

static int act_on_all(struct sweep *sweep, struct chunk *chunk, entry_action *act, struct cancel_error *error)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < chunk->count && !limit_reached(sweep); i++)
		code = act_on_one(sweep, chunk, i, act, error);
	return code;
}

static int act_on_each(struct sweep *sweep, struct chunk *chunk, entry_action *act, struct cancel_error *error)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < chunk->count && !limit_reached(sweep); i++) {
		struct cancel_error problem;
		struct name_lock lock;

		code = lock_try(sweep->spool, chunk->entries[i].name, &lock, &problem);
		if (code == -EAGAIN || code == -ESTALE) {
			sweep->result->busy++;
			code = 0;
		} else if (code == 0) {
			code = act_on_one(sweep, chunk, i, act, error);
			lock_drop(&lock);
		} else {
			(void)fail(error, &problem);
		}
	}
	return code;
}

/* Where nothing at all is pending, nothing is litter. Who publishes without a lock publishes what is new. */
static bool nothing_is_pending(struct sweep *sweep)
{
	struct scan scan;
	int ended;

	if (sweep->has_pending || scan_open(&scan, sweep->spool, SPOOL_PENDING, NULL) < 0)
		return false;
	sweep->has_pending = scan_next(&scan, &ended) || ended < 0;
	scan_close(&scan);
	return !sweep->has_pending;
}

static int act_on_chunk(struct sweep *sweep, struct chunk *chunk, entry_action *act,
			struct cancel_error *error)
{
	bool quick = sweep->spool->options.durability == CANCEL_DURABILITY_NONE && chunk->count > 1;
	int64_t before = sweep->changed;
	struct name_lock lock;
	int code = spool_enter(sweep->spool, error);

	if (code < 0)
		return code;
	if (quick && lock_try_all(sweep->spool, &lock, NULL) == 0) {
		sweep->is_free_of_litter = nothing_is_pending(sweep);
		code = act_on_all(sweep, chunk, act, error);
		sweep->is_free_of_litter = false;
		lock_drop(&lock);
	} else {
		code = act_on_each(sweep, chunk, act, error);
	}
	spool_leave(sweep->spool);
	sweep->is_dense = sweep->changed - before == (int64_t)chunk->count;
	for (size_t i = 0; i < chunk->reported; i++) {
		sweep->report(sweep->arg, &chunk->reports[i]);
		cancel_request_clear(&chunk->reports[i]);
	}
	chunk->count = chunk->reported = 0;
	return code;
}

/* Is this name for the chunk? Counts it where it belongs if not. */
typedef bool entry_filter(struct sweep *sweep, const struct stat *stat);

static bool collect(struct sweep *sweep, const struct scan *scan, const char *file, entry_filter *filter,
		    struct entry *entry)
{
	struct stat stat;

	if (!entry_from_file(entry, file)) {
		sweep->result->strangers++;
		return false;
	}
	if (sweep->is_dense)
		return true;
	if (fstatat(scan->fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return false; /* gone */
	if (!S_ISREG(stat.st_mode)) {
		sweep->result->refused++;
		return false;
	}
	return filter(sweep, &stat);
}

static int sweep_names(struct sweep *sweep, struct scan *scan, entry_filter *filter, entry_action *act,
		       struct cancel_error *error)
{
	struct chunk chunk = {.count = 0};
	const char *file;
	int code = 0, ended = 0;

	sweep->is_dense = false;
	while (code == 0 && !limit_reached(sweep) && (file = scan_next(scan, &ended))) {
		/* The entry points into itself, so it is made where it stays. */
		if (collect(sweep, scan, file, filter, &chunk.entries[chunk.count]))
			chunk.count++;
		if (chunk.count == CHUNK_COUNT)
			code = act_on_chunk(sweep, &chunk, act, error);
	}
	if (code == 0 && ended < 0)
		code = error_system(error, ended, "cannot list spool '%s'", SPOOL_QUOTE(sweep->spool));
	return code == 0 && chunk.count ? act_on_chunk(sweep, &chunk, act, error) : code;
}

static int sweep_directory(struct sweep *sweep, enum spool_dir dir, entry_filter *filter, entry_action *act,
			   struct cancel_error *error)
{
	struct scan scan;
	int code = scan_begin(&scan, sweep->spool, dir, error);

	if (code < 0)
		return code;
	code = sweep_names(sweep, &scan, filter, act, error);
	scan_close(&scan);
	return code;
}

/* --- pending ------------------------------------------------------------------------------------------ */

/* The modification time of our records is their expiry, and bears our mark; any other file is opened, and so is one
 * that was made before the clock was stepped. */
static bool may_be_expired(struct sweep *sweep, const struct stat *stat)
{
	if (timespec_us(&stat->st_mtim) <= clock_realtime_us() || !draft_marked(&stat->st_mtim) ||
	    timespec_us(&stat->st_ctim) < sweep->clock.stepped_us)
		return true;
	sweep->result->kept++;
	return false;
}

static int expire_standing(struct sweep *sweep, const struct entry *entry, struct standing *standing,
			   struct chunk *chunk, struct cancel_error *error)
{
	struct decision expiry = {.outcome = CANCEL_OUTCOME_EXPIRED};
	struct cancel_request *decided = sweep->report ? &chunk->reports[chunk->reported] : NULL;
	struct cancel_error problem;
	int code = 0;

	if (decided)
		cancel_request_init(decided);
	if (sweep->deletes)
		code = entry_decide_standing(sweep->spool, entry, &expiry, standing, decided,
					     &problem);
	if (code == -ENOENT) /* a program that knows no lock removed it */
		return 0;
	if (code < 0)
		return fail(error, &problem);
	if (decided && decided->task_id)
		chunk->reported++;
	count_change(sweep, &sweep->result->expired);
	return 0;
}

static int remove_litter(struct sweep *sweep, const struct entry *entry, const struct standing *standing)
{
	if (sweep->result->clock_step_ms)
		return 0;
	if (sweep->deletes && entry_unlink_pending(sweep->spool, entry, &standing->pending_stat) < 0)
		return 0; /* changed or not to be removed: it counts for nothing, and the next pass sees it again */
	count_change(sweep, &sweep->result->litter);
	return 0;
}

static int expire_entry(struct sweep *sweep, const struct entry *entry, struct chunk *chunk,
			struct cancel_error *error)
{
	struct cancel_error problem;
	struct standing standing;
	int code = entry_read(sweep->spool, entry, &standing, &problem);

	if (code == -EBADMSG || code == -EACCES)
		sweep->result->refused++;
	else if (code == -EINPROGRESS)
		sweep->result->kept++;
	else if (code < 0)
		return fail(error, &problem);
	if (code < 0)
		return 0;
	if (standing.litter)
		code = remove_litter(sweep, entry, &standing);
	else if (standing.pending && !sweep->result->clock_step_ms &&
		 cancel_request_expired(&standing.pending_request))
		code = expire_standing(sweep, entry, &standing, chunk, error);
	else
		sweep->result->kept += standing.pending;
	standing_clear(&standing);
	return code;
}

/* --- processed ---------------------------------------------------------------------------------------- */

static bool is_old(const struct sweep *sweep, const struct stat *stat)
{
	int64_t age_us = clock_realtime_us() - timespec_us(&stat->st_mtim);

	return age_us >= sweep->options.keep_for_s * US_PER_S;
}

static bool may_be_old(struct sweep *sweep, const struct stat *stat)
{
	if (is_old(sweep, stat))
		return true;
	sweep->result->kept++;
	return false;
}

static int64_t age_of_decision_us(const struct cancel_request *request)
{
	if (request->processed_boot_id[0] && !strcmp(request->processed_boot_id, clock_boot_id()))
		return (clock_boottime_ns() - request->processed_boottime_ns) / NS_PER_US;
	return clock_realtime_us() - request->processed_at_us;
}

/* The modification time of a processed record is when it was decided, by the wall clock. That is its age as long as
 * the clock was not stepped since; before that, the record knows better. */
static bool is_past_keeping(const struct sweep *sweep, const struct entry *entry, const struct stat *stat)
{
	struct standing standing;
	bool past = true;

	if (timespec_us(&stat->st_mtim) >= sweep->clock.since_us)
		return true;
	if (entry_read_processed(sweep->spool, entry, &standing, NULL) < 0)
		return false;
	if (standing.processed)
		past = age_of_decision_us(&standing.processed_request) >= sweep->options.keep_for_s * US_PER_S;
	standing_clear(&standing);
	return past;
}

/* Without its processed record, litter would come back to life. */
static int clear_litter(struct sweep *sweep, const struct entry *entry, struct cancel_error *error)
{
	struct standing standing;
	struct stat stat;
	int code;

	if (sweep->is_free_of_litter)
		return 0;
	if (fstatat(sweep->spool->fds[SPOOL_PENDING], entry->file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_system(error, -errno, "cannot look at 'pending/%s'",
							  QUOTE(entry->file));
	code = entry_read(sweep->spool, entry, &standing, NULL);
	if (code < 0)
		return code == -EBADMSG || code == -EINPROGRESS ? 0 : -EAGAIN;
	if (standing.litter && sweep->deletes &&
	    entry_unlink_pending(sweep->spool, entry, &standing.pending_stat) < 0)
		code = -EAGAIN;
	else if (standing.litter && (sweep->deletes || timespec_us(&stat.st_mtim) > clock_realtime_us()))
		count_change(sweep, &sweep->result->litter); /* in a dry run the pass over pending counted the rest */
	standing_clear(&standing);
	return code;
}

static int remove_processed(struct sweep *sweep, const struct entry *entry, struct chunk *chunk,
			    struct cancel_error *error)
{
	int processed_fd = sweep->spool->fds[SPOOL_PROCESSED], code;
	struct stat stat;

	(void)chunk;
	if (fstatat(processed_fd, entry->file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISREG(stat.st_mode)) {
		sweep->result->refused++;
		return 0;
	}
	if (sweep->result->clock_step_ms || !is_old(sweep, &stat) || !is_past_keeping(sweep, entry, &stat)) {
		sweep->result->kept++;
		return 0;
	}
	code = clear_litter(sweep, entry, error);
	if (code == -EAGAIN) {
		sweep->result->kept++;
		return 0;
	}
	/* After a power cut the pending file must not be back without it. */
	if (code == 0 && sweep->deletes)
		code = draft_sync_dir_told(sweep->spool, SPOOL_PENDING, DIR_PENDING, "the processed record is kept", error);
	if (code == 0 && sweep->deletes && unlinkat(processed_fd, entry->file, 0) < 0 && errno != ENOENT)
		code = error_system(error, -errno, "cannot remove 'processed/%s' of spool '%s'",
				    QUOTE(entry->file), SPOOL_QUOTE(sweep->spool));
	if (code == 0)
		count_change(sweep, &sweep->result->removed);
	return code;
}

/* --- tmp and runs ------------------------------------------------------------------------------------- */

static void count_put_back(struct sweep *sweep, int code)
{
	if (code == -EBUSY)
		sweep->result->busy++;
	else if (code == CANCEL_DROP_REFUSED)
		sweep->result->refused++;
	else if (code >= 0)
		sweep->result->put_back++;
}

static int put_back(struct sweep *sweep, const char *file, struct cancel_error *error)
{
	struct cancel_error failure = {0};
	struct cancel_request request;
	int code;

	if (!sweep->deletes) {
		sweep->result->put_back++;
		return 0;
	}
	cancel_request_init(&request);
	code = spool_enter(sweep->spool, error);
	if (code < 0)
		return code;
	code = drop_finish_left(sweep->spool, file, &request, &failure);
	spool_leave(sweep->spool);
	count_put_back(sweep, code);
	if (code >= 0 && request.task_id && sweep->report)
		sweep->report(sweep->arg, &request);
	cancel_request_clear(&request);
	return code == -ENOENT || code == -EBUSY || code >= 0 ? 0 : keep_failure(sweep, &failure, error);
}

static void sweep_draft(struct sweep *sweep, const struct scan *scan, const char *file)
{
	struct stat stat;

	if (fstatat(scan->fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (!S_ISREG(stat.st_mode)) {
		sweep->result->strangers++;
		return;
	}
	/* Its writer is bound to be done by then: a draft lives for one call. */
	if (sweep->result->clock_step_ms ||
	    clock_realtime_us() - timespec_us(&stat.st_ctim) < CANCEL_DRAFT_KEEP_S * US_PER_S)
		return;
	if (!sweep->deletes || unlinkat(scan->fd, file, 0) == 0)
		count_change(sweep, &sweep->result->drafts);
}

static int sweep_tmp_file(struct sweep *sweep, const struct scan *scan, const char *file,
			  struct cancel_error *error)
{
	if (drop_is_left(file))
		return put_back(sweep, file, error);
	if (draft_is_name(file))
		sweep_draft(sweep, scan, file);
	else
		sweep->result->strangers++;
	return 0;
}

static int sweep_lease(struct sweep *sweep, const struct scan *scan, const char *file,
		       struct cancel_error *error)
{
	struct stat stat;

	(void)error;
	if (fstatat(scan->fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* its run has ended */
	if (!lease_is_name(file) || !S_ISREG(stat.st_mode))
		sweep->result->strangers++;
	else if (!sweep->result->clock_step_ms && lease_clear_dead(scan->fd, file, sweep->deletes))
		count_change(sweep, &sweep->result->leases);
	return 0;
}

static int count_stranger(struct sweep *sweep, const struct scan *scan, const char *file,
			  struct cancel_error *error)
{
	(void)scan;
	(void)error;
	sweep->result->strangers += !layout_belongs(file);
	return 0;
}

typedef int file_action(struct sweep *sweep, const struct scan *scan, const char *file,
			struct cancel_error *error);

static int sweep_files(struct sweep *sweep, enum spool_dir dir, file_action *act, struct cancel_error *error)
{
	const char *file;
	struct scan scan;
	int code = scan_begin(&scan, sweep->spool, dir, error), ended = 0;

	if (code < 0)
		return code;
	while (code == 0 && !limit_reached(sweep) && (file = scan_next(&scan, &ended)))
		code = act(sweep, &scan, file, error);
	scan_close(&scan);
	if (code == 0 && ended < 0)
		code = error_system(error, ended, "cannot list spool '%s'", SPOOL_QUOTE(sweep->spool));
	return code;
}

/* --- the pass ----------------------------------------------------------------------------------------- */

static int begin_pass(struct sweep *sweep, struct cancel_error *error)
{
	int code = spool_enter(sweep->spool, error);

	if (code < 0)
		return code;
	sweep->result->clock_step_ms = clock_state_advance(sweep->spool, &sweep->clock);
	sweep->deletes = !sweep->options.dry_run;
	spool_leave(sweep->spool);
	return 0;
}

/* The clock's state is written even after a step: the next pass must know the clock as it is now. */
static int end_pass(struct sweep *sweep, struct cancel_error *error)
{
	int code;

	if (sweep->options.dry_run)
		return 0;
	code = spool_enter(sweep->spool, error);
	if (code < 0)
		return code;
	sweep->clock.swept_at_us = clock_realtime_us();
	code = clock_state_write(sweep->spool, &sweep->clock);
	spool_leave(sweep->spool);
	return code == 0 ? 0 : error_system(error, code, "cannot write 'swept' in spool '%s'",
					    SPOOL_QUOTE(sweep->spool));
}

static int sweep_all(struct sweep *sweep, struct cancel_error *error)
{
	struct cancel_error problem;

	if (sweep_files(sweep, SPOOL_TMP, sweep_tmp_file, &problem) < 0)
		remember(sweep, &problem);
	if (sweep_directory(sweep, SPOOL_PENDING, may_be_expired, expire_entry, &problem) < 0)
		remember(sweep, &problem);
	if (sweep_directory(sweep, SPOOL_PROCESSED, may_be_old, remove_processed, &problem) < 0)
		remember(sweep, &problem);
	if (spool_keep_runs(sweep->spool, &problem) < 0 || sweep_files(sweep, SPOOL_RUNS, sweep_lease, &problem) < 0)
		remember(sweep, &problem);
	if (sweep_files(sweep, SPOOL_ROOT, count_stranger, &problem) < 0)
		remember(sweep, &problem);
	return sweep->first.code ? fail(error, &sweep->first) : 0;
}

static int check_options(const struct cancel_sweep_options *options, struct cancel_error *error)
{
	if (options->keep_for_s < 0 || options->keep_for_s > CANCEL_EXPIRES_MAX_S)
		return error_set(error, -EINVAL, "sweep option 'keep_for': expected 0 seconds to ten years");
	if (options->max_files_per_pass < 0)
		return error_set(error, -EINVAL, "sweep option 'max_files_per_pass': expected 0 or more");
	return 0;
}

int cancel_spool_sweep(struct cancel_spool *spool, const struct cancel_sweep_options *options,
		       cancel_sweep_report *report, void *arg, struct cancel_sweep_result *result,
		       struct cancel_error *error)
{
	struct sweep sweep = {.spool = spool, .report = report, .arg = arg, .result = result};
	int code, ended;

	*result = (struct cancel_sweep_result){0};
	cancel_sweep_options_init(&sweep.options);
	if (options)
		sweep.options = *options;
	code = check_options(&sweep.options, error);
	if (code == 0)
		code = begin_pass(&sweep, error);
	if (code < 0)
		return code;
	code = sweep_all(&sweep, error);
	if (code == 0 && sweep.failure.code < 0) {
		code = sweep.failure.code;
		if (error)
			*error = sweep.failure;
	}
	ended = end_pass(&sweep, code == 0 ? error : NULL);
	return code < 0 ? code : ended;
}
