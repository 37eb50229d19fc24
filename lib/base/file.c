#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_write_all(int fd, const void *data, size_t size)
{
	const char *bytes = data;

	while (size) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -ENOSPC;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

static int refused_kind(mode_t mode)
{
	return S_ISLNK(mode) ? -ELOOP : S_ISDIR(mode) ? -EISDIR : -ENXIO;
}

int file_open_regular(int dir_fd, const char *name, struct stat *stat)
{
	int fd;

	/* Looked at before it is opened, because opening a device can have effects; and after, because it
	 * can be another file by then. */
	if (fstatat(dir_fd, name, stat, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(stat->st_mode))
		return refused_kind(stat->st_mode);
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, stat) < 0) {
		int code = -errno;

		file_close(fd);
		return code;
	}
	if (S_ISREG(stat->st_mode))
		return fd;
	file_close(fd);
	return refused_kind(stat->st_mode);
}

ssize_t file_read(int fd, void *data, size_t size)
{
	char *bytes = data;
	size_t used = 0;

	while (used < size) {
		size_t wanted = size - used;
		ssize_t got = read(fd, bytes + used, wanted);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		used += (size_t)got;
		if (used < size && (size_t)got < wanted)
			break; /* a regular file gives less only at its end */
	}
	return (ssize_t)used;
}

int file_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

const char *file_kind(mode_t mode)
{
	static const struct kind {
		mode_t type;
		const char *name;
	} kinds[] = {
		{S_IFREG, "regular file"}, {S_IFDIR, "directory"},    {S_IFLNK, "symbolic link"},
		{S_IFIFO, "FIFO"},         {S_IFSOCK, "socket"},      {S_IFCHR, "character device"},
		{S_IFBLK, "block device"},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if ((mode & S_IFMT) == kinds[i].type)
			return kinds[i].name;
	return "file of an unknown kind";
}

void file_close(int fd)
{
	int kept = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = kept;
}
