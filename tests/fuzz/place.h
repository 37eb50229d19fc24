/* A private directory in memory for fuzzers that need a spool: made once, and removed when the process ends.
 * FUZZ_PLACE names another place, for who removes what a killed fuzzer leaves. */
#ifndef FUZZ_PLACE_H
#define FUZZ_PLACE_H

#include "fuzzing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE_SIZE 256

static char place[PLACE_SIZE];

/* Remove what is in a directory, whatever it is. Follows nothing. */
static inline void place_empty(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	check(stream != NULL);
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		place_empty(fd, entry->d_name);
		check(unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0);
	}
	(void)closedir(stream);
}

static inline void place_remove(void)
{
	place_empty(AT_FDCWD, place);
	(void)rmdir(place);
}

/* Make it, with a mode that a spool's ancestor may have. */
static inline void place_make(void)
{
	const char *parent = getenv("FUZZ_PLACE");

	if (place[0])
		return;
	if (!parent)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	(void)snprintf(place, sizeof(place), "%s/libcancel-fuzz.XXXXXX", parent);
	check(mkdtemp(place) != NULL);
	(void)atexit(place_remove);
}

static inline void place_path(char path[PLACE_SIZE], const char *name)
{
	check(snprintf(path, PLACE_SIZE, "%s/%s", place, name) < PLACE_SIZE);
}

/* A regular file with that content, in the place of whatever regular file is there. */
static inline int place_write(int dir_fd, const char *name, const void *data, size_t size)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

/* The number that the next descriptor gets: the same before and after whatever leaks none. */
static inline int place_next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	check(fd >= 0);
	(void)close(fd);
	return fd;
}

#endif
