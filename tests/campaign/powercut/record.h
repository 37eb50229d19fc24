/* Writing a journal: a process is followed at its system calls. */
#ifndef POWERCUT_RECORD_H
#define POWERCUT_RECORD_H

#include "journal.h"

#include <stdbool.h>

/* What the system is made to lack, so that the library publishes in another way. */
enum record_lack {
	LACKS_NOTHING,
	LACKS_LINK_BY_DESCRIPTOR, /* linkat with AT_EMPTY_PATH: by /proc then */
	LACKS_TMPFILE,            /* and O_TMPFILE: a named draft, renamed if nothing stands there */
	LACKS_NOREPLACE,          /* and RENAME_NOREPLACE: a named draft, linked */
};

/* Let body(arg) run in a process of its own and write down what it does below `root`, an existing directory,
 * into `journal` (begun). False, and a violation is counted, when the process failed or did what cannot be
 * followed. */
bool record(struct journal *journal, const char *root, enum record_lack lack, int (*body)(void *arg),
	    void *arg, const char *name);

#endif
