#include "struck.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)

/* --- the n-th call ---------------------------------------------------------------------------------------
 */

static struct {
	atomic_bool is_armed;
	atomic_uint count;
	atomic_bool was;
	unsigned nth;
	void (*blow)(void *arg);
	void *arg;
} struck;

bool struck_claim(void)
{
	atomic_store(&struck.is_armed, false);
	return !atomic_exchange(&struck.was, true);
}

static void strike(void)
{
	if (!atomic_load(&struck.is_armed))
		return;
	if (atomic_fetch_add(&struck.count, 1) + 1 != struck.nth)
		return;
	if (struck_claim())
		struck.blow(struck.arg);
}

void struck_arm(unsigned nth, void (*blow)(void *arg), void *arg)
{
	struck.nth = nth;
	struck.blow = blow;
	struck.arg = arg;
	atomic_store(&struck.count, 0);
	atomic_store(&struck.was, false);
	atomic_store(&struck.is_armed, true);
}

unsigned struck_count(void)
{
	return atomic_load(&struck.count);
}

/* --- the clock ---------------------------------------------------------------------------------------------
 */

enum {
	STEPS_MAX = 65536,
};

struct clock_history {
	atomic_int count;
	struct {
		int64_t at_ns, ahead_ns; /* by the kernel's clock: from then on */
	} steps[STEPS_MAX];
};

static struct clock_history *history;

static int64_t time_ns(const struct timespec *time)
{
	return time->tv_sec * NS_PER_SECOND + time->tv_nsec;
}

static void shift(struct timespec *time)
{
	int64_t at_ns = time_ns(time);
	int last = history ? atomic_load(&history->count) - 1 : -1;

	while (last >= 0 && history->steps[last].at_ns > at_ns)
		last--;
	if (last >= 0)
		time->tv_sec += history->steps[last].ahead_ns / NS_PER_SECOND;
}

static int64_t kernel_ns(clockid_t clock)
{
	static int (*gettime)(clockid_t, struct timespec *);
	struct timespec now;

	if (!gettime)
		*(void **)&gettime = dlsym(RTLD_NEXT, "clock_gettime");
	(void)gettime(clock, &now);
	return time_ns(&now);
}

void struck_clock_begin(void)
{
	history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (history == MAP_FAILED) {
		perror("mmap");
		abort();
	}
}

bool struck_clock_set(int64_t ahead_s)
{
	int count = atomic_load(&history->count);
	int64_t now_ns = kernel_ns(CLOCK_REALTIME);

	if (count == STEPS_MAX)
		return false;
	history->steps[count].at_ns = now_ns;
	history->steps[count].ahead_ns = ahead_s * NS_PER_SECOND;
	atomic_store(&history->count, count + 1);
	/* What is stamped from here on is stamped by the new clock: those of files tick. */
	while (kernel_ns(CLOCK_REALTIME_COARSE) <= now_ns)
		;
	return true;
}

/* --- what stands before the C library ----------------------------------------------------------------------
 */

/* The C library's own; POSIX has dlsym return what ISO C has no conversion for. */
#define REAL(type, name) \
	static type;     \
	if (!real)       \
	*(void **)&real = dlsym(RTLD_NEXT, name)

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int code;

	REAL(int (*real)(clockid_t, struct timespec *), "clock_gettime");
	code = real(clock, now);
	if (code == 0 && clock == CLOCK_REALTIME)
		shift(now);
	return code;
}

int fstat(int fd, struct stat *stat)
{
	int code;

	REAL(int (*real)(int, struct stat *), "fstat");
	strike();
	code = real(fd, stat);
	if (code == 0)
		shift(&stat->st_ctim);
	return code;
}

int fstatat(int fd, const char *restrict path, struct stat *restrict stat, int flags)
{
	int code;

	REAL(int (*real)(int, const char *, struct stat *, int), "fstatat");
	strike();
	code = real(fd, path, stat, flags);
	if (code == 0)
		shift(&stat->st_ctim);
	return code;
}

int openat(int fd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;

	REAL(int (*real)(int, const char *, int, ...), "openat");
	va_start(arguments, flags);
	if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	strike();
	return real(fd, path, flags, mode);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	REAL(int (*real)(int, const char *, int, const char *, int), "linkat");
	strike();
	return real(from_fd, from, to_fd, to, flags);
}

ssize_t pread(int fd, void *into, size_t size, off_t offset)
{
	REAL(ssize_t(*real)(int, void *, size_t, off_t), "pread");
	strike();
	return real(fd, into, size, offset);
}

int inotify_init1(int flags)
{
	REAL(int (*real)(int), "inotify_init1");
	strike();
	return real(flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	REAL(int (*real)(int, const char *, uint32_t), "inotify_add_watch");
	strike();
	return real(fd, path, mask);
}
