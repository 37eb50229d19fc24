/* How much of inotify a user may have, and has. */
#ifndef CANCELWATCH_INOTIFY_USE_H
#define CANCELWATCH_INOTIFY_USE_H

#include <stdint.h>
#include <sys/types.h>

struct inotify_use {
	int64_t instances_max; /* -1: not known */
	int64_t watches_max;
	int64_t queue_max;
	int64_t instances; /* of the user's processes that could be looked into; one that was inherited counts
			      for each of its holders */
	int64_t watches;
	int64_t unreadable; /* processes of the user that could not be looked into */
};

void inotify_use_read(struct inotify_use *use, uid_t user);

#endif
