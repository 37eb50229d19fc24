/* Writing a record where nobody reads it, and putting it in its place in one step. */
#ifndef SPOOL_DRAFT_H
#define SPOOL_DRAFT_H

#include "store.h"

#define DRAFT_SUFFIX ".draft"
#define DROP_SUFFIX ".drop" /* a drop on its way in: "<name>.drop" in tmp/ */

/* Whether a modification time was set by us: it has our mark below the microsecond. Where the filesystem keeps no
 * nanoseconds nothing has, and a sweep opens every file. */
bool draft_marked(const struct timespec *mtime);

/* Say whether a file in tmp/ is a draft of ours. */
bool draft_is_name(const char *file);

/* 128 random bits as hex digits; 0 or a negative errno of getrandom(2). */
int draft_random_id(char id[CANCEL_REQUEST_ID_LENGTH + 1]);

/* A record's text, and where it goes. */
struct draft {
	const char *file; /* "<name>.json" in pending/ */
	const char *text;
	size_t length;
	int64_t mtime_us;  /* the file's modification time */
	const char *ready; /* a file in tmp/ that is this record already, and stays if it fails; NULL: write it */
	const char *task_id; /* whose sleepers are woken as soon as it stands */
};

/* Publish under pending/, only if nothing stands there; the content is synced first, the directory is not. 0,
 * -EEXIST, or another negative errno: then nothing was published. `locked`: the caller holds the name's lock. */
int draft_publish(struct cancel_spool *spool, const struct draft *draft, bool locked);

/* For a batch: write drafts now under their ids, sync them all, publish them then. */
int draft_prepare(const struct cancel_spool *spool, const char *id, const struct draft *draft, bool sync);
int draft_release(struct cancel_spool *spool, const char *id, const char *file);
void draft_forget(const struct cancel_spool *spool, const char *id);

/* Put a file into `dir` over whatever regular file is there. The caller holds the name's lock. `mtime_us` 0: now. */
int draft_replace(const struct cancel_spool *spool, enum spool_dir dir, const char *file, const char *text,
		  size_t length, int64_t mtime_us);

/* Sync a directory, where the durability asks for it. */
int draft_sync_dir(const struct cancel_spool *spool, enum spool_dir dir);
/* The same, with a sentence: `name` is the directory's, `so` what follows from it. */
int draft_sync_dir_told(const struct cancel_spool *spool, enum spool_dir dir, const char *name, const char *so,
			struct cancel_error *error);

#endif
