/* How far a long job is, for a person: one line on a terminal, written over and over. */
#ifndef CANCELREQ_PROGRESS_H
#define CANCELREQ_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool wanted; /* standard error is a terminal */
	bool shown;
	int64_t begun_ms;
	int64_t shown_ms;
};

void progress_begin(struct progress *progress, bool quiet);

/* `count` lines are done. Shows it at most ten times a second. */
void progress_show(struct progress *progress, int64_t count);

/* Make the line free for something else. */
void progress_hide(struct progress *progress);

#endif
