/* Reach a directory that an attacker may want us to miss. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <cancel/error.h>

#include <stdbool.h>
#include <sys/types.h>

/* How to make the last component when it is missing. */
struct path_creation {
	mode_t mode;
	uid_t owner; /* (uid_t)-1: as mkdir leaves it */
	gid_t group; /* (gid_t)-1: as mkdir leaves it */
	bool made;   /* set when it was */
};

/* Open the directory at `path`, absolute, judging every ancestor by the rule of cancel/spool.h: owned by
 * root, me or `owner`, writable by others only if sticky; no link but root's own. The directory itself is not
 * judged: fstat what you get. `creation` may be NULL. Returns an O_PATH descriptor, or a negative errno. */
int path_open_safely(const char *path, uid_t owner, struct path_creation *creation,
		     struct cancel_error *error);

#endif
