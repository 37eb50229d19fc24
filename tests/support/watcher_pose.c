#include "watcher_pose.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The lock that cancel_watch holds with options.rings. */
int watcher_pose(const char *spool_path)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	char bell[256];
	int fd;

	(void)snprintf(bell, sizeof(bell), "%s/bell", spool_path);
	fd = open(bell, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	(void)close(fd);
	return -1;
}
