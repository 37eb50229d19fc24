/*
 * An open file description lock on one byte, which the name's hash picks. The kernel frees it with its holder,
 * however that dies. The file is opened for each lock, so that threads of one process exclude each other. It is
 * unlocked before it is closed, because a child forked meanwhile holds a copy of the descriptor.
 *
 * Two names that share a byte only wait for each other; no holder of one lock takes a second.
 */
#include "lock.h"

#include "clock.h"
#include "error.h"
#include "file.h"
#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE_NS 20000
#define LONGEST_PAUSE_NS 2000000

struct range {
	off_t start, length;
};

static struct range byte_of(const char *name)
{
	return (struct range){(off_t)(hash_text(name) >> 2), 1};
}

static int set_lock(int fd, short type, struct range range)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = range.start, .l_len = range.length};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Without O_NONBLOCK a member of the spool's group who made this file, and holds a lease on it (F_SETLEASE), would stop
 * us for the 45 seconds that the kernel gives him. With it that is as good as a lock that he holds: EAGAIN. */
static int open_lock_file(const struct cancel_spool *spool)
{
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, code;
	int fd = openat(spool->fds[SPOOL_ROOT], FILE_LOCK, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	/* Only what this call made may be given away. */
	fd = openat(spool->fds[SPOOL_ROOT], FILE_LOCK, flags | O_CREAT | O_EXCL, spool->lock_mode);
	if (fd < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	code = spool_adopt(spool, fd, spool->lock_mode);
	if (code < 0)
		file_close(fd);
	return code < 0 ? code : fd;
}

/* One attempt. -EAGAIN: somebody holds it. -ESTALE: the file was deleted while we waited for it, and whoever
 * comes next locks another one. */
static int attempt(struct cancel_spool *spool, struct range range, struct name_lock *lock)
{
	struct stat stat;
	int fd = open_lock_file(spool), code;

	if (fd < 0)
		return fd;
	code = set_lock(fd, F_WRLCK, range);
	if (code == 0 && fstat(fd, &stat) == 0 && !stat.st_nlink)
		code = -ESTALE;
	if (code < 0)
		file_close(fd);
	else
		lock->fd = fd;
	return code == -EACCES ? -EAGAIN : code;
}

static int lock_failed(const struct cancel_spool *spool, int code, struct cancel_error *error)
{
	return error_system(error, code, "cannot lock a name in spool '%s'", SPOOL_QUOTE(spool));
}

int lock_try(struct cancel_spool *spool, const char *name, struct name_lock *lock, struct cancel_error *error)
{
	int code = attempt(spool, byte_of(name), lock);

	return code < 0 ? lock_failed(spool, code, error) : 0;
}

int lock_try_all(struct cancel_spool *spool, struct name_lock *lock, struct cancel_error *error)
{
	int code = attempt(spool, (struct range){0, 0}, lock);

	return code < 0 ? lock_failed(spool, code, error) : 0;
}

/* The kernel's own waiting (F_OFD_SETLKW) has no deadline, and a holder that is stopped would stop everybody. */
int lock_take(struct cancel_spool *spool, const char *name, struct name_lock *lock,
	      struct cancel_error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + CANCEL_LOCK_WAIT_MS;
	struct timespec pause = {.tv_nsec = FIRST_PAUSE_NS};
	struct range range = byte_of(name);
	int code;

	while ((code = attempt(spool, range, lock)) == -EAGAIN || code == -ESTALE) {
		if (clock_monotonic_ms() > deadline_ms)
			return error_set(error, -EBUSY,
					 "cannot change '%s' in spool '%s': another process has held its lock "
					 "for %d s; find it with 'fuser %s/" FILE_LOCK "'",
					 QUOTE(name), SPOOL_QUOTE(spool), CANCEL_LOCK_WAIT_MS / 1000,
					 SPOOL_QUOTE(spool));
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < LONGEST_PAUSE_NS)
			pause.tv_nsec *= 2;
	}
	return code < 0 ? lock_failed(spool, code, error) : 0;
}

void lock_drop(struct name_lock *lock)
{
	(void)set_lock(lock->fd, F_UNLCK, (struct range){0, 0});
	file_close(lock->fd);
	lock->fd = -1;
}
