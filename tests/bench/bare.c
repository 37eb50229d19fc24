#include "bare.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void bare_task(char task[32], long number)
{
	(void)snprintf(task, 32, "task_%07ld", number);
}

static int make_directory(int parent_fd, const char *name)
{
	int fd;

	if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		bench_fail("cannot make directory '%s': %s", name, strerror(errno));
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		bench_fail("cannot open directory '%s': %s", name, strerror(errno));
	return fd;
}

void bare_open(struct bare *bare, const struct place *place, const char *name)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", place->dir, name);
	fd = make_directory(AT_FDCWD, path);
	bare->tmp_fd = make_directory(fd, "tmp");
	bare->pending_fd = make_directory(fd, "pending");
	bare->processed_fd = make_directory(fd, "processed");
	(void)close(fd);
}

void bare_close(struct bare *bare)
{
	(void)close(bare->tmp_fd);
	(void)close(bare->pending_fd);
	(void)close(bare->processed_fd);
}

static void file_name(char name[40], long number)
{
	(void)snprintf(name, 40, "task_%07ld.json", number);
}

static void put(const struct bare *bare, int target_fd, const char *name, const char *text, size_t size)
{
	int fd = openat(bare->tmp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) < 0 ||
	    renameat(bare->tmp_fd, name, target_fd, name) < 0)
		bench_fail("cannot write '%s': %s", name, strerror(errno));
}

void bare_publish(const struct bare *bare, long number, const char *text, size_t size)
{
	char name[40];

	file_name(name, number);
	put(bare, bare->pending_fd, name, text, size);
}

void bare_keep(const struct bare *bare, long number, const char *text, size_t size)
{
	char name[40];

	file_name(name, number);
	put(bare, bare->processed_fd, name, text, size);
}

void bare_decide(const struct bare *bare, long number, const char *text, size_t size)
{
	char name[40];

	file_name(name, number);
	put(bare, bare->processed_fd, name, text, size);
	if (unlinkat(bare->pending_fd, name, 0) < 0)
		bench_fail("cannot remove '%s': %s", name, strerror(errno));
}
