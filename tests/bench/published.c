#include "published.h"

#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local bool is_looking;
static _Thread_local int64_t latest_ns;

void published_look(bool looks)
{
	is_looking = looks;
}

int64_t published_ns(void)
{
	return latest_ns;
}

/* Both stand before those of the C library. */
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	long result = syscall(SYS_linkat, from_fd, from, to_fd, to, flags);

	if (is_looking && result == 0)
		latest_ns = bench_now_ns();
	return (int)result;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	long result = syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);

	if (is_looking && result == 0)
		latest_ns = bench_now_ns();
	return (int)result;
}
