/* Let sleepers believe that a watcher is about which rings for programs that know no bell, so that they look
 * by themselves only after many seconds, and a ring that is lost is not repaired before a test sees it. */
#ifndef SUPPORT_WATCHER_POSE_H
#define SUPPORT_WATCHER_POSE_H

/* In a spool that has a bell already: where somebody has asked or decided. Until the descriptor is closed.
 * Returns it, or -1. */
int watcher_pose(const char *spool_path);

#endif
