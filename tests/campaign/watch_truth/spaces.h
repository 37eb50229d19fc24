/* Namespaces of this process and its children: nothing outside of them changes. */
#ifndef WATCH_TRUTH_SPACES_H
#define WATCH_TRUTH_SPACES_H

#include "stage.h"

/* Each is false where it cannot be had, and the row is left out with the reason. */

/* Users: with this user as root in it, and limits of its own. */
bool space_of_users(struct stage *stage);
/* Mounts, for root only. */
bool space_of_mounts(struct stage *stage);
/* Time: for children, whose CLOCK_BOOTTIME is ahead. */
bool space_of_time(struct stage *stage, long ahead_s);

/* A limit of the space of users: "max_inotify_watches". */
bool space_limit(struct stage *stage, const char *name, int value);

#endif
