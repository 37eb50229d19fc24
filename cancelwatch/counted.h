/* What has happened in a spool, as the processes that use it have counted. */
#ifndef CANCELWATCH_COUNTED_H
#define CANCELWATCH_COUNTED_H

#include "print.h"

#include <cancel/error.h>
#include <cancel/spool.h>
#include <cancel/statistics.h>

struct counted {
	struct cancel_statistics statistics;
	struct cancel_error error; /* code 0: they were read; else the sentence says why not */
};

/* Read the counters. That there are none to be had is no failure. */
void counted_read(struct counted *counted, struct cancel_spool *spool);

/* Three lines, or one that says why not. */
void counted_print_text(struct printer *out, const struct counted *counted);
/* Fields of an object that has some already. */
void counted_add_json(struct printer *out, const struct counted *counted);

#endif
