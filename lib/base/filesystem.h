/* What is known of a filesystem by its type. */
#ifndef BASE_FILESYSTEM_H
#define BASE_FILESYSTEM_H

#include <stdbool.h>

enum filesystem_notice {
	NOTICE_UNKNOWN, /* not in the table: inotify may or may not tell of every change */
	NOTICE_LOCAL,   /* only this kernel changes it, and inotify tells of every change */
	NOTICE_BLIND,   /* somebody else may change it without this kernel telling */
};

struct filesystem {
	const char *name;
	enum filesystem_notice notice;
	bool is_volatile; /* gone after a reboot */
};

/* Describe the filesystem that `fd` is on; 0 or a negative errno of fstatfs(2). */
int filesystem_of(int fd, struct filesystem *filesystem);

#endif
