#include "source.h"

#include "error.h"
#include "file.h"

#include <cancel/config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct source source_find(const char *given)
{
	const char *variable = secure_getenv(CANCEL_CONFIG_VARIABLE);

	if (given)
		return (struct source){.path = given};
	if (variable && *variable)
		return (struct source){.path = variable, .named_by = CANCEL_CONFIG_VARIABLE};
	return (struct source){.path = CANCEL_CONFIG_DEFAULT, .may_miss = true};
}

bool source_is_safe(const struct stat *stat, uid_t reader)
{
	if (reader != 0)
		return true;
	return stat->st_uid == 0 && !(stat->st_mode & S_IWOTH) &&
	       (!(stat->st_mode & S_IWGRP) || stat->st_gid == 0);
}

static int fail_read(const struct source *source, int code, struct cancel_error *error)
{
	return error_system(error, code, "cannot read configuration '%s'%s%s", QUOTE(source->path),
			    source->named_by ? ", named by " : "", source->named_by ? source->named_by : "");
}

/* Judged by the descriptor that is read, so that nobody can put another file in between. */
static int judge(const struct source *source, int fd, struct cancel_error *error)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return fail_read(source, -errno, error);
	if (!S_ISREG(stat.st_mode))
		return error_set(error, S_ISDIR(stat.st_mode) ? -EISDIR : -ENXIO,
				 "cannot read configuration '%s': a %s, not a regular file",
				 QUOTE(source->path), file_kind(stat.st_mode));
	if (!source_is_safe(&stat, geteuid()))
		return error_set(
			error, -EPERM,
			"cannot use configuration '%s': owned by uid %u, gid %u, mode %04o, so that others "
			"than root can change it; run chown root:root and chmod go-w on it",
			QUOTE(source->path), stat.st_uid, stat.st_gid, stat.st_mode & 07777);
	return 0;
}

/* One byte more than is allowed is asked for, to see whether there is more. */
static int read_text(const struct source *source, int fd, char **text, size_t *size,
		     struct cancel_error *error)
{
	char *buffer = malloc(SOURCE_SIZE_MAX + 1);
	ssize_t got = buffer ? file_read(fd, buffer, SOURCE_SIZE_MAX + 1) : -ENOMEM;

	if (got >= 0 && got <= SOURCE_SIZE_MAX) {
		*text = buffer;
		*size = (size_t)got;
		return 1;
	}
	free(buffer);
	if (got < 0)
		return fail_read(source, (int)got, error);
	return error_set(error, -EINVAL, "%s: expected at most %d bytes, found more", QUOTE(source->path),
			 SOURCE_SIZE_MAX);
}

int source_read(const struct source *source, char **text, size_t *size, struct cancel_error *error)
{
	/* Not blocking, because opening a FIFO would wait for its writer. A link is followed: an
	 * administrator may keep the file elsewhere, and it is the file that is judged. */
	int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0 && source->may_miss && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return fail_read(source, -errno, error);
	result = judge(source, fd, error);
	if (result == 0)
		result = read_text(source, fd, text, size, error);
	file_close(fd);
	return result;
}
