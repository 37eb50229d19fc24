/* Ring for programs that publish a request and know no bell, and let sleepers know that somebody does. */
#include "state.h"

#include "bell.h"
#include "file.h"

static bool is_held(const struct cancel_watch *watch)
{
	struct stat stat;

	return watch->ringer_fd >= 0 && fstat(watch->ringer_fd, &stat) == 0 && stat.st_nlink > 0;
}

void ringing_keep(struct cancel_watch *watch)
{
	if (!watch->options.rings || is_held(watch) || spool_enter(watch->spool, NULL) < 0)
		return;
	file_close(watch->ringer_fd);
	watch->ringer_fd = bell_take_ringing(watch->spool);
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
