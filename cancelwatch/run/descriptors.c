#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT_MIN 256
#define LIMIT_AMPLE \
	1024      /* the usual one: who inherits so many open files that it is short has other troubles */
#define NEEDED 24 /* a spool that is opened, a task that ends, and a walk over /proc, with some to spare */

/* Returns how many there may be. */
static rlim_t raise_limit(void)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= LIMIT_MIN)
		return limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max < LIMIT_MIN ? limit.rlim_max : LIMIT_MIN;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

static int try_to_open(size_t needed)
{
	int fds[NEEDED];
	size_t count = 0;
	int error = 0;

	while (count < needed && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	if (count < needed)
		error = -errno;
	while (count > 0)
		(void)close(fds[--count]);
	return error;
}

int descriptors_make_room(void)
{
	return raise_limit() < LIMIT_AMPLE ? try_to_open(NEEDED) : 0;
}
