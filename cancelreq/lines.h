/* The lines of a descriptor, in memory that does not grow with it: a line has a limit, and one over it is
 * passed over. */
#ifndef CANCELREQ_LINES_H
#define CANCELREQ_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
	int fd;       /* borrowed */
	char *buffer; /* what was read and not yet handed out stands from `begin` to `end` */
	size_t begin;
	size_t end;
	bool at_end;    /* the descriptor has no more */
	int64_t number; /* of the latest line; the first is 1 */
};

enum lines_result {
	LINES_END = 0,
	LINES_LINE = 1,
	LINES_TOO_LONG = 2, /* over LINE_MAX_BYTES; its rest is skipped */
};

/* Begin. Returns 0, or -ENOMEM. */
int lines_open(struct lines *lines, int fd);

/* The next line until the next call, its newline replaced by a NUL. Returns enum lines_result, or a negative
 * errno. */
int lines_next(struct lines *lines, char **text, size_t *length);

void lines_close(struct lines *lines);

#endif
