/* One name's files, under that name's lock. */
#ifndef SPOOL_ENTRY_H
#define SPOOL_ENTRY_H

#include "found.h"
#include "lock.h"
#include "store.h"

#include <sys/stat.h>

/* A task's or a run's name, in the forms that are needed. */
struct entry {
	char name[NAME_SIZE];
	char file[NAME_FILE_SIZE];
	struct wanted wanted; /* its ids belong to the caller; NULL where only the file's name is known */
};

/* Check the ids and make the name. `run` may be NULL. */
int entry_init(struct entry *entry, const char *task_id, const char *run, struct cancel_error *error);

/* From a file's name, as met in a directory; false when it is no request's file. */
bool entry_from_file(struct entry *entry, const char *file);

/* What stands under a name. Read pending first: a decision made meanwhile shows in processed. */
struct standing {
	bool pending;   /* a request that nobody decided: litter does not count */
	bool litter;    /* the pending file is that of the processed request */
	bool processed;
	bool processed_absent; /* nothing at all stands there */
	struct cancel_request pending_request, processed_request;
	struct stat pending_stat;
};

/* 0, or -EINPROGRESS (pending is being written), -EBADMSG (what is pending is none), or another failure. With a
 * failure nothing needs clearing. Only under the lock. */
int entry_read(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
	       struct cancel_error *error);
/* The same without the lock: what stood at some moment of the call. */
int entry_look(const struct cancel_spool *spool, const struct entry *entry, struct standing *standing,
	       struct cancel_error *error);
/* Only what was decided: whatever is pending, even if it is no request, does not matter. */
int entry_read_processed(const struct cancel_spool *spool, const struct entry *entry,
			 struct standing *standing, struct cancel_error *error);
void standing_clear(struct standing *standing);

/* Under the lock: put another record of the same request in the place of the pending one, in one step. */
int entry_rewrite(const struct cancel_spool *spool, const struct entry *entry,
		  const struct cancel_request *request, struct cancel_error *error);

/* Hand a request's strings over: `source` is empty afterwards. */
void request_move(struct cancel_request *target, struct cancel_request *source);

/* How a request is decided. */
struct decision {
	const char *request_id; /* NULL: whatever is pending */
	enum cancel_outcome outcome;
	const char *detail;
	const char *worker_run; /* the run that decides; NULL: the one that the request names, if any */
};

/* Whether it may be made at all. */
int decision_check(const struct decision *decision, struct cancel_error *error);

/* Enter the spool, take in a drop of the name (it is pending too), and lock the name; entry_end answers a 0. */
int entry_begin(struct cancel_spool *spool, const struct entry *entry, struct name_lock *lock,
		struct cancel_error *error);
void entry_end(struct cancel_spool *spool, struct name_lock *lock);

/* Between spool_enter and spool_leave, without the lock: is it plain that nothing is pending? */
bool entry_is_idle(struct cancel_spool *spool, const struct entry *entry);

/* Under the lock: leave, as the name's latest decided record, that a run of it ended because of `group`, a request for
 * another id. The name's own requests and what later runs remember stay as they are. */
int entry_note_member(const struct cancel_spool *spool, const struct entry *entry, const struct decision *decision,
		      const struct cancel_request *group, struct cancel_error *error);

/* Under the lock: cancel_spool_decide. `decided` may be NULL. */
int entry_decide(const struct cancel_spool *spool, const struct entry *entry, const struct decision *decision,
		 struct cancel_request *decided, struct cancel_error *error);

/* The same for what entry_read found under this very lock, which costs less than reading it again. */
int entry_decide_standing(const struct cancel_spool *spool, const struct entry *entry,
			  const struct decision *decision, struct standing *standing,
			  struct cancel_request *decided, struct cancel_error *error);

/* Under the lock: remove the pending file that `stat` tells of, unless a foreign program put another there. */
int entry_unlink_pending(const struct cancel_spool *spool, const struct entry *entry,
			 const struct stat *stat);

/* Under the lock: move what stands in `dir` in this name's place and is no request to refused/. */
int entry_move_aside(const struct cancel_spool *spool, enum spool_dir dir, const char *file,
		     struct cancel_error *error);

/* Under the lock: publish a request, deciding or merging what stands in its way. `ready` names a file in tmp/ that
 * holds its record already and shall become the pending one; NULL: write it. CANCEL_REQUESTED, or
 * CANCEL_ALREADY_PENDING with `standing` set (NULL: not wanted). */
int entry_publish(struct cancel_spool *spool, const struct entry *entry, const struct cancel_request *request,
		  const char *ready, struct cancel_request *standing, struct cancel_error *error);

#endif
