/* Those who ask: the library, its program, and programs that know nothing of either. */
#ifndef WATCH_TRUTH_WRITERS_H
#define WATCH_TRUTH_WRITERS_H

#include "stage.h"

struct letter {
	const char *task_id;
	const char *reason;
};

/* Publish it; a failure is a violation. */
typedef void writer(struct stage *stage, const struct letter *letter);

writer write_by_library, write_by_batch, write_by_program;
writer write_drop;                           /* a file under a name with a dot, and rename(2) */
writer write_link;                           /* a file in tmp/, and link(2) into pending/ */
writer write_drop_by_shell;                  /* printf and mv */
writer write_drop_behind, write_link_behind; /* where the kernel tells nobody */

#endif
