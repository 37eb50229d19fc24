/* Names to look at again: what stands there was still being written, or could not be read just now. */
#ifndef WATCH_LATER_H
#define WATCH_LATER_H

#include "name.h"
#include "store.h"

#define LATER_MAX 256

struct later_name {
	enum spool_dir dir;
	char file[NAME_FILE_SIZE];
};

/* First in, first out. */
struct later {
	size_t first, count;
	struct later_name names[LATER_MAX];
};

/* Add a file whose name name_of_file accepts. False: no room; the directory must be scanned. */
bool later_add(struct later *later, enum spool_dir dir, const char *file);

/* Take the one that waits longest; false when none does. */
bool later_take(struct later *later, struct later_name *name);

#endif
