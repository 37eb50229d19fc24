/* A file in a request's place, read and judged. */
#ifndef SPOOL_FOUND_H
#define SPOOL_FOUND_H

#include "store.h"

#include <cancel/request.h>

#include <sys/stat.h>

/* Which name is meant: the one that was asked for, or, in a scan, the one that the file has. */
struct wanted {
	const char *file;    /* "<name>.json" */
	const char *task_id; /* NULL: whatever the name or the record says */
	const char *run;
	const char *stored; /* the file's own name where that is another: a drop on its way in; else NULL */
	bool settled;       /* its writer is known to be done, however young it looks */
};

/* Read what stands as `wanted->file` in `dir`. Returns
 *   0             it is a request: `request` is set, to be cleared by the caller
 *   -ENOENT       nothing stands there
 *   -EINPROGRESS  it is being written: unparsable and younger than CANCEL_SETTLE_MS
 *   -EBADMSG      it is none, or not one that counts here: the sentence says why
 *   others        it could not be read: nothing is known
 * `stat` may be NULL; it is set with 0, -EINPROGRESS and, where something stood there, -EBADMSG. Text that cannot
 * be used makes a malformed request once it is settled: its name says what to cancel. */
int found_read(const struct cancel_spool *spool, int dir_fd, const char *dir, const struct wanted *wanted,
	       struct cancel_request *request, struct stat *stat, struct cancel_error *error);

/* The ids that a request without its own gets from its file: the same for everybody who looks. */
void found_derive_id(char id[CANCEL_REQUEST_ID_LENGTH + 1], const struct stat *stat);

/* Read a file's whole text, bounded: NUL-terminated in `*text`, to be freed; its length, or as found_read. */
ssize_t found_text(const struct cancel_spool *spool, int dir_fd, const char *dir, const char *file,
		   char **text, struct stat *stat, struct cancel_error *error);

/* Younger than CANCEL_SETTLE_MS: its writer may not be done. */
bool found_is_fresh(const struct stat *stat);

#endif
