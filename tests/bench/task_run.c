/* A run, begun and ended, with a lease and without: beside the calls that no way of doing it could leave out.
 */
#include "bare.h"
#include "fixture.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS       20000
#define RUNS_BRIEF 200

static double us_each(int64_t start_ns, long count)
{
	return (double)(bench_now_ns() - start_ns) / 1e3 / (double)count;
}

static double runs_us(const struct place *place, bool lease)
{
	struct cancel_manager *manager = fixture_manager(place, "spool", false, CANCEL_NOTICE_AUTO, 0);
	long count = bench_count(RUNS, RUNS_BRIEF);
	int64_t start_ns = bench_now_ns();
	double us;

	for (long i = 0; i < count; i++)
		fixture_end(fixture_begin(manager, i, lease), CANCEL_OUTCOME_FINISHED);
	us = us_each(start_ns, count);
	(void)cancel_manager_close(manager);
	return us;
}

static double lease_ours(const struct place *place)
{
	return runs_us(place, true);
}

static double bare_ours(const struct place *place)
{
	return runs_us(place, false);
}

/* --- the other side ----------------------------------------------------------------------------------- */

static void must(bool done, const char *what)
{
	if (!done)
		bench_fail("cannot %s: %s", what, strerror(errno));
}

/* What was decided, what is pending, a drop; and what is pending at the end. */
static void look_bare(const struct bare *bare, const char *name)
{
	struct stat stat;

	must(fstatat(bare->processed_fd, name, &stat, 0) < 0 &&
		     fstatat(bare->pending_fd, name, &stat, 0) < 0 &&
		     fstatat(bare->tmp_fd, name, &stat, 0) < 0 &&
		     fstatat(bare->pending_fd, name, &stat, 0) < 0,
	     "find nothing");
}

/* A file that is locked before it has its name, and loses that before the lock is let go of. */
static void lease_bare(const struct bare *bare, const char *name)
{
	static const char text[250];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(bare->tmp_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	must(fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 && write(fd, text, sizeof text) == sizeof text &&
		     renameat(bare->tmp_fd, name, bare->processed_fd, name) == 0,
	     "take a lease");
	must(unlinkat(bare->processed_fd, name, 0) == 0 && close(fd) == 0, "let go of a lease");
}

static double calls_us(const struct place *place, bool lease)
{
	long count = bench_count(RUNS, RUNS_BRIEF);
	int64_t start_ns;
	struct bare bare;
	char name[32];
	double us;

	bare_open(&bare, place, "bare");
	start_ns = bench_now_ns();
	for (long i = 0; i < count; i++) {
		bare_task(name, i);
		look_bare(&bare, name);
		if (lease)
			lease_bare(&bare, name);
	}
	us = us_each(start_ns, count);
	bare_close(&bare);
	return us;
}

static double lease_theirs(const struct place *place)
{
	return calls_us(place, true);
}

static double bare_theirs(const struct place *place)
{
	return calls_us(place, false);
}

static const struct bench rows[] = {
	{.name = "task: begin + end, lease",
	 .unit = "us",
	 .peer = "4 stat, lease by bare calls",
	 .ours = lease_ours,
	 .theirs = lease_theirs},
	{.name = "task: begin + end, no lease",
	 .unit = "us",
	 .peer = "4 stat of absent files",
	 .ours = bare_ours,
	 .theirs = bare_theirs},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true};
BENCH_GROUP(group)
