/**
 * Clear away what is past its time, and take in what foreign programs left.
 *
 * A sweep expires pending requests past their terms, removes processed records past their keeping time,
 * drafts over CANCEL_DRAFT_KEEP_S old and the leases of runs that are dead, and finishes what a dead
 * intake began. It removes only regular files of the spool's own grammar in the spool's own directories,
 * follows no link, crosses no mount, and counts strangers and leaves them. Several at once are harmless.
 */
#ifndef CANCEL_SWEEP_H
#define CANCEL_SWEEP_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

struct cancel_sweep_options {
	int64_t keep_for_s;          /* how long a processed record is kept */
	int64_t max_files_per_pass;  /* expire and remove at most so many in one pass; 0: no limit */
	bool dry_run;                /* count, and change nothing */
};

/* Keep for 24 hours, no limit, no dry run. */
CANCEL_API void cancel_sweep_options_init(struct cancel_sweep_options *options);

struct cancel_sweep_result {
	int64_t expired;   /* pending requests that were past their terms, now decided so */
	int64_t removed;   /* processed records past their keeping time */
	int64_t litter;    /* files of requests decided already, left by a process that was killed */
	int64_t drafts;    /* drafts without a writer */
	int64_t leases;    /* leases without a run */
	int64_t put_back;  /* drops of an intake that was killed, now published */
	int64_t kept;      /* requests and records that stay */
	int64_t refused;   /* what stood in a request's place and is none; left where it is */
	int64_t strangers; /* names that no program of this project writes; left */
	int64_t busy;      /* names locked by somebody; left for the next pass */
	int64_t clock_step_ms; /* not 0: the clock was stepped since the last pass, and nothing was deleted */
	bool limited;      /* max_files_per_pass was reached; the next pass goes on */
};

/**
 * Called for each request that this sweep expired, with its processed record, and for each that it put
 * back, with its pending one. Borrowed for the call.
 */
typedef void cancel_sweep_report(void *arg, const struct cancel_request *request);

/**
 * Make one pass.
 *
 * After a step of the clock of more than CANCEL_CLOCK_STEP_MS since the last pass of any process it
 * expires nothing and removes neither records nor drafts, says so in `result`, and the next pass works again.
 *
 * @param options  Borrowed for the call. NULL: the defaults.
 * @param report   NULL if nobody wants to know.
 * @param result   Set, also on failure, to what was done so far. Owned by the caller.
 *
 * @return 0, -EINVAL for an option out of range, or another negative errno as the system says; what could
 *         be done was done.
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_sweep(struct cancel_spool *spool, const struct cancel_sweep_options *options,
				  cancel_sweep_report *report, void *arg,
				  struct cancel_sweep_result *result, struct cancel_error *error);

/* What happened to one drop. */
enum cancel_drop_result {
	CANCEL_DROP_TAKEN,     /* a request stands for it now */
	CANCEL_DROP_COALESCED, /* a request stood already; its terms were merged */
	CANCEL_DROP_UNSETTLED, /* still being written; look again */
	CANCEL_DROP_REFUSED,   /* none; left where it is, and the error says why */
};

/**
 * Called for each drop that was met. Borrowed for the call.
 *
 * @param file     The drop's name in the spool's directory; not escaped.
 * @param request  The request that stands for it (`malformed` says whether its text could be used); NULL
 *                 when it is unsettled or refused.
 * @param refusal  Why it is refused; else NULL.
 */
typedef void cancel_drop_report(void *arg, enum cancel_drop_result result, const char *file,
				const struct cancel_request *request,
				const struct cancel_error *refusal);

/**
 * Take in the drops: files `<task_id>.json` that foreign programs left in the spool's directory.
 *
 * Each is published under pending/ and removed in one step, so that it is neither lost nor doubled by a
 * kill. Its name says what to cancel; content that cannot be used cancels all the same. Refused, and left, are
 * a text that is about another task than the name or says that it was processed, and what is no regular file,
 * too large, or of somebody who is not trusted.
 *
 * @return The number of drops that are unsettled: 0 or more; or a negative errno as the system says. A drop
 *         that cannot be taken in does not keep the others waiting; its failure is returned at the end.
 *
 * Blocks on the filesystem and on names' locks: in vain at most once, CANCEL_LOCK_WAIT_MS; after that it takes in what is
 * not locked. Any thread.
 */
CANCEL_API int cancel_spool_intake(struct cancel_spool *spool, cancel_drop_report *report, void *arg,
				   struct cancel_error *error);

CANCEL_END_DECLS

#endif
