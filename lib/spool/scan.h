/* Going through a directory of the spool, in memory that does not grow. */
#ifndef SPOOL_SCAN_H
#define SPOOL_SCAN_H

#include "store.h"

#include <dirent.h>

struct scan {
	DIR *stream;
	int fd; /* the stream's: names are looked up here, whatever becomes of the spool's own descriptors */
};

/* Open a directory of the spool anew, so that every scan starts at its beginning. Between spool_enter and
 * spool_leave; the scan may go on after that. */
int scan_open(struct scan *scan, const struct cancel_spool *spool, enum spool_dir dir,
	      struct cancel_error *error);

/* The same for who has not entered the spool. */
int scan_begin(struct scan *scan, struct cancel_spool *spool, enum spool_dir dir, struct cancel_error *error);

/* The next name but "." and ".."; NULL at the end or on failure, which `code` tells (0 or a negative errno). */
const char *scan_next(struct scan *scan, int *code);

void scan_close(struct scan *scan);

#endif
