/* A name's lock: opened for each use, so that threads exclude each other. */
#include "fixture.h"
#include "harness.h"

#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct cancel_spool *spool;

static long lock_count(void)
{
	return bench_count(200000, 5000);
}

static void set_up(const struct place *place)
{
	struct name_lock lock;
	struct cancel_error error;

	spool = fixture_open(place, "spool");
	if (lock_take(spool, "first", &lock, &error) < 0) /* makes the file */
		bench_fail("%s", error.text);
	lock_drop(&lock);
}

static void tear_down(void)
{
	cancel_spool_close(spool);
}

static double lock_ours(const struct place *place)
{
	int64_t start = bench_now_ns();
	struct name_lock lock;
	struct cancel_error error;

	(void)place;
	for (long i = 0; i < lock_count(); i++) {
		if (lock_take(spool, "task_0000001", &lock, &error) < 0)
			bench_fail("%s", error.text);
		lock_drop(&lock);
	}
	return (double)(bench_now_ns() - start) / 1e3 / (double)lock_count();
}

static void lock_once(int dir_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
	int fd = openat(dir_fd, "lock", O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		bench_fail("cannot lock: %s", strerror(errno));
	(void)close(fd);
}

static double lock_bare(const struct place *place)
{
	int64_t start = bench_now_ns();

	(void)place;
	for (long i = 0; i < lock_count(); i++)
		lock_once(spool->fds[SPOOL_ROOT]);
	return (double)(bench_now_ns() - start) / 1e3 / (double)lock_count();
}

static const struct bench rows[] = {
	{.name = "lock and unlock a name",
	 .unit = "us",
	 .peer = "open, fcntl, close",
	 .budget = {VALUE(1.2), VALUE(1.2)},
	 .ours = lock_ours,
	 .theirs = lock_bare},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .on_files = true, .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
