/* Ring for programs that publish a request and know no bell, and let sleepers know that somebody does. */
#include "state.h"

#include "bell.h"
#include "file.h"

#include <fcntl.h>

#define QUICK_MS 1000

/* It may have been removed, or left behind with the directory. */
static bool holds_what_stands(const struct cancel_watch *watch)
{
	struct stat held, now;

	return watch->ringer_fd >= 0 && fstat(watch->ringer_fd, &held) == 0 &&
	       fstatat(watch->spool->fds[SPOOL_ROOT], FILE_BELL, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       file_same(&held, &now);
}

/* Who would look every second himself must not rely on one who looks more seldom. */
static bool is_quick(const struct cancel_watch *watch)
{
	return watch->notice.by_inotify || watch->options.poll_interval_ms <= QUICK_MS;
}

void ringing_keep(struct cancel_watch *watch)
{
	if (!watch->options.rings || spool_enter(watch->spool, NULL) < 0)
		return;
	if (!is_quick(watch)) {
		file_close(watch->ringer_fd);
		watch->ringer_fd = -1;
	} else if (!holds_what_stands(watch)) {
		file_close(watch->ringer_fd);
		watch->ringer_fd = bell_take_ringing(watch->spool);
	}
	spool_leave(watch->spool);
}

void ringing_tell(struct cancel_watch *watch, const struct cancel_request *request)
{
	if (!watch->options.rings)
		return;
	spool_enter_unchecked(watch->spool);
	bell_ring_for_others(watch->spool, request->task_id);
	spool_leave(watch->spool);
}
